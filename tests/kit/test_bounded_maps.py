"""What a process remembers by what strangers choose is bounded: each map of the source is listed with its bound, and filled to it."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import latchpin
from latchpin.asgi.body_budget import BodyBudget
from latchpin.audit import Origin
from latchpin.identity import sign_in_load, tallies
from latchpin.identity.activity import MOST_KNOWN_REFUSALS, MOST_REFUSALS, Activity
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.identity.sign_in_load import MOST_SHED_KINDS, ShedLog, TargetUser
from latchpin.identity.verified import CredentialCache, RejectedCredential, RejectionReason, Verified
from latchpin.kit import clock, rate_limit
from latchpin.kit.cache import CAPACITY, Cache
from latchpin.kit.rate_limit import InProcess
from latchpin.verify import InvalidProof, proof

SOURCE = Path(latchpin.__file__).parent
REQUEST = "made for one request"
IN_FLIGHT = "one entry for each request that is under way, removed at its end"
OURS = "keyed by what our own source or an administrator says"
# Commands and workers answer no stranger; what an agent's definition or a site makes a worker hold is bounded by the run's own limits.
NOT_SERVED = ("cli/", "worker/", "automation/run_queue/")
BOUNDS = {
    "AccessLog._lines": "written twenty times a second",
    "Activity._last_used": "keyed by credentials that are in the database, and written twice a second",
    "LoginContext.headers": REQUEST,
    "BodyBudget._of_subnet": IN_FLIGHT,
    "Cache._entries": "filled below",
    "CountedLines._lines": OURS,
    "Cursor._rows": REQUEST,
    "ClientFields.spaces": REQUEST,
    "Event.changes": REQUEST,
    "Fetcher._running": IN_FLIGHT,
    "Form.errors": REQUEST,
    "FieldValidation.problems": REQUEST,
    "Form.values": REQUEST,
    "RateLimiter._headers_by_limit": "emptied at its cap",
    "InProcess._windows": "filled below",
    "Introspector._cache": "the oldest makes room",
    "NewRun.input": REQUEST,
    "Problem.errors": REQUEST,
    "ProblemType.more": OURS,
    "Problems.problems": REQUEST,
    "PublishedKeys._keys": "keyed by the issuer's own keys",
    "ProcessMonitor._children": OURS,
    "Queue._waiting": IN_FLIGHT,
    "RequestContext.headers": REQUEST,
    "Scan.visible": REQUEST,
    "Section.keys": REQUEST,
    "Section.values": REQUEST,
    "SingleFlight._running": IN_FLIGHT,
    "Counters._exact": "filled below",
    "Counters._owned": "filled below",
    "Counters._rest": "keyed by organization, kind and reason",
    "Counters._totals": "filled below",
    "ShedLog._waiting": "filled below",
    "UsedProofs._waiting": IN_FLIGHT,
    "PageContext.entries": REQUEST,
    "_InMemoryUses._until": "filled below",
    "_Ring.heads": "keyed by headers that we signed ourselves",
    "_by_digest": "keyed by the number of peppers",
    "_decoder": OURS,
    "_enterable": "keyed by four truth values",
    "_visible": "keyed by four truth values",
    "_running": IN_FLIGHT,
    "agents_in": "keyed by four truth values",
    "spaces_in": "keyed by four truth values",
}
_GROWING = {"dict", "set", "list", "defaultdict", "OrderedDict", "Counter", "deque", "WeakKeyDictionary", "WeakValueDictionary"}


def _grows(value: ast.expr | None) -> bool:
    """Whether a value is an empty container, or makes one for each object."""
    if isinstance(value, ast.Dict | ast.List | ast.Set):
        return not (value.keys if isinstance(value, ast.Dict) else value.elts)
    if not isinstance(value, ast.Call):
        return False
    name = ast.unparse(value.func).partition("[")[0].rpartition(".")[2]
    factories = [ast.unparse(each.value).rpartition(".")[2] for each in value.keywords if each.arg == "default_factory"]
    return (name in _GROWING and not value.args) or (name == "field" and bool(_GROWING.intersection(factories)))


def _maps() -> Iterator[str]:
    """Yield every container that lives longer than a call: of a module, of an object, or of a cache without a bound."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(NOT_SERVED):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                yield from (f"{node.name}.{each}" for each in _held(node, node.body))
            else:
                yield from _held(node, [node])
            for each in ast.walk(node):
                if (
                    isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                    and each.args.args
                    and "cache" in map(ast.unparse, each.decorator_list)
                ):
                    yield each.name


def _held(node: ast.stmt, own: list[ast.stmt]) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Assign | ast.AnnAssign) and _grows(each.value):
            target = each.targets[0] if isinstance(each, ast.Assign) else each.target
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                yield target.attr
            elif each in own:
                yield ast.unparse(target)


def test_every_map_of_the_source_has_its_bound_told() -> None:
    """One that is new is listed above, with what bounds it; what a stranger can fill is filled below as well."""
    assert sorted(set(_maps())) == sorted(BOUNDS)


def _windows() -> tuple[int, int]:
    counter = InProcess()
    for number in range(rate_limit.MOST_WINDOWS + 5000):
        counter.hit_now(f"refused:2001:db8:{number:x}::/64", 60)
    return len(counter), rate_limit.MOST_WINDOWS


def _cache() -> tuple[int, int]:
    held = Cache[str, int](60)
    for number in range(CAPACITY + 100):
        held.put(f"client-{number}", number)
    return len(held), CAPACITY


def _credentials() -> tuple[int, int]:
    held = CredentialCache()
    principal = Principal(1, 1, "Grace", "grace@example.com", Group.USER, Credential(CredentialKind.API_KEY, 1))
    for number in range(CAPACITY + 100):
        held.put(f"token-{number}".encode(), Verified(principal, 1, 0.0, 0.0, (), None))
    return len(held.verified), CAPACITY


def _refusals_of_strangers() -> tuple[int, int]:
    activity = Activity(None)  # type: ignore[arg-type]  # nothing is written here
    for number in range(MOST_REFUSALS + 2000):
        activity.refused(
            RejectedCredential(RejectionReason.UNKNOWN, name=f"sk-lp_{number}"), Origin(f"2001:db8:{number:x}::1", f"agent {number}")
        )
    return len(activity._refusals), MOST_REFUSALS + 1


def _refusals_of_known_credentials() -> tuple[int, int]:
    activity = Activity(None)  # type: ignore[arg-type]  # as above
    for number in range(3 * MOST_KNOWN_REFUSALS):
        activity.refused(
            RejectedCredential(RejectionReason.NOT_PROVED, id=number, kind=CredentialKind.CLIENT), Origin(f"192.0.2.{number % 256}")
        )
    return len(activity._refusals) + len(activity._refusals._owned), 3 * MOST_KNOWN_REFUSALS + 1


def _subnets() -> tuple[int, int]:
    for number in range(11_000):
        tallies.subnet(f"2001:db8:{number:x}::1")
    return tallies.subnet.cache_info().currsize, 10_000


def _turned_away() -> tuple[int, int]:
    waiting = ShedLog()
    for number in range(MOST_SHED_KINDS + 100):
        waiting.add(number.to_bytes(4, "big"), TargetUser(number, f"{number}@example.com", 1), Origin())
    sign_in_load.audit_budget.reset()
    return len(waiting), MOST_SHED_KINDS


def _used_proofs() -> tuple[int, int]:
    memory = proof._InMemoryUses(clock.timestamp)
    for number in range(proof.MOST_REMEMBERED):
        memory.first_use(f"dpop:{number}", 120)
    with pytest.raises(InvalidProof):
        memory.first_use("dpop:one more", 120)
    return len(memory._until), proof.MOST_REMEMBERED


@pytest.mark.parametrize(
    "fill",
    [
        _windows,
        _cache,
        _credentials,
        _refusals_of_strangers,
        _refusals_of_known_credentials,
        _subnets,
        _turned_away,
        _used_proofs,
    ],
)
def test_what_strangers_fill_stops_growing(fill: Callable[[], tuple[int, int]], clock: clock.Frozen) -> None:
    """Beyond its cap, whatever comes."""
    held, most = fill()

    assert 0 < held <= most


def test_windows_of_long_names_are_no_larger() -> None:
    """An app's name, as it says it, may have 500 characters; two that differ at the end alone are told apart."""
    counter = InProcess()
    for number in range(100):
        counter.hit_now(f"token:{'x' * 500}{number}|192.0.2.1", 60)

    assert len(counter) == 100
    assert max(map(len, counter._windows)) <= 100


def test_many_fetches_and_bodies_leave_nothing_behind() -> None:
    """What is counted while it is under way is forgotten at its end."""
    budget = BodyBudget(10)
    for number in range(1000):
        budget.take(f"2001:db8:{number:x}::1", 5)
        budget.give_back(f"2001:db8:{number:x}::1", 5)
    queue = rate_limit.Queue(capacity=1, longest=60)

    async def hang_up() -> None:
        for number in range(1000):
            with pytest.raises(rate_limit.ClientGone):
                await queue.wait(f"key:{number}", clock.monotonic() + 60, _at_once)

    asyncio.run(hang_up())

    assert (len(budget), budget.subnets, len(queue._waiting)) == (0, 0, 0)


async def _at_once() -> None:
    """Hang up."""
