"""What scripts of other sites may send (Fetch, CORS protocol). Cookies are never allowed: no response names a single origin."""

from __future__ import annotations

# Headers that clients in browsers need: tokens, JSON, DPoP proofs, and the Model Context Protocol's version.
REQUEST_HEADERS = "accept, authorization, content-type, dpop, mcp-protocol-version"
PREFLIGHT_SECONDS = "7200"  # the longest time that Chromium caches a preflight response
