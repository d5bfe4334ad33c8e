"""Browser sessions: hashed at rest, over in time, ended by their owner only (security.md 108, 109, 114)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import settings
from latchpin.audit import Origin
from latchpin.errors import Missing
from latchpin.identity import sessions, users
from latchpin.identity.sessions import NewSession, SignedInUser
from latchpin.kit import clock as kit_clock
from latchpin.kit import cookie_names
from latchpin.storage.models import BrowserSession
from tests.support.people import Organization, Person
from tests.support.server import Server

pytestmark = pytest.mark.both_databases("conditional updates decide who ends a session")

MINUTE = timedelta(minutes=1)


class Browser:
    """Opens and finds sessions of one organization's users."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.settings = organization.server.settings

    def open_(self, person: Person | None = None) -> NewSession:
        """Sign in."""

        async def work(session: AsyncSession) -> NewSession:
            user = await users.get(session, self.organization.id, (person or self.organization.admin).id)
            return await sessions.open_(session, user, self.settings, Origin("192.0.2.1", "a browser " * 100))

        return self.organization.write(work)

    def find(self, token: str) -> SignedInUser | None:
        """Come with a cookie."""

        async def work(session: AsyncSession) -> SignedInUser | None:
            return await sessions.find(session, token, self.settings)

        return self.organization.write(work)

    def end(self, person: Person, session_id: int) -> None:
        """End a session as its owner, or as somebody else."""

        async def work(session: AsyncSession) -> None:
            await sessions.end(session, person.id, session_id, by=person.actor)

        self.organization.write(work)

    def listed(self, person: Person) -> list[int]:
        """List a user's living sessions."""

        async def work(session: AsyncSession) -> list[int]:
            return [row.id for row in await sessions.of_user(session, person.id, self.settings)]

        return self.organization.write(work)

    def touch(self, opened: NewSession) -> None:
        """Note a use."""

        async def work(session: AsyncSession) -> None:
            await sessions.touch(session, opened.session_id)

        self.organization.write(work)

    def row(self, opened: NewSession) -> BrowserSession:
        """Return what is stored."""

        async def work(session: AsyncSession) -> BrowserSession:
            return (await session.scalars(select(BrowserSession).where(BrowserSession.id == opened.session_id))).one()

        return self.organization.write(work)


@pytest.fixture
def browser(organization: Organization, clock: kit_clock.Frozen) -> Browser:
    """A browser and a clock that stands still."""
    return Browser(organization)


def test_a_token_stands_for_its_user_and_says_when_the_password_was_given(browser: Browser) -> None:
    """With the session as credential."""
    opened = browser.open_()

    signed_in = browser.find(opened.token)

    assert signed_in is not None
    assert signed_in.principal.user_id == browser.organization.admin.id
    assert signed_in.principal.credential.id == opened.session_id
    assert signed_in.reauthenticated_at == kit_clock.now()


def test_a_token_is_stored_as_a_digest_and_never_twice_the_same(browser: Browser) -> None:
    """256 random bits; a copy of the database opens no session."""
    one, two = browser.open_(), browser.open_()
    row = browser.row(one)

    assert one.token != two.token
    assert len(one.token) == 43
    assert one.token.encode() not in row.digest
    assert len(row.digest) == 32
    assert one.token not in repr(one)
    assert browser.find(row.digest.hex()) is None


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "\0", "ä" * 43, "' OR 1=1 --"])
def test_an_invented_token_stands_for_nobody(browser: Browser, token: str) -> None:
    """Whatever it looks like."""
    assert browser.find(token) is None


def test_a_session_ends_after_its_idle_time(browser: Browser, clock: kit_clock.Frozen) -> None:
    """To the minute that the setting names."""
    opened = browser.open_()
    idle = timedelta(minutes=browser.settings.session_idle_minutes)
    clock.advance(idle - MINUTE)
    assert browser.find(opened.token) is not None

    clock.advance(MINUTE)

    assert browser.find(opened.token) is None
    assert browser.listed(browser.organization.admin) == []


def test_use_keeps_a_session_alive_and_is_noted_at_most_once_a_minute(browser: Browser, clock: kit_clock.Frozen) -> None:
    """The edge is told when a note is due."""
    opened = browser.open_()
    idle = timedelta(minutes=browser.settings.session_idle_minutes)
    clock.advance(MINUTE - timedelta(seconds=1))
    signed_in = browser.find(opened.token)
    assert signed_in is not None
    assert not signed_in.needs_renewal

    clock.advance(idle - 2 * MINUTE)
    signed_in = browser.find(opened.token)
    assert signed_in is not None
    assert signed_in.needs_renewal
    browser.touch(opened)
    clock.advance(idle - MINUTE)

    assert browser.find(opened.token) is not None


def test_a_session_ends_at_its_longest_however_much_it_is_used(browser: Browser, clock: kit_clock.Frozen) -> None:
    """The absolute timeout is not moved by use."""
    opened = browser.open_()
    step = timedelta(minutes=browser.settings.session_idle_minutes) - MINUTE
    end = kit_clock.now() + timedelta(hours=browser.settings.session_max_hours)
    while kit_clock.now() + step < end:
        clock.advance(step)
        assert browser.find(opened.token) is not None
        browser.touch(opened)

    clock.advance(end - kit_clock.now())

    assert browser.find(opened.token) is None


def test_renewing_gives_a_new_token_and_the_old_one_is_dead(browser: Browser, clock: kit_clock.Frozen) -> None:
    """The absolute end stays where it was."""
    opened = browser.open_()
    ends = browser.row(opened).expires_at
    clock.advance(11 * MINUTE)
    stale = browser.find(opened.token)
    assert stale is not None
    assert not stale.is_fresh(browser.settings)

    async def renew(session: AsyncSession) -> str:
        return await sessions.renew(session, opened.session_id)

    token = browser.organization.write(renew)

    signed_in = browser.find(token)
    assert signed_in is not None
    assert signed_in.is_fresh(browser.settings)
    assert browser.find(opened.token) is None
    assert browser.row(opened).expires_at == ends


def test_an_ended_session_is_dead_and_cannot_be_renewed(browser: Browser) -> None:
    """Ending it twice is no error and no second event."""
    opened = browser.open_()
    browser.end(browser.organization.admin, opened.session_id)
    browser.end(browser.organization.admin, opened.session_id)

    async def renew(session: AsyncSession) -> str:
        return await sessions.renew(session, opened.session_id)

    assert browser.find(opened.token) is None
    with pytest.raises(Missing):
        browser.organization.write(renew)


def test_nobody_ends_another_users_session(browser: Browser) -> None:
    """It does not exist for them."""
    person = browser.organization.user()
    opened = browser.open_()

    with pytest.raises(Missing):
        browser.end(person, opened.session_id)

    assert browser.find(opened.token) is not None


def test_a_user_sees_the_own_living_sessions_only(browser: Browser) -> None:
    """The latest used first."""
    person = browser.organization.user()
    browser.open_()
    first, second, ended = browser.open_(person), browser.open_(person), browser.open_(person)
    browser.end(person, ended.session_id)

    assert browser.listed(person) == [second.session_id, first.session_id]


def test_what_a_browser_says_of_itself_fits_its_column(browser: Browser) -> None:
    """However much it says."""
    assert len(browser.row(browser.open_()).user_agent) == 400


def test_a_user_agent_with_a_nul_or_control_characters_opens_a_session_all_the_same(browser: Browser) -> None:
    """A strange browser is no reason for a server error."""

    async def work(session: AsyncSession) -> NewSession:
        user = await users.get(session, browser.organization.id, browser.organization.admin.id)
        return await sessions.open_(session, user, browser.settings, Origin("192.0.2.1", "a\x00\x1b[31m\u202eb"))

    row = browser.row(browser.organization.write(work))

    assert "\x1b" not in row.user_agent
    assert "\x00" not in row.user_agent


def test_long_ended_sessions_are_swept_and_others_stay(browser: Browser, clock: kit_clock.Frozen) -> None:
    """Thirty days after they ran out."""
    old = browser.open_()
    clock.advance(timedelta(hours=browser.settings.session_max_hours, days=31))
    fresh = browser.open_()

    async def work(session: AsyncSession) -> set[int]:
        await sessions.purge_expired(session)
        return set((await session.scalars(select(BrowserSession.id))).all())

    left = browser.organization.write(work)

    assert fresh.session_id in left
    assert old.session_id not in left


@pytest.mark.parametrize(("url", "name"), [("https://latchpin.example", "__Host-latchpin"), ("http://latchpin.example", "latchpin")])
def test_the_cookie_is_tied_to_its_host_over_tls(url: str, name: str) -> None:
    """The prefix means Secure, Path=/ and no Domain."""
    assert sessions.cookie_name(settings.load({"LATCHPIN_PUBLIC_URL": url})) == name


def test_two_deployments_of_one_host_keep_their_cookies_apart() -> None:
    """Browsers keep cookies by host and not by port; each deployment's have a name of their own."""
    table = {
        "http://127.0.0.1:8080": ("latchpin-8080", "latchpin-draft-8080"),
        "http://127.0.0.1:8081": ("latchpin-8081", "latchpin-draft-8081"),
        "https://latchpin.example:8443": ("__Host-latchpin-8443", "__Host-latchpin-draft-8443"),
        "https://latchpin.example:443": ("__Host-latchpin", "__Host-latchpin-draft"),
    }

    for url, names in table.items():
        chosen = settings.load({"LATCHPIN_PUBLIC_URL": url})
        assert (cookie_names.of(chosen), cookie_names.of(chosen, "draft")) == names, url


def test_other_settings_other_times(serve: Callable[..., Server], clock: kit_clock.Frozen) -> None:
    """Five idle minutes, where the deployment says so."""
    browser = Browser(Organization(serve(session_idle_minutes=5)))
    opened = browser.open_()

    clock.advance(5 * MINUTE)

    assert browser.find(opened.token) is None
