"""`python -m bench.large`: how long pages, lists, filters and searches take with 1,000,000 keys, 1,000,000 audit events and 5,000 users.

The rows go in past the application, in bulk, as it would have written them: the audit trail's chain is whole, so `latchpin audit verify`
can be measured as well. No statistics are gathered by hand. See bench/README.md for the settings.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from bench import bulk, data, process, processor
from latchpin import settings
from latchpin.audit import Origin, chain
from latchpin.identity import api_keys, credentials, sessions
from latchpin.kit import clock
from latchpin.kit.pages import encode_cursor
from latchpin.settings import Settings
from latchpin.storage import Database, secrets
from latchpin.storage.models import ApiKey, AuditEvent, User

USERS = int(os.environ.get("BENCH_USERS", "5000"))
KEYS_OF_ONE = api_keys.MOST_PER_USER
EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
TIMES = int(os.environ.get("BENCH_TIMES", "9"))
GOAL_MS = 50
READERS = 14
FIRST_LOOKS = 5_000
_SECONDS = 5
_YEAR = timedelta(days=365)
_random = random.Random(9)
# What happens, how often in a thousand, and how it ends; what belongs to nobody is refused before anybody is known.
_ACTIONS = (
    ("api_key.used", 900, "done"),
    ("session.signed_in", 50, "done"),
    ("api_key.refused", 30, "refused"),
    ("api_key.created", 10, "done"),
    ("session.sign_in_refused", 8, "refused"),
    ("api_key.used", 1, "failed"),
    ("api_key.revoked", 1, "done"),
)
CASES = (
    "/",
    "/audit",
    "/audit?cursor={middle}",
    "/audit?actor={user}",
    "/audit?action=user.deleted",
    "/audit?outcome=failed",
    "/audit?outcome=refused&action=session.sign_in_refused",
    "/audit?credential=command_line",
    "/audit?name=no+such+name",
    "/audit?address=203.0.113.250",
    "/audit?since={day}&until={day}",
    "/audit?since=2099-01-01",
    "/audit?until=2001-01-01",
    "/audit?target=api_key%3A{key}",
    "/audit?through=api_key%3A{key}",
    "/organization/users",
    "/organization/users?page=90",
    "/organization/users?q=4321",
    "/organization/users?q=no+such+name",
    "/organization/users?sort=keys&order=desc",
    "/organization/users/{user}",
    "/organization/users/{user}/api-keys",
    "/organization/policy",
    "/organization/apps",
    "/spaces",
    "/api/v1/admin/audit",
    "/api/v1/admin/audit?cursor={middle}",
    "/api/v1/admin/audit?action=api_key.",
    "/api/v1/admin/audit?action=space.",
    "/api/v1/admin/audit?outcome=failed",
    "/api/v1/admin/audit?actorId={user}&outcome=failed",
    "/api/v1/admin/audit?credentialKind=client",
    "/api/v1/admin/audit?search=no+such+name",
    "/api/v1/admin/audit?search=user+4321",
    "/api/v1/admin/audit?since=2099-01-01",
    "/api/v1/admin/users?recordsPerPage=200",
    "/api/v1/admin/users?search=user+4321",
    "/api/v1/admin/users?sortColumn=keys&sortOrder=1",
    "/api/v1/admin/users/{user}/keys",
    "/api/v1/admin/keys/{key}",
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the requests need: the cookie of an administrator's session, keys that nobody has used yet, and ids that exist."""

    cookie: str
    keys: list[str]
    ids: dict[str, str]


def _columns(model: Any) -> list[str]:  # noqa: ANN401  a mapped class
    return [column.name for column in model.__table__.columns]


def _users(first: dict[str, Any], now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(1, USERS + 1):
        email = f"user.{number}@example.com"
        name = f"User {number} {_random.choice(('Ames', 'Baker', 'Curie', 'Dirac', 'Euler'))}"
        own = {"full_name": name, "email": email, "email_key": email, "user_group": "User", "last_sign_in_at": None}
        yield {**first, **own, "id": first["id"] + number, "created_at": now - _random.random() * _YEAR}


def _keys(first: dict[str, Any], now: datetime, digests: list[bytes]) -> Iterator[dict[str, Any]]:
    for number in range(USERS * KEYS_OF_ONE):
        is_known = number < len(digests)
        created = now if is_known else now - _random.random() * _YEAR
        is_revoked = not is_known and _random.random() < 0.1
        own = {
            "id": first["id"] + 1 + number,
            "user_id": 2 + number // KEYS_OF_ONE,
            "digest": digests[number] if is_known else _random.randbytes(32),
            "prefix": f"sk-lp_{number % 10_000:04d}",
            "description": f"Job {number}",
            "idempotency_key": None,
            "created_at": created,
            "expires_at": created + 0.9 * _YEAR,
            "revoked_at": now if is_revoked else None,
            "revoked_by_name": "Bench" if is_revoked else None,
            "revoked_reason": "no longer used" if is_revoked else None,
        }
        yield {**first, **own}


def _events(last: chain.Checkpoint, organization_id: int, now: datetime) -> Iterator[dict[str, Any]]:
    actions = [(name, outcome) for name, often, outcome in _ACTIONS for _ in range(often)]
    chain_value = last.chain
    for number in range(EVENTS):
        action, outcome = _random.choice(actions)
        user, key = 2 + _random.randrange(USERS), 2 + _random.randrange(USERS * KEYS_OF_ONE)
        is_unknown = action == "session.sign_in_refused"
        by_key = action.startswith("api_key.") and action not in ("api_key.created", "api_key.revoked")
        row = {
            "id": last.id + 1 + number,
            "at": now - _YEAR + number / EVENTS * _YEAR,
            "organization_id": None if is_unknown else organization_id,
            "action": action,
            "outcome": outcome,
            "reason": "GET /api/v1/agent/all" if by_key else None,
            "actor_id": None if is_unknown else user,
            "actor_name": "unknown" if is_unknown else f"user.{user - 1}@example.com",
            "credential_kind": "none" if is_unknown else "api_key" if by_key else "session",
            "credential_id": None if is_unknown else key if by_key else user,
            "credential_name": "" if is_unknown else f"Job {key} (sk-lp_{key % 10_000:04d}...)" if by_key else "browser session",
            "target_kind": "user" if action.startswith("session.") else "api_key",
            "target_id": user if action.startswith("session.") else key,
            "target_name": f"user.{user - 1}@example.com" if action.startswith("session.") else f"Job {key} (sk-lp_{key % 10_000:04d}...)",
            "address": f"203.0.113.{_random.randrange(250)}",
            "user_agent": "python-httpx/0.28",
            "request_id": f"{number:032x}",
            "changes": None,
            "count": 1 + _random.randrange(50),
        }
        chain_value = chain.link(chain_value, row)
        yield {**row, "chain": chain_value}


async def make(chosen: Settings) -> Deployment:
    """Make the deployment and fill it; PostgreSQL's is the one that BENCH_DATABASE_URL names, and is empty before."""
    await data.make(chosen)
    deployment_secrets = secrets.load(chosen.secrets_file)
    chain.use_key(deployment_secrets.derive("audit"))
    database = Database(chosen)
    async with database.transaction() as session:
        first_user = dict((await session.execute(select(User.__table__).order_by(User.id).limit(1))).mappings().one())
        first_key = dict((await session.execute(select(ApiKey.__table__).order_by(ApiKey.id).limit(1))).mappings().one())
        user = await session.get_one(User, first_user["id"])
        opened = await sessions.open_(session, user, chosen, Origin("127.0.0.1"))
    async with database.read() as session:
        last = await chain.newest(session) or chain.Checkpoint(0, chain.FIRST)
    now, organization_id = clock.now(), first_user["organization_id"]
    new_keys = [credentials.new_api_key() for _ in range(min(FIRST_LOOKS, USERS * KEYS_OF_ONE))]
    pepper = deployment_secrets.peppers[deployment_secrets.current_pepper]
    digests = [credentials.key_digest(each.encode(), pepper) for each in new_keys]
    for model, rows in (
        (User, _users(first_user, now)),
        (ApiKey, _keys(first_key, now, digests)),
        (AuditEvent, _events(last, organization_id, now)),
    ):
        began = time.monotonic()
        count = await bulk.add(chosen, model.__table__, _columns(model), rows)
        print(f"  {count:,} rows of {model.__tablename__} in {time.monotonic() - began:.0f} s", flush=True)
    ids = {
        "middle": encode_cursor(last.id + EVENTS // 2),
        "user": str(first_user["id"] + USERS // 2),
        "key": str(first_key["id"] + 1 + USERS * KEYS_OF_ONE // 2),
        "day": (now - _YEAR / 2).date().isoformat(),
    }
    await database.close()
    return Deployment(f"{sessions.cookie_name(chosen)}={opened.token}", new_keys, ids)


class Client:
    """One connection that is kept."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = dict(headers)

    def milliseconds(self, path: str, **headers: str) -> float:
        """Ask once; raises RuntimeError for an answer that is not 200."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers | headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            message = f"{response.status} for {path}: {body[:300]!r}"
            raise RuntimeError(message)
        return (time.perf_counter() - began) * 1000


def _print_cases(url: str, deployment: Deployment) -> None:
    client = Client(url, {"Cookie": deployment.cookie, "Sec-Fetch-Site": "same-origin"})
    over = 0
    print(f"  {'each alone, one after another':60} processor   at best   median (milliseconds; the processor's with the database's)")
    for case in CASES:
        path = case.format(**deployment.ids)
        first = client.milliseconds(path)
        before = processor.milliseconds()
        times = sorted(client.milliseconds(path) for _ in range(TIMES))
        used = (processor.milliseconds() - before) / TIMES
        over += used > GOAL_MS
        mark = "" if used <= GOAL_MS else "  OVER"
        print(f"  {case:60} {used:8.1f} ms   {times[0]:8.1f} {statistics.median(times):8.1f}   first {first:8.1f}{mark}", flush=True)
    print(f"  {len(CASES) - over} of {len(CASES)} within {GOAL_MS} ms")


def _first_looks(url: str, keys: list[str]) -> str:
    client, times, end = Client(url, {}), [], time.monotonic() + _SECONDS
    while keys and time.monotonic() < end:
        times.append(client.milliseconds("/api/v1/bench/trivial", Authorization=f"ApiKey {keys.pop()}"))
    times.sort()
    return f"p50 {times[len(times) // 2]:.1f} ms   p99 {times[len(times) * 99 // 100]:.1f} ms   ({len(times)} keys)"


def _print_crowd(url: str, deployment: Deployment) -> None:
    """Tell how long keys that nobody has used yet wait, alone and beside many people who read the audit log."""
    keys = list(deployment.keys)
    half = keys[: len(keys) // 2]
    print(f"  first looks at keys, alone                 {_first_looks(url, half)}")
    stop = threading.Event()

    def read() -> None:
        client = Client(url, {"Cookie": deployment.cookie, "Sec-Fetch-Site": "same-origin"})
        while not stop.is_set():
            client.milliseconds("/audit?name=no+such+name")

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        print(f"  first looks beside {READERS} readers of /audit     {_first_looks(url, keys[len(keys) // 2 :])}")
    finally:
        stop.set()
        for reader in readers:
            reader.join()


def _environ(data_dir: Path, **more: str) -> dict[str, str]:
    if url := os.environ.get("BENCH_DATABASE_URL"):
        more["database_url"] = url
    return data.environ(data_dir, **more)


def _print_command(data_dir: Path, *command: str) -> None:
    began = time.monotonic()
    environ = {**os.environ, **_environ(data_dir)}
    done = subprocess.run([sys.executable, "-m", "latchpin", *command], env=environ, capture_output=True, text=True, check=False)
    how = "" if done.returncode == 0 else f"   exit code {done.returncode}: {done.stderr[-300:]}"
    print(f"  {'latchpin ' + ' '.join(command):64} {time.monotonic() - began:9.1f} s{how}", flush=True)


def run(data_dir: Path) -> None:
    """Make the deployment unless it is there, measure, and print."""
    chosen, kept = settings.load(_environ(data_dir)), data_dir / "large.json"
    if kept.exists():
        deployment = Deployment(**json.loads(kept.read_text()))
    else:
        deployment = asyncio.run(make(chosen))
        kept.write_text(json.dumps(asdict(deployment)))
    url = f"http://127.0.0.1:{data.PORT}"
    with process.latchpin(_environ(data_dir, session_idle_minutes="1440"), data_dir / "server.log", core=None):
        _print_cases(url, deployment)
        _print_crowd(url, deployment)
    _print_command(data_dir, "user", "list", "--json")
    _print_command(data_dir, "audit", "verify")


def main() -> None:
    """Run in BENCH_PLACE, which is kept for the next run, or in a directory that is removed."""
    print(
        "PostgreSQL" if os.environ.get("BENCH_DATABASE_URL") else "SQLite",
        f"{USERS:,} users, {USERS * KEYS_OF_ONE:,} keys, {EVENTS:,} events",
    )
    place = os.environ.get("BENCH_PLACE")
    with nullcontext(place) if place else tempfile.TemporaryDirectory(prefix="latchpin-large-") as data_dir:
        run(Path(data_dir))


if __name__ == "__main__":
    main()
