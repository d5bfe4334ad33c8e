"""Prepares a taken run: the specification for its child, and the files that it writes."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote, quote_plus

import latchpin
from latchpin.automation import definitions, run_files, run_inputs
from latchpin.automation.run_leases import TakenRun
from latchpin.errors import Invalid
from latchpin.kit.sealing import DecryptionError
from latchpin.settings import Settings
from latchpin.storage import Session
from latchpin.storage.models.run import RunFileType
from latchpin.worker.context import WorkerContext
from latchpin.worker.output import GrowingFile, RunOutput
from latchpin.worker.specification import Limits, Specification

_MIB = 1024 * 1024


class NotPrepared(Exception):
    """The run cannot begin; the text says why, for people."""


async def specify(context: WorkerContext, taken: TakenRun) -> Specification:
    """Return the child's specification; raises NotPrepared."""
    settings = context.settings
    try:
        definition = await asyncio.to_thread(definitions.parse, taken.definition)
        run_input = run_inputs.load(taken.run, context.secrets)
    except Invalid as error:
        raise NotPrepared(f"Version {taken.run.config_version} of the agent cannot be read by this version: {error.detail}") from None
    except DecryptionError:
        raise NotPrepared(
            "The run's encrypted input was sealed under other secrets than this worker has (LATCHPIN_SECRETS_FILE)."
        ) from None
    except LookupError:
        raise NotPrepared("The run's input was removed.") from None
    return Specification(
        definition=definition,
        input={**run_input.plain, **run_input.encrypted},
        user_agent=user_agent(settings),
        obey_robots=definition.request.obey_robots or not settings.agents_may_ignore_robots,
        networks=tuple(map(str, settings.agent_networks)),
        limits=Limits(
            memory_mb=settings.run_memory_mb,
            download_bytes=settings.run_download_mb * _MIB,
            silence_seconds=context.hold_seconds,
        ),
        log_level=taken.run.log_level.value,
    )


def user_agent(settings: Settings) -> str:
    """Return the User-Agent of agents: the product, and where a site's owner finds a contact."""
    return f"Latchpin/{latchpin.__version__} (+{settings.agent_contact or settings.public_url})"


async def open_files(context: WorkerContext, session: Session, taken: TakenRun) -> RunOutput:
    """Record the files of an attempt in its row's own transaction, and return the RunOutput that writes them."""
    settings, lease = context.settings, taken.lease
    ending = "" if lease.fencing_token == 1 else f"-{lease.fencing_token}"
    kinds = (
        ("records", RunFileType.INTERNAL_EXPORT_FILES, f"records{ending}.jsonl", settings.run_output_mb),
        ("log", RunFileType.LOG_TEXT, f"log{ending}.txt", settings.run_log_mb),
        ("requests", RunFileType.INTERNAL_RUNTIME_FILES, f"requests{ending}.jsonl", settings.run_log_mb),
    )
    files = {}
    for word, kind, name, most in kinds:
        row = await run_files.add(session, lease, kind, name)
        files[word] = GrowingFile(kind, name, row.storage_key, most * _MIB, file_id=row.id)
    secret_values: list[str] = []
    with contextlib.suppress(DecryptionError, LookupError):  # reported when the specification is made
        secret_values = list(run_inputs.load(taken.run, context.secrets).encrypted.values())
    return RunOutput(context.store, files, [form for value in secret_values for form in (value, quote(value), quote_plus(value))])
