"""A child process's task: one JSON document that the worker sends to its standard input."""

from __future__ import annotations

import msgspec

from latchpin.automation.definition_model import Definition


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a run may take. `silence_seconds`: a child that hears nothing from its worker for so long ends itself."""

    memory_mb: int
    download_bytes: int
    silence_seconds: float


class Specification(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one run. `input` holds secrets: it is never logged. `networks` may be reached besides public addresses."""

    definition: Definition
    input: dict[str, str]
    user_agent: str
    obey_robots: bool
    networks: tuple[str, ...]
    limits: Limits
    log_level: str


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Specification).decode
