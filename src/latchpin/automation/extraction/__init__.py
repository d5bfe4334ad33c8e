"""Taking records and links out of pages. Pure: a parsed page in, plain values out, without network and without database."""

from latchpin.automation.extraction.links import follow_address, next_address, page_address, start_address
from latchpin.automation.extraction.page import Page
from latchpin.automation.extraction.records import ListedRecord, complete, take_fields, take_records

__all__ = [
    "ListedRecord",
    "Page",
    "complete",
    "follow_address",
    "next_address",
    "page_address",
    "start_address",
    "take_fields",
    "take_records",
]
