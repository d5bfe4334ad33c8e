"""What an agent definition says, as frozen structs.

Nothing here checks anything: only `definitions.parse` makes a `Definition` that may be trusted.
The bounds stand beside the fields, so that the reader, the tests and the reference agree.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

import msgspec

FORMAT_VERSION: Final = 1

MAX_NAME: Final = 200
MAX_DESCRIPTION: Final = 2_000
MAX_DOCUMENTATION: Final = 20_000
MAX_URL: Final = 2_000
MAX_DEFAULT: Final = 2_000
MAX_SELECTOR: Final = 500
MAX_VALUE: Final = 1_000
MAX_PARAMETERS: Final = 50
MAX_FIELDS: Final = 200
MAX_PAIRS: Final = 50
MAX_DOMAINS: Final = 20

FIRST_BOUNDS: Final = (0, 1_000_000)
LAST_BOUNDS: Final = (0, 10_000_000)
STEP_BOUNDS: Final = (1, 10_000)
LIMIT_BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "max_pages": (1, 100_000),
    "max_records": (1, 10_000_000),
    "max_run_seconds": (1, 86_400),
    "delay_seconds": (0, 300),
    "timeout_seconds": (1, 300),
    "concurrency": (1, 32),
    "retries": (0, 10),
}


class ConfigType(IntEnum):
    """The number the API gives for the kind of a definition."""

    AGENT = 1
    SHARED_FILE = 2
    TEMPLATE = 3
    COMMAND = 4


class AgentType(StrEnum):
    """`agent` crawls; `command` makes exactly one request."""

    AGENT = "agent"
    COMMAND = "command"

    @property
    def config_type(self) -> ConfigType:
        """The number the API shows for this type."""
        return ConfigType.COMMAND if self is AgentType.COMMAND else ConfigType.AGENT


class FieldType(StrEnum):
    """The type into which the text that a field's selector finds is converted."""

    TEXT = "text"
    NUMBER = "number"
    URL = "url"
    DATE = "date"
    HTML = "html"
    BOOLEAN = "boolean"


class PaginationKind(StrEnum):
    """How one list page leads to the next."""

    NONE = "none"
    NEXT_LINK = "next_link"
    PAGE_PARAMETER = "page_parameter"


class Method(StrEnum):
    """The HTTP method of the request to the start URL."""

    GET = "GET"
    POST = "POST"


class DecimalSeparator(StrEnum):
    """The character before the decimals of a number on the page."""

    POINT = "."
    COMMA = ","


class InputParameter(msgspec.Struct, frozen=True, kw_only=True):
    """A value that may change from run to run.

    `default` is None when the value must be given at run time, which is always so for an encrypted parameter.
    """

    name: str
    description: str | None = None
    default: str | None = None
    encrypted: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """How the start URL is requested. Header and form values may hold `{parameter}` placeholders."""

    method: Method = Method.GET
    headers: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, str], ...] = ()
    obey_robots: bool = True


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a record. Without `selector` it is read from the record's own element."""

    name: str
    selector: str | None = None
    type: FieldType = FieldType.TEXT
    attribute: str | None = None
    required: bool = False
    many: bool = False
    decimal_separator: DecimalSeparator = DecimalSeparator.POINT
    date_format: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Where records are on a page: every element that `selector` finds is one."""

    selector: str
    fields: tuple[Field, ...]


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """A link inside the record to a page with more fields; their selectors start at that page's root."""

    selector: str
    fields: tuple[Field, ...]


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """The way to further list pages.

    `selector` belongs to `next_link`; `parameter`, `first`, `last` and `step` belong to `page_parameter`.
    `last` is the last value of the parameter, not a number of pages; None: until a page has no records.
    """

    kind: PaginationKind = PaginationKind.NONE
    selector: str | None = None
    parameter: str | None = None
    first: int = 1
    last: int | None = None
    step: int = 1


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a run stops by itself: `timeout_seconds` is for one request, `max_run_seconds` for a run."""

    max_pages: int = 100
    max_records: int = 10_000
    max_run_seconds: int = 3_600
    delay_seconds: float = 1.0
    timeout_seconds: int = 30
    concurrency: int = 2
    retries: int = 2


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """One whole agent definition. `record` is None only for a command."""

    version: int = FORMAT_VERSION
    type: AgentType = AgentType.AGENT
    name: str
    description: str | None = None
    documentation: str | None = None
    start_url: str
    allowed_domains: tuple[str, ...] = ()
    input_parameters: tuple[InputParameter, ...] = ()
    request: Request = Request()
    record: Record | None = None
    follow: Follow | None = None
    pagination: Pagination = Pagination()
    limits: Limits = Limits()

    @property
    def config_type(self) -> ConfigType:
        """The number the API shows for this definition's type."""
        return self.type.config_type
