"""The signed address that a download redirects to: valid for some minutes, and needs no Authorization header."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, get
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from latchpin import services
from latchpin.api.parameters import require_each_once
from latchpin.api.routing import database
from latchpin.automation import run_files

_INT64 = 2**63 - 1
_TYPES = {
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


@get(f"{run_files.PATH}/{{file_id:int}}/{{name:str}}", include_in_schema=False, exclude_from_auth=True, before_request=require_each_once)
async def signed_file(
    request: Request[Any, Any, Any],
    file_id: Annotated[int, PathParameter(ge=1, le=_INT64)],
    name: Annotated[str, PathParameter(max_length=400)],
    expires: Annotated[int, QueryParameter(ge=0, le=_INT64)],
    signature: Annotated[str, QueryParameter(max_length=64)],
) -> Stream:
    """Send a file. It holds content of other sites, so the browser downloads it and never displays or runs it as a page of ours."""
    del name
    server = services.of(request)
    async with database(request).read() as session:
        file = await run_files.opened(session, file_id, expires, signature, server.secrets)
    size = await server.engine.store.size(file.storage_key)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
        "Content-Length": str(size),
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    media_type = _TYPES.get(file.name.rpartition(".")[2], "application/octet-stream")
    return Stream(server.engine.store.read(file.storage_key, 0, size), headers=headers, media_type=media_type)


HANDLERS = [signed_file]
