"""Whether our own pages sent a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from latchpin import settings
from latchpin.kit import same_origin


@pytest.mark.parametrize(
    ("public_url", "found"),
    [
        ("http://127.0.0.1:8080", {b"http://127.0.0.1:8080", b"http://localhost:8080"}),
        ("http://localhost", {b"http://localhost", b"http://127.0.0.1"}),
        ("https://latchpin.example", {b"https://latchpin.example"}),
        ("http://localhost.corp.example", {b"http://localhost.corp.example"}),
    ],
)
def test_both_names_of_the_loopback_are_ours_and_no_other_host(tmp_path: Path, public_url: str, found: set[bytes]) -> None:
    """A host whose name only begins like the loopback's is somebody else."""
    assert same_origin.own_origins(settings.load({}, data_dir=tmp_path, public_url=public_url)) == found


@pytest.mark.parametrize(
    ("method", "request_headers", "allowed"),
    [
        ("GET", {}, True),
        ("POST", {}, False),
        ("POST", {b"sec-fetch-site": b"same-origin"}, True),
        ("POST", {b"sec-fetch-site": b"same-site", b"origin": b"http://ours"}, False),
        ("POST", {b"origin": b"http://ours"}, True),
        ("DELETE", {b"origin": b"null"}, False),
    ],
)
def test_only_our_pages_may_change(method: str, request_headers: dict[bytes, bytes], allowed: bool) -> None:
    """Sec-Fetch-Site decides where it comes, else Origin does; neither is not one of our pages."""
    assert same_origin.may_change(method, request_headers, frozenset({b"http://ours"})) is allowed
