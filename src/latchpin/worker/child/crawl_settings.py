"""Scrapy's settings for agents that are not trusted. They cannot be changed; Scrapy's defaults are for one's own spiders."""

from __future__ import annotations

from typing import Any

from scrapy.settings import default_settings
from scrapy.utils.misc import load_object

from latchpin.worker.specification import Specification

_HERE = "latchpin.worker.child"
_HANDLER = "scrapy.core.downloader.handlers._aiohttp.AiohttpDownloadHandler"
_OWN_MIDDLEWARES: dict[str, int | None] = {
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
    f"{_HERE}.middlewares.AllowedDomainsMiddleware": 50,
    f"{_HERE}.middlewares.AgentHeadersMiddleware": 740,
    f"{_HERE}.middlewares.RequestLogMiddleware": 990,
}
_UNUSED = tuple(
    f"scrapy.extensions.{each}"
    for each in (
        "telnet.TelnetConsole",
        "remote_control.RemoteControl",
        "feedexport.FeedExporter",
        "logstats.LogStats",
        "memdebug.MemoryDebugger",
        "spiderstate.SpiderState",
        "logcount.LogCount",
    )
)


def load_components() -> None:
    """Import what a crawl uses and Scrapy imports only when it begins, so that a waiting child has imported it already."""
    unused = {None, *_UNUSED}
    for name in ("DOWNLOADER_MIDDLEWARES_BASE", "SPIDER_MIDDLEWARES_BASE", "EXTENSIONS_BASE"):
        for path in getattr(default_settings, name):
            if path not in unused:
                load_object(path)
    for name in ("DOWNLOADER", "SCHEDULER", "SCHEDULER_PRIORITY_QUEUE", "SCHEDULER_MEMORY_QUEUE", "STATS_CLASS", "ITEM_PROCESSOR"):
        load_object(getattr(default_settings, name))
    for path in (_HANDLER, "scrapy.robotstxt.ProtegoRobotParser", *_OWN_MIDDLEWARES):
        load_object(path)


def crawl_settings(specification: Specification) -> dict[str, Any]:
    """Return the settings of one run."""
    definition, limits = specification.definition, specification.definition.limits
    return {
        # Runs on asyncio alone: connections are made where the audit hook sees them.
        "TWISTED_REACTOR_ENABLED": False,
        "DOWNLOAD_HANDLERS": {"http": _HANDLER, "https": _HANDLER, "data": None, "file": None, "ftp": None, "s3": None},
        # No remote console.
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        # No way around the checks: certificates are verified, and no proxy is used.
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "HTTPPROXY_ENABLED": False,
        # Limits for what a site may cost.
        "DOWNLOAD_MAXSIZE": specification.limits.download_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_TIMEOUT": limits.timeout_seconds,
        "REDIRECT_MAX_TIMES": 10,
        "MEMUSAGE_ENABLED": True,
        "MEMUSAGE_LIMIT_MB": specification.limits.memory_mb * 4 // 5,
        "MEMUSAGE_CHECK_INTERVAL_SECONDS": 2.0,
        "CLOSESPIDER_TIMEOUT": limits.max_run_seconds,
        # How a site is treated.
        "ROBOTSTXT_OBEY": specification.obey_robots,
        "ROBOTSTXT_USER_AGENT": "Latchpin",
        "USER_AGENT": specification.user_agent,
        "CONCURRENT_REQUESTS": limits.concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": limits.concurrency,
        "DOWNLOAD_DELAY": limits.delay_seconds,
        "DOWNLOAD_DELAY_JITTER": 0,
        "AUTOTHROTTLE_ENABLED": limits.delay_seconds > 0,
        "AUTOTHROTTLE_START_DELAY": limits.delay_seconds,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": float(limits.concurrency),
        "RETRY_ENABLED": limits.retries > 0,
        "RETRY_TIMES": limits.retries,
        "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",  # the spider logs it itself
        "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",  # records may share a page; the spider itself avoids loops
        # What leaves the process goes through the pipe.
        "DOWNLOADER_MIDDLEWARES": dict(_OWN_MIDDLEWARES),
        "EXTENSIONS": dict.fromkeys(_UNUSED),
        "LOG_ENABLED": False,
        "STATS_DUMP": False,
        "BOT_NAME": "latchpin",
        "URLLENGTH_LIMIT": 8192,
        "REFERRER_POLICY": "strict-origin-when-cross-origin",
        "COOKIES_ENABLED": definition.type == "agent",
    }
