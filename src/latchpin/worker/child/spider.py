"""The one spider: it does what an agent's definition says, and sends the worker what it finds."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector
from scrapy import FormRequest, Request, Spider
from scrapy.exceptions import CloseSpider, IgnoreRequest
from scrapy.http import Response, TextResponse
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from latchpin.automation import extraction
from latchpin.automation.definition_model import AgentType, Method, PaginationKind
from latchpin.automation.extraction import ListedRecord, Page
from latchpin.automation.extraction.links import fill
from latchpin.worker.child.channel import Channel
from latchpin.worker.child.problems import problem_of
from latchpin.worker.messages import CrawlCounters, ScrapedRecord
from latchpin.worker.specification import Specification

_log = logging.getLogger("latchpin.run")
OUTSIDE = "is outside of the allowed domains"
_DETAILS_FIRST = 10  # priority: pages with a record's further fields come before further lists


class AgentSpider(Spider):
    """A crawl by a definition. `end_reason` says which of its limits ended it; `first_problem` why the first page failed."""

    name = "agent"

    def __init__(self, specification: Specification, channel: Channel, **kwargs: Any) -> None:  # noqa: ANN401  Scrapy's own
        super().__init__(**kwargs)
        self.specification, self.channel = specification, channel
        self.definition = specification.definition
        self.start_address = extraction.start_address(self.definition.start_url, specification.input)
        self.domains = [*self.definition.allowed_domains, urlsplit(self.start_address).hostname or ""]
        self.pages = self.records = self.errors = self.actions = self.matches = 0
        self.fields: Counter[str] = Counter()
        self.end_reason: str | None = None
        self.first_problem: str | None = None
        self.is_stopping = False
        self.closing: asyncio.Future[Any] | None = None
        self._requested = 0
        self._visited: set[str] = set()

    async def start(self) -> AsyncIterator[Request]:
        """Begin with the start URL, or with its first numbered page."""
        pagination = self.definition.pagination
        number = pagination.first if pagination.kind is PaginationKind.PAGE_PARAMETER else None
        request = self._list_request(self._numbered(number), number)
        if request is not None:
            yield request

    def read_list(self, response: Response, number: int | None = None) -> Iterator[Request]:
        """Take the records of a list page, and request the pages that they link to and the next page."""
        page = self._page(response)
        if page is None or self.definition.record is None:
            return
        count = 0
        for record in extraction.take_records(page, self.definition.record, self.definition.follow):
            count += 1
            request = self._detail_request(record)
            if request is not None:
                yield request
            else:
                self._emit(record.values if self.definition.follow is None else self._without_details(record))
        self.matches += count
        _log.info("%s: %d %s", response.url, count, "record" if count == 1 else "records")
        following = self._next_request(page, number, count)
        if following is not None:
            yield following

    def read_details(self, response: Response, record: ListedRecord) -> None:
        """Add the fields of the page that a record links to."""
        page, follow = self._page(response), self.definition.follow
        if page is None or follow is None:
            self._emit(self._without_details(record))
            return
        self._emit({**record.values, **extraction.take_fields(page, page.root, follow.fields)})

    def failed(self, failure: Failure) -> None:
        """Record a page that could not be read; its record is sent without it."""
        request: Request = failure.request  # type: ignore[attr-defined]  # Scrapy adds it
        if self.is_stopping and isinstance(failure.value, IgnoreRequest):
            return
        self._problem(request.url, _reason(failure))
        record = request.cb_kwargs.get("record")
        if record is not None:
            self._emit(self._without_details(record))

    def send_counters(self) -> None:
        """Send the worker the crawl's totals so far."""
        self.channel.send(CrawlCounters(pages=self.pages, dynamic_pages=0, actions=self.actions, errors=self.errors))

    def _page(self, response: Response) -> Page | None:
        self.pages += 1
        self.actions += 1
        if self.definition.record is None:
            return None
        if not isinstance(response, TextResponse):
            self._problem(response.url, "is not a page that can be read: it holds no text")
            return None
        selector: Selector = response.selector
        if selector.type == "json":
            self._problem(response.url, "is JSON, and the record's selector reads HTML")
            return None
        return Page.of(selector, response.text, response.url)

    def _emit(self, values: dict[str, Any]) -> None:
        follow = self.definition.follow
        assert self.definition.record is not None  # noqa: S101  without it there is no record
        fields = (*self.definition.record.fields, *(follow.fields if follow else ()))
        lacking = extraction.complete(values, fields)
        if lacking:
            self.errors += 1
            _log.warning("A record without %s was left out.", ", ".join(lacking))
            return
        if self.records >= self.definition.limits.max_records:
            self._end(f"Ended at the limit of {self.records:,} records (max_records).")
        self.records += 1
        self.actions += 1
        self.fields.update(name for name, value in values.items() if value not in (None, [], False))
        self.channel.send(ScrapedRecord(values=values))
        if self.records >= self.definition.limits.max_records:
            self._end(f"Ended at the limit of {self.records:,} records (max_records).")

    def _end(self, reason: str) -> None:
        self.end_reason = self.end_reason or reason
        raise CloseSpider("limit")

    def _without_details(self, record: ListedRecord) -> dict[str, Any]:
        follow = self.definition.follow
        empty: dict[str, Any] = {field.name: [] if field.many else None for field in follow.fields} if follow else {}
        return {**record.values, **empty}

    def _problem(self, url: str, reason: str) -> None:
        self.errors += 1
        text = f"{url} {reason}"
        if self.pages == 0 or self.first_problem is None:
            self.first_problem = self.first_problem or text
        _log.warning("%s", text)

    def _may_request(self) -> bool:
        most = self.definition.limits.max_pages
        if self._requested >= most:
            self.end_reason = self.end_reason or f"Ended at the limit of {most:,} pages (max_pages)."
            return False
        self._requested += 1
        return True

    def _numbered(self, number: int | None) -> str:
        if number is None:
            return self.start_address
        return extraction.page_address(self.start_address, self.definition.pagination, number)

    def _list_request(self, url: str, number: int | None, *, is_first: bool = True) -> Request | None:
        if not self._may_request():
            return None
        self._visited.add(url)
        chosen = self.definition.request
        arguments: dict[str, Any] = {"callback": self.read_list, "errback": self.failed, "cb_kwargs": {"number": number}}
        if chosen.method is Method.POST and (is_first or number is not None):
            form = {name: fill(value, self.specification.input) for name, value in chosen.form}
            return FormRequest(url, method="POST", formdata=form, **arguments)
        return Request(url, **arguments)

    def _next_request(self, page: Page, number: int | None, count: int) -> Request | None:
        pagination = self.definition.pagination
        if self.definition.type is AgentType.COMMAND:
            return None
        if pagination.kind is PaginationKind.PAGE_PARAMETER and number is not None:
            following = number + pagination.step
            if (count == 0 and pagination.last is None) or (pagination.last is not None and following > pagination.last):
                return None
            return self._list_request(self._numbered(following), following, is_first=False)
        address = extraction.next_address(page, pagination)
        if address is None or address in self._visited:
            return None
        return self._list_request(address, None, is_first=False)

    def _detail_request(self, record: ListedRecord) -> Request | None:
        if record.follow is None or not self._may_request():
            return None
        arguments: dict[str, Any] = {"callback": self.read_details, "errback": self.failed, "cb_kwargs": {"record": record}}
        return Request(record.follow, priority=_DETAILS_FIRST, **arguments)


def _reason(failure: Failure) -> str:
    """Return why a request failed, as words that follow its URL."""
    error = failure.value
    if error is None:
        return "could not be read"
    if isinstance(error, HttpError):
        return f"answered {error.response.status}"
    if isinstance(error, IgnoreRequest):
        text = str(error)
        return "is not allowed by the site's robots.txt" if "robots.txt" in text else text if text == OUTSIDE else f"was left out: {text}"
    return f"could not be read: {problem_of(error)}"
