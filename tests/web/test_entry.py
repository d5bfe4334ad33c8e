"""Coming in and going out: signing in, the first password, sessions, and where people are sent."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import argon2
import pytest

from latchpin import settings
from latchpin.identity import organizations
from latchpin.kit import cookie_names
from latchpin.web import page_context
from tests.support.people import PASSWORD, Organization, Person
from tests.support.server import Server
from tests.support.wire import audit
from tests.web.conftest import Browse


def test_a_page_sends_somebody_who_is_not_signed_in_to_sign_in_and_back(organization: Organization, browse: Browse) -> None:
    """The page that was wanted is remembered, with its query, and opened after signing in."""
    browser = browse(organization.server)

    away = browser.open("/organization/users?q=grace")
    back = browser.send("/login", email=organization.admin.email, password=PASSWORD, next="/organization/users?q=grace")

    assert away.status_code == 303
    assert away.headers["location"] == "/login?next=/organization/users%3Fq%3Dgrace"
    assert browser.walk(back).headers["location"] == "/organization/users?q=grace"


def test_signing_in_never_leads_to_another_site(organization: Organization, browse: Browse) -> None:
    """An address elsewhere that somebody planted in the link is replaced by the dashboard."""
    for planted in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        browser = browse(organization.server)

        response = browser.send("/login", email=organization.admin.email, password=PASSWORD, next=planted)

        assert browser.walk(response).headers["location"] == "/"


def test_unknown_and_wrong_look_the_same(organization: Organization, browse: Browse) -> None:
    """A wrong password and an unknown address get the same page, but for the address that was typed."""
    browser = browse(organization.server)
    nobody = "nobody.at.all@example.com"

    wrong = browser.send("/login", email=organization.admin.email, password="not the password")
    unknown = browser.send("/login", email=nobody, password="not the password")

    assert wrong.status_code == unknown.status_code == 422
    assert wrong.text.replace(organization.admin.email, nobody) == unknown.text


def test_the_session_cookie_is_out_of_reach_of_script_and_other_sites(organization: Organization, browse: Browse) -> None:
    """The cookie is HttpOnly and SameSite, and a new one is made at each sign-in."""
    browser = browse(organization.server)

    first = browser.sign_in(organization.admin).headers.get_list("set-cookie")
    second = browser.sign_in(organization.admin).headers.get_list("set-cookie")

    cookie = next(line for line in first if line.startswith(cookie_names.of(organization.server.settings) + "="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert cookie not in second


def test_over_https_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    """With a public address on https the cookie is Secure and carries the __Host- prefix."""
    chosen = settings.load({}, data_dir=tmp_path, public_url="https://latchpin.example")

    cookie = page_context.cookie(chosen, "token")

    assert cookie.key == "__Host-latchpin"
    assert cookie.secure
    assert cookie.path == "/"
    assert cookie.domain is None


def test_a_temporary_password_opens_nothing_but_the_page_that_changes_it(organization: Organization, browse: Browse) -> None:
    """Until a password is chosen every page leads to the one where it is; afterwards the wanted page opens."""
    person = organization.user(temporary=True)
    browser = browse(organization.server)

    began = browser.sign_in(person)
    elsewhere = browser.open("/agents")
    weak = browser.send("/password", current_password=PASSWORD, new_password="password")
    chosen = browser.send("/password", current_password=PASSWORD, new_password="violet anchor nine", next="/agents")
    after = browser.open("/agents")

    assert began.headers["location"].startswith("/password")
    assert elsewhere.headers["location"] == "/password"
    assert weak.status_code == 422
    assert browser.walk(chosen).headers["location"] == "/agents"
    assert after.status_code == 200


def test_a_tab_in_which_the_password_is_set_already_goes_on(organization: Organization, browse: Browse) -> None:
    """Two tabs show the page: the second is told that the first one's password counts, and is not called wrong."""
    person = organization.user(temporary=True)
    browser = browse(organization.server)
    browser.sign_in(person)
    browser.walk(browser.send("/password", current_password=PASSWORD, new_password="violet anchor nine", next="/agents"))

    late = browser.send("/password", current_password=PASSWORD, new_password="amber walrus seven", next="/spaces")

    assert late.headers["location"] == "/spaces"
    assert browse(organization.server).sign_in(person, "violet anchor nine").is_redirect


def test_signing_out_ends_the_session_on_the_server(organization: Organization, browse: Browse) -> None:
    """A copy of the cookie opens nothing any more once its owner has signed out."""
    browser, thief = browse(organization.server), browse(organization.server)
    browser.sign_in(organization.admin)
    thief.http.cookies.update(browser.http.cookies)

    browser.send("/logout")

    assert thief.open("/").headers["location"] == "/login?ended=1"


def test_a_person_ends_a_forgotten_session_from_their_account(organization: Organization, browse: Browse) -> None:
    """Signing all others out leaves this browser signed in and ends the rest."""
    here, forgotten = browse(organization.server), browse(organization.server)
    here.sign_in(organization.admin)
    forgotten.sign_in(organization.admin)

    here.send("/account/sessions/end-others")

    assert here.open("/account").status_code == 200
    assert forgotten.open("/account").status_code == 303


def test_signing_in_again_ends_the_session_before(organization: Organization, browse: Browse) -> None:
    """A copy of the earlier cookie opens nothing once the browser has got another."""
    browser, thief = browse(organization.server), browse(organization.server)
    browser.sign_in(organization.admin)
    thief.http.cookies.update(browser.http.cookies)
    assert thief.open("/account").status_code == 200

    browser.sign_in(organization.admin)

    assert thief.open("/account").status_code == 303
    assert browser.open("/account").status_code == 200


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_burst_of_tries_is_turned_away_and_holds_no_connection(
    serve: Callable[..., Server], browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten at the same moment from one address four are hashed, holding nothing while they wait; six get 429 at once."""
    organization = Organization(serve())
    go_on = threading.Event()
    verify = argon2.PasswordHasher.verify

    def waiting(self: argon2.PasswordHasher, against: str, password: str) -> bool:
        go_on.wait(60)
        return bool(verify(self, against, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", waiting)
    browsers = [browse(organization.server) for _ in range(10)]
    with ThreadPoolExecutor(10) as threads:
        try:
            tries = [threads.submit(browser.sign_in, organization.admin, "not the password") for browser in browsers]
            at_once = list(itertools.islice(as_completed(tries, timeout=30), 6))
            held = organization.server.database.engine.sync_engine.pool.checkedout()  # type: ignore[attr-defined]
        finally:
            go_on.set()
    responses = [done.result() for done in at_once]

    assert [response.status_code for response in responses] == [429] * 6
    assert {response.headers["retry-after"] for response in responses} == {"2"}
    assert held < 4  # whatever works in the background may hold one
    assert sorted(done.result().status_code for done in tries) == [422] * 4 + [429] * 6
    noted = audit(organization, "session.sign_in_refused", reason="too many at the same moment", target_id=organization.admin.id)
    assert sum(event.count for event in noted) == 6


def test_too_many_tries_are_told_to_wait(serve: Callable[..., Server], browse: Browse) -> None:
    """After five failures the page says to wait, with Retry-After, even for the right password."""
    organization = Organization(serve())
    person: Person = organization.admin
    browser = browse(organization.server)
    for _ in range(5):
        browser.sign_in(person, "not the password")

    response = browser.sign_in(person)

    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    assert "Too many tries" in response.text


def test_the_first_run_page_works_once(serve: Callable[..., Server], browse: Browse) -> None:
    """The one-time link makes the first administrator and signs them in; afterwards it leads nowhere."""
    server = serve()

    async def offer() -> str:
        async with server.database.transaction() as opened:
            return await organizations.offer_setup(opened) or ""

    browser, address = browse(server), f"/setup/{server.run(offer())}"
    form = {"organization": "Northwind", "full_name": "Maya", "email": "maya@example.com", "password": "violet anchor nine"}

    setup_page = browser.open(address)
    weak = browser.send(address, **{**form, "password": "password"})
    response = browser.send(address, **form)
    again = browser.send(address, **form)

    assert setup_page.status_code == 200
    assert weak.status_code == 422
    assert response.status_code == 303
    assert browser.open("/organization/users").status_code == 200
    assert again.status_code == 404


def test_the_one_time_link_is_not_in_the_log(serve: Callable[..., Server], browse: Browse) -> None:
    """The token of the first-run page opens the deployment, so the access log does not hold it."""
    server = serve()

    async def offer() -> str:
        async with server.database.transaction() as opened:
            return await organizations.offer_setup(opened) or ""

    token = server.run(offer())

    opened = browse(server).open(f"/setup/{token}")

    assert opened.status_code == 200
    assert token not in server.log.getvalue()


def test_a_stolen_session_cannot_guess_the_password_at_will(organization: Organization, browse: Browse) -> None:
    """Changing one's own password counts wrong current ones like signing in does, and then asks to wait (security.md 107)."""
    browser = browse(organization.server)
    browser.sign_in(organization.admin)

    guesses = [browser.send("/account/password", current_password=f"guess {n}", new_password="violet anchor nine") for n in range(6)]
    right = browser.send("/account/password", current_password=PASSWORD, new_password="violet anchor nine")

    assert [guess.status_code for guess in guesses] == [422] * 6
    assert "Too many tries" in guesses[-1].text
    assert "Too many tries" in right.text


def test_whose_session_ends_in_a_form_comes_back_to_its_page(organization: Organization, browse: Browse) -> None:
    """The sign-in page says that one continues where one was; a page of another site is not where one was."""
    browser = browse(organization.server)
    form = f"{organization.server.url}/organization/users?sort=email"

    ended = browser.http.post("/organization/users/new", headers={"Origin": organization.server.url, "Referer": form})
    foreign = browser.http.post("/organization/users/new", headers={"Origin": organization.server.url, "Referer": "https://evil.example/x"})

    assert ended.headers["location"] == "/login?next=/organization/users%3Fsort%3Demail"
    assert foreign.headers["location"] == "/login"
