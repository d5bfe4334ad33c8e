"""What clients of plain HTTP are given in place of the machine's certificates."""

from __future__ import annotations

import ssl

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading all authorities for each client, or each `httpx.get`, takes 30 ms
