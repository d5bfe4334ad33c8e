"""One crawl, from its specification to its last message."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import tldextract
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares import cookies
from scrapy.exceptions import IgnoreRequest
from twisted.python.failure import Failure

from latchpin.worker.child.channel import Channel
from latchpin.worker.child.crawl_settings import crawl_settings
from latchpin.worker.child.spider import AgentSpider
from latchpin.worker.messages import CrawlResult, CrawlStarted, LogLine
from latchpin.worker.specification import Specification

_log = logging.getLogger("latchpin.run")
_EVERY = 0.5  # seconds between two counts
_LEVELS = {"Fatal": logging.CRITICAL, "Error": logging.ERROR, "Warning": logging.WARNING, "Info": logging.INFO}
_NAMES = {logging.CRITICAL: "Fatal", logging.ERROR: "Error", logging.WARNING: "Warning"}
_FAILURES = {
    "memusage_exceeded": "Took more memory than a run may.",
    "start_error": "The crawl could not begin.",
}

# Scrapy looks up public suffixes for cookies; the package's own list is enough, without downloading a newer one.
cookies._split_domain = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)  # noqa: SLF001  no other way


class PipeHandler(logging.Handler):
    """Sends log records through the pipe, each as one line without a stack trace."""

    def __init__(self, channel: Channel, level: int) -> None:
        super().__init__(level)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one; its cause is added in one line."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text.splitlines()[0]}: {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        level = next((name for number, name in _NAMES.items() if record.levelno >= number), "Info")
        self._channel.send(LogLine(at=record.created, level=level, text=text[:4000]))


async def crawl(specification: Specification, channel: Channel) -> None:
    """Crawl, and report everything to the worker."""
    _log_to(channel, specification.log_level)
    crawler = Crawler(AgentSpider, crawl_settings(specification))
    ended: dict[str, str] = {}

    def note(reason: str) -> None:
        ended["reason"] = reason

    def broken(failure: Failure) -> None:
        _log.error("The page could not be worked on: %s: %s", failure.type.__name__ if failure.type else "error", failure.value)
        if isinstance(crawler.spider, AgentSpider):
            crawler.spider.errors += 1

    crawler.signals.connect(note, signals.spider_closed)
    crawler.signals.connect(broken, signals.spider_error)
    loop = asyncio.get_running_loop()
    channel.attach(loop, lambda: _stop(crawler), silence_seconds=specification.limits.silence_seconds)
    counting = asyncio.create_task(_count(crawler))
    channel.send(CrawlStarted())
    try:
        await crawler.crawl_async(specification=specification, channel=channel)
    finally:
        counting.cancel()
    spider = crawler.spider
    assert isinstance(spider, AgentSpider)  # noqa: S101  the only one there is
    spider.send_counters()
    channel.send(_last_word(spider, ended.get("reason", "finished")))
    channel.flush()


def _stop(crawler: Crawler) -> None:
    """Let the requests that are under way finish, and drop those that wait."""
    spider = crawler.spider
    if not isinstance(spider, AgentSpider) or spider.is_stopping:
        return
    spider.is_stopping = True
    _log.info("Asked to stop; the page at hand is finished.")
    closing: Any = crawler.engine.close_spider_async(reason="stopped")
    spider.closing = asyncio.ensure_future(closing)  # a reference, so that it is not garbage-collected before it is done
    for slot in crawler.engine.downloader.slots.values():
        while slot.queue:
            _request, waiting = slot.queue.popleft()
            waiting.errback(Failure(IgnoreRequest("stopped")))  # type: ignore[no-untyped-call]  # Twisted's


async def _count(crawler: Crawler) -> None:
    while True:
        await asyncio.sleep(_EVERY)
        if isinstance(crawler.spider, AgentSpider):
            crawler.spider.send_counters()


def _last_word(spider: AgentSpider, reason: str) -> CrawlResult:
    fields = dict(spider.fields)
    if reason in _FAILURES:
        return CrawlResult(message=_FAILURES[reason], is_failure=True, fields=fields)
    if reason == "closespider_timeout":
        seconds = spider.definition.limits.max_run_seconds
        return CrawlResult(message=f"Ended at the limit of {seconds:,} seconds (max_run_seconds).", is_failure=False, fields=fields)
    if spider.pages == 0 and not spider.is_stopping:
        return CrawlResult(message=f"No page could be read. {spider.first_problem or ''}".strip(), is_failure=True, fields=fields)
    message = spider.end_reason
    if message is None and spider.definition.record is not None and spider.matches == 0 and not spider.is_stopping:
        message = "No element matched record.selector, so there are no records."
    return CrawlResult(message=message, is_failure=False, fields=fields)


def _log_to(channel: Channel, level: str) -> None:
    """Send our own lines, and the crawler's warnings, to the worker; nothing else is written anywhere."""
    handler = PipeHandler(channel, _LEVELS[level])
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("latchpin.run").setLevel(logging.INFO)
    for quiet in ("scrapy.core.downloader.handlers", "scrapy.core.scraper", "scrapy.downloadermiddlewares", "py.warnings"):
        logging.getLogger(quiet).setLevel(logging.CRITICAL)
