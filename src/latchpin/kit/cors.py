"""What scripts of other sites may send us (Fetch, CORS protocol). Cookies are never let: no answer names a single origin."""

from __future__ import annotations

# What clients in browsers send besides what every script may: tokens, JSON, proofs, and the Model Context Protocol's version.
REQUEST_HEADERS = "accept, authorization, content-type, dpop, mcp-protocol-version"
PREFLIGHT_SECONDS = "7200"  # as long as Chromium keeps an answer
