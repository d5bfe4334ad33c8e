"""Downloader middlewares: allowed domains, the agent's own headers for its start host only, and the list of requests."""

from __future__ import annotations

import time
from typing import Self
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response

from latchpin.automation.extraction.links import fill
from latchpin.worker.child.problems import is_forbidden, problem_of
from latchpin.worker.child.spider import OUTSIDE, AgentSpider
from latchpin.worker.messages import RequestLog

_MOST_URL = 2_000
_BEGAN = "latchpin_began"


class AllowedDomainsMiddleware:
    """Refuses what is outside of the allowed domains, redirects included.

    Scrapy's own middleware drops such a request silently when it is scheduled, and the spider's record would be lost.
    """

    def __init__(self, spider: AgentSpider) -> None:
        self._domains = tuple(each.lower() for each in spider.domains)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Make it for one crawl."""
        return cls(_spider(crawler))

    def process_request(self, request: Request) -> None:
        """Refuse a request to a host that is neither one of the domains nor a subdomain of one."""
        host = (urlsplit(request.url).hostname or "").lower()
        if not any(host == each or host.endswith(f".{each}") for each in self._domains):
            raise IgnoreRequest(OUTSIDE)


class AgentHeadersMiddleware:
    """Sends the headers of the definition, which may hold credentials, to the host of the start URL and to no other.

    It comes after the one for cookies, which would drop a Cookie header, and sees redirected requests as well.
    """

    def __init__(self, spider: AgentSpider) -> None:
        specification = spider.specification
        self._origin = _origin(spider.start_address)
        self._headers = {name: fill(value, specification.input) for name, value in specification.definition.request.headers}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Make it for one crawl."""
        return cls(_spider(crawler))

    def process_request(self, request: Request) -> None:
        """Add the headers, or remove those that a redirect has copied."""
        at_home = _is_home(request.url, self._origin)
        for name, value in self._headers.items():
            encoded = value.encode()
            if not at_home:
                if request.headers.get(name) == encoded:
                    del request.headers[name]
            elif name.lower() == "cookie" and (cookie := request.headers.get(name)) not in (None, encoded):
                request.headers[name] = b"; ".join((encoded, cookie or b""))
            else:
                request.headers[name] = encoded


def _spider(crawler: Crawler) -> AgentSpider:
    assert isinstance(crawler.spider, AgentSpider)  # noqa: S101  this process has no other
    return crawler.spider


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _is_home(url: str, origin: tuple[str, str | None, int | None]) -> bool:
    """Whether an address is on the start URL's host; also from http to https on the default ports, never the other way."""
    url_origin = _origin(url)
    return url_origin == origin or (origin[0] == "http" and origin[2] is None and url_origin == ("https", origin[1], None))


class RequestLogMiddleware:
    """Reports each request to the worker when its response has come. It is nearest to the network, so it sees retries and redirects."""

    def __init__(self, spider: AgentSpider) -> None:
        self._spider = spider

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Make it for one crawl."""
        return cls(_spider(crawler))

    def process_request(self, request: Request) -> None:
        """Record when the request was sent."""
        request.meta[_BEGAN] = time.time()

    def process_response(self, request: Request, response: Response) -> Response:
        """Report a response."""
        self._send_log(request, response.status, len(response.body))
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:
        """Report a request without a response; a forbidden one is not retried."""
        if is_forbidden(exception):
            request.meta["dont_retry"] = True
        self._send_log(request, None, 0, problem_of(exception))

    def _send_log(self, request: Request, status: int | None, size: int, error: str | None = None) -> None:
        now = time.time()
        started_at = request.meta.get(_BEGAN, now)
        url = request.url if len(request.url) <= _MOST_URL else f"{request.url[:_MOST_URL]}..."
        message = RequestLog(
            at=started_at, method=request.method, url=url, status=status, ms=round((now - started_at) * 1000), bytes=size, error=error
        )
        self._spider.channel.send(message)
