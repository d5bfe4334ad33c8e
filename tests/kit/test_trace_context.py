"""The `traceparent` header, read as W3C Trace Context asks."""

from __future__ import annotations

import pytest

from latchpin.kit import trace_context
from latchpin.kit.trace_context import TraceContext

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SOUND = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize("header", [SOUND, f"00-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-01-what-comes"])
def test_a_sound_header_names_trace_and_step(header: str) -> None:
    """Version 00, and what a later version keeps of it (section 3.2.4)."""
    assert trace_context.parse(header.encode()) == TraceContext(TRACE, PARENT)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        SOUND.upper(),
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"01-{TRACE}-{PARENT}-01more",
        f"01-{TRACE}-{PARENT}-01-{'x' * 500}",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f" {SOUND}",
        f"{SOUND}\n{SOUND}",
        f"01-{TRACE}-{PARENT}-01-\n01-{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
    ],
)
def test_any_other_is_no_trace(header: str | None) -> None:
    """Wrong signs, lengths and versions, nothing but zeros, and a header that came twice (section 3.2.2.3)."""
    assert trace_context.parse(None if header is None else header.encode()) is None
