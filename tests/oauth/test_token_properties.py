"""What holds for every membership, every scope and every header that anybody can think of."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from latchpin.asgi import authorization_header
from latchpin.errors import LatchpinError, Malformed, Unauthenticated
from latchpin.identity import scopes
from latchpin.identity.membership import MOST_BYTES, MOST_SPACES, Membership, SpaceRole
from latchpin.identity.roles import Group, Role
from latchpin.oauth import scope
from latchpin.oauth.errors import OAuthError

T = TypeVar("T")
COOKIE = "latchpin"
ROLES = st.sampled_from(list(Role))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100)
SPACES = st.dictionaries(st.integers(1, 12), ROLES, max_size=8)
WORDS = st.frozensets(st.sampled_from(scopes.REQUESTABLE))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(0, 12), st.just(0.5), st.sampled_from(["", "all", "viewer", "editor", "owner"]))
ENTRY = st.one_of(PLAIN, st.lists(PLAIN, max_size=1), st.fixed_dictionaries({}, optional={"id": PLAIN, "role": PLAIN, "x": PLAIN}))
CLAIMS = st.dictionaries(
    st.sampled_from(["org", "role", "space", "spaces", "spaces_omitted", "spaces_digest"]),
    st.one_of(PLAIN, ENTRY, st.lists(ENTRY, max_size=3)),
)


def membership(spaces: dict[int, Role], group: Group = Group.USER, organization: int = 1, space: str | int = "all") -> Membership:
    """Return a membership with these roles."""
    space_roles = tuple(SpaceRole(space_id, f"Space {space_id}", role) for space_id, role in sorted(spaces.items()))
    return Membership(organization, group, space, space_roles)


def over_the_wire(claims: dict[str, Any]) -> dict[str, Any]:
    """Return claims as a token brings them back."""
    decoded_claims: dict[str, Any] = json.loads(json.dumps(claims))
    return decoded_claims


def outcome(call: Callable[[], T]) -> T | Exception:
    """Return what a call returns, or the refusal that it raises; anything else that it raises is a failure."""
    try:
        return call()
    except (LatchpinError, OAuthError) as error:
        return error


# ---- membership ----


@given(then=SPACES, now=SPACES, group_then=st.sampled_from(list(Group)), group_now=st.sampled_from(list(Group)))
def test_a_token_is_covered_exactly_where_it_claims_no_more_than_is_true(
    then: dict[int, Role], now: dict[int, Role], group_then: Group, group_now: Group
) -> None:
    """A lost Space, a lower role, a lost group: each alone is enough, and nothing else is (security.md 49)."""
    claims = over_the_wire(membership(then, group_then).claims())

    more_spaces = any(now.get(space_id, 0) < role for space_id, role in then.items())
    more_group = group_then is Group.ADMINISTRATOR and group_now is not Group.ADMINISTRATOR
    assert membership(now, group_now).covers(claims) is not (more_spaces or more_group)


@given(spaces=SPACES, group=st.sampled_from(list(Group)), space=st.one_of(st.sampled_from(["all", "personal"]), st.integers(1, 12)))
def test_a_fresh_token_is_covered_by_what_it_was_made_from(spaces: dict[int, Role], group: Group, space: str | int) -> None:
    """Whatever it is, a token is good at the moment that it is issued."""
    token_membership = membership(spaces, group, 7, space)

    assert token_membership.covers(over_the_wire(token_membership.claims()))
    assert not membership(spaces, group, 8, space).covers(over_the_wire(token_membership.claims()))


@given(spaces=st.dictionaries(st.integers(1, 2**31), st.tuples(NAMES, ROLES), max_size=130))
def test_the_claim_fits_into_a_header_whatever_the_names_are(spaces: dict[int, tuple[str, Role]]) -> None:
    """The list is left out where it would not fit, and then says how many there are and which, by a digest."""
    token_membership = Membership(1, Group.USER, "all", tuple(SpaceRole(each, name, role) for each, (name, role) in spaces.items()))

    claims = over_the_wire(token_membership.claims())

    assert len(json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()) < MOST_BYTES + 200
    assert ("spaces" in claims) is not ("spaces_omitted" in claims)
    if len(spaces) > MOST_SPACES:
        assert claims["spaces_omitted"] == len(spaces)
    assert token_membership.covers(claims)


@given(first=st.dictionaries(st.integers(1, 200), ROLES, min_size=101), second=st.dictionaries(st.integers(1, 200), ROLES))
def test_a_list_that_was_left_out_stands_for_those_very_spaces(first: dict[int, Role], second: dict[int, Role]) -> None:
    """With so many Spaces every change counts, so that none that was lost goes unnoticed (security.md 49)."""
    claims = over_the_wire(membership(first).claims())

    assert membership(second).covers(claims) is (first == second)


@given(claims=CLAIMS, now=SPACES)
def test_claims_of_any_shape_are_judged_and_break_nothing(claims: dict[str, Any], now: dict[int, Role]) -> None:
    """Covered or not; what is covered names no Space that is not there."""
    covered = membership(now).covers({"org": 1, "space": "all", **claims})

    assert covered in (True, False)
    if covered and "spaces" in claims:
        assert all(each["id"] in now for each in claims["spaces"])


# ---- scopes ----


@given(granted=WORDS, asked=WORDS)
def test_narrowing_gives_what_was_asked_for_and_never_more_than_was_granted(granted: frozenset[str], asked: frozenset[str]) -> None:
    """Where nothing remains it is refused with `invalid_scope` (RFC 6749 section 6, security.md 8, 36)."""
    result = outcome(lambda: scope.for_token(" ".join(asked), granted))

    if asked & granted:
        assert result == asked & granted
    else:
        assert isinstance(result, OAuthError)
        assert result.error == "invalid_scope"


@given(text=st.one_of(st.none(), st.text(max_size=60), WORDS.map(" ".join)), allowed=WORDS, granted=WORDS, offline=st.booleans())
def test_no_text_widens_a_scope(text: str | None, allowed: frozenset[str], granted: frozenset[str], *, offline: bool) -> None:
    """Whatever stands in the parameter, what comes out is within what may be had, or it is refused (security.md 36, 50)."""
    allowed_scopes = (allowed or frozenset(scopes.REQUESTABLE)) | {scopes.OFFLINE}
    most_asked = allowed_scopes if offline else allowed_scopes - {scopes.OFFLINE}
    for result, most in (
        (outcome(lambda: scope.for_token(text, granted)), granted),
        (outcome(lambda: scope.requested_scopes(text, allowed, offline=offline)), most_asked),
    ):
        if isinstance(result, Exception):
            assert isinstance(result, OAuthError)
            assert result.error == "invalid_scope"
        else:
            assert result <= most


@given(words=st.lists(st.one_of(st.sampled_from(scopes.REQUESTABLE), st.text(max_size=12))))
def test_only_the_apis_own_words_are_scopes_of_the_api(words: list[str]) -> None:
    """Exact and case-sensitive; writing them and reading them again changes nothing."""
    api_scopes = scopes.api(words)

    assert {each.value for each in api_scopes} == set(words) & {each.value for each in scopes.ALL}
    assert scopes.parse(scopes.serialize(api_scopes)) == api_scopes
    assert scopes.api(scopes.ordered(words).split()) == api_scopes


# ---- headers ----

SCHEMES = st.sampled_from([b"Bearer ", b"bearer ", b"BEARER\t", b"ApiKey ", b"Basic ", b"DPoP ", b"", b"Bearer", b" Bearer ", b"Bearer  "])
SECRETS = st.one_of(
    st.binary(max_size=80),
    st.from_regex(rb"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}", fullmatch=True),
    st.sampled_from([b"sk-lp_" + b"a" * 49, b"a, Bearer b", b"a\nBearer b", b",", b'token="x"', b"a.b.c, sk-lp_x"]),
)
SEEN = st.dictionaries(
    st.sampled_from([b"authorization", b"cookie", b"x-api-key", b"origin", b"sec-fetch-site"]),
    st.one_of(st.builds(bytes.__add__, SCHEMES, SECRETS), SECRETS, st.just(b"latchpin=abc"), st.just(b"same-origin")),
)
QUERIES = st.one_of(
    st.just(b""), st.binary(max_size=60), st.sampled_from([b"access_token=x", b"%61ccess_token=x", b"q=sk-lp_a", b"a=1&" * 600])
)


@given(seen=SEEN, query=QUERIES)
def test_no_header_and_no_address_makes_the_gate_fail(seen: dict[bytes, bytes], query: bytes) -> None:
    """One credential, none, or one of the documented refusals: never two, and never an exception of another kind (security.md 53)."""
    result = outcome(lambda: authorization_header.read(seen, query, COOKIE))

    if isinstance(result, Exception):
        assert isinstance(result, Unauthenticated | Malformed)
        return
    assert sum(each is not None for each in (result.api_key, result.bearer, result.session)) <= 1
    if result.bearer is not None:
        assert seen[b"authorization"].lower().startswith((b"bearer", b"dpop"))
        assert not result.bearer.startswith(b"sk-lp_")
    assert b"access_token=" not in query


@given(secret=SECRETS, scheme=SCHEMES)
def test_what_is_refused_is_not_repeated(secret: bytes, scheme: bytes) -> None:
    """A refusal ends in logs and on screens, so nothing of the header is in it."""
    result = outcome(lambda: authorization_header.read({b"authorization": scheme + b"MARK" + secret}, b"", COOKIE))

    if isinstance(result, LatchpinError):
        assert "MARK" not in str(result) + result.detail
