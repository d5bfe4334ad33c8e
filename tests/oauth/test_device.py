"""A device without a browser (RFC 8628): it shows a code, a person decides elsewhere, the device asks until then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import users
from latchpin.kit.clock import Frozen
from latchpin.oauth import device_codes
from latchpin.storage.models import DeviceCode
from tests.support.apps import App, Apps, Tokens
from tests.support.devices import BEGIN, SCOPE, approve, begin, decide, device, poll, said
from tests.support.people import Organization
from tests.support.tokens import claims, resource

pytestmark = pytest.mark.both_databases("codes are spent and attempts are counted by conditional updates")


def test_a_device_gets_tokens_once_a_person_agreed(organization: Organization) -> None:
    """Pending before, tokens after, and they work."""
    apps, app = Apps(organization), device(organization)
    device_authorization = begin(organization, app)
    assert said(poll(organization, app, device_authorization)) == "authorization_pending"

    assert approve(organization, device_authorization["user_code"]) is True

    tokens = Tokens(poll(organization, app, device_authorization).json())
    assert tokens.answer["scope"] == SCOPE
    assert apps.get("/agent/all", tokens).status_code == 200
    assert apps.refresh(app, tokens.refresh).status_code == 200


def test_a_device_learns_where_to_send_the_person(organization: Organization) -> None:
    """Section 3.2: the code in two groups, the page, how long, how often."""
    device_authorization = begin(organization, device(organization))

    page = f"{organization.server.url}/device"
    assert device_authorization["verification_uri"] == page
    assert device_authorization["verification_uri_complete"] == f"{page}?user_code={device_authorization['user_code']}"
    assert (device_authorization["expires_in"], device_authorization["interval"]) == (600, 5)


def test_the_code_is_hard_to_guess_and_easy_to_type(organization: Organization) -> None:
    """Eight consonants, 34 bits; case, dashes and spaces do not matter (security.md 90)."""
    app = device(organization)
    codes = {begin(organization, app)["user_code"] for _ in range(5)}

    assert len(codes) == 5
    assert len(device_codes.LETTERS) ** device_codes.LENGTH > 2**34
    for code in codes:
        one, dash, other = code.partition("-")
        assert (len(one), dash, len(other)) == (4, "-", 4)
        assert set(one + other) <= set("BCDFGHJKLMNPQRSTVWXZ")

    async def found(_session: AsyncSession, row: DeviceCode) -> int:
        return row.id

    code = codes.pop()
    written = {code, code.lower(), code.replace("-", ""), code.replace("-", " "), f" {code[:2]} {code[2:]} "}
    assert len({decide(organization, each, found) for each in written}) == 1
    assert decide(organization, code, found) is not None
    for wrong in (code[:-1], code + "B", "AEIO-UAEI", "", "BBBB-BBBB", "ß" * 8):
        assert decide(organization, wrong, found) is None


def test_the_database_holds_neither_code(organization: Organization) -> None:
    """The short one as HMAC, since 34 bits would be guessed from a plain digest (security.md 90)."""
    device_authorization = begin(organization, device(organization))

    async def work(_session: AsyncSession, row: DeviceCode) -> str:
        return str([getattr(row, column.name) for column in DeviceCode.__table__.columns])

    row_text = str(decide(organization, device_authorization["user_code"], work))
    assert device_authorization["device_code"] not in row_text
    assert device_authorization["user_code"].replace("-", "") not in row_text


def test_asking_too_fast_is_slowed(organization: Organization, clock: Frozen) -> None:
    """Each time the wait is five seconds longer (security.md 90, RFC 8628 section 3.5)."""
    app = device(organization)
    device_authorization = begin(organization, app)
    assert said(poll(organization, app, device_authorization)) == "authorization_pending"

    clock.advance(timedelta(seconds=2))
    assert said(poll(organization, app, device_authorization)) == "slow_down"
    clock.advance(timedelta(seconds=5))
    assert said(poll(organization, app, device_authorization)) == "slow_down"
    clock.advance(timedelta(seconds=15))
    assert said(poll(organization, app, device_authorization)) == "authorization_pending"


def test_asking_in_time_is_never_too_fast(organization: Organization, clock: Frozen) -> None:
    """Every five seconds, as it was told."""
    app = device(organization)
    device_authorization = begin(organization, app)

    for _ in range(4):
        assert said(poll(organization, app, device_authorization)) == "authorization_pending"
        clock.advance(timedelta(seconds=5))


def test_a_code_is_used_once(organization: Organization) -> None:
    """The second use is refused, and the first one's tokens live on."""
    apps, app = Apps(organization), device(organization)
    device_authorization = begin(organization, app)
    approve(organization, device_authorization["user_code"])
    tokens = Tokens(poll(organization, app, device_authorization).json())

    assert said(poll(organization, app, device_authorization)) == "invalid_grant"
    assert apps.get("/spaces", tokens).status_code == 200


def test_a_refusal_is_told(organization: Organization) -> None:
    """And stays."""
    app = device(organization)
    device_authorization = begin(organization, app)

    assert decide(organization, device_authorization["user_code"], device_codes.deny) is True

    assert said(poll(organization, app, device_authorization)) == "access_denied"
    assert approve(organization, device_authorization["user_code"]) is None
    assert said(poll(organization, app, device_authorization)) == "access_denied"


def test_a_code_expires_after_ten_minutes(organization: Organization, clock: Frozen) -> None:
    """For the device and for the person, agreed or not."""
    app = device(organization)
    waiting, agreed = begin(organization, app), begin(organization, app)
    approve(organization, agreed["user_code"])

    clock.advance(timedelta(minutes=10))

    assert said(poll(organization, app, waiting)) == "expired_token"
    assert said(poll(organization, app, agreed)) == "expired_token"
    assert approve(organization, waiting["user_code"]) is None


def test_only_the_app_that_began_gets_tokens(organization: Organization) -> None:
    """Another app's question is about an unknown code."""
    app, stranger = device(organization), device(organization)
    device_authorization = begin(organization, app)
    approve(organization, device_authorization["user_code"])

    assert said(poll(organization, stranger, device_authorization)) == "invalid_grant"
    assert said(poll(organization, app, {"device_code": "lpd_junk"})) == "invalid_grant"
    assert poll(organization, app, device_authorization).status_code == 200


def test_an_app_that_is_not_registered_for_devices_cannot_begin(organization: Organization) -> None:
    """Nor an unknown one, nor nobody."""
    http, app = organization.server.http, Apps(organization).register()

    assert said(http.post(BEGIN, data=app.proof)) == "unauthorized_client"
    assert http.post(BEGIN, data={"client_id": "nobody"}).json()["error"] == "invalid_client"
    assert http.post(BEGIN, data={"scope": SCOPE}).json() == {"error": "invalid_request", "error_description": "client_id is required"}


def test_a_confidential_app_proves_itself(organization: Organization) -> None:
    """When it begins and when it asks."""
    app = device(organization, confidential=True)
    device_authorization = begin(organization, app)
    approve(organization, device_authorization["user_code"])

    nameless = App(app.pk, app.client_id)
    assert poll(organization, nameless, device_authorization).json()["error"] == "invalid_client"
    assert organization.server.http.post(BEGIN, data=nameless.proof).json()["error"] == "invalid_client"
    assert poll(organization, app, device_authorization).status_code == 200


def test_scope_and_resource_are_checked_at_once(organization: Organization) -> None:
    """The device hears it, not the person."""
    http = organization.server.http
    app, server = device(organization, scopes=("agents:read",)), resource(organization)

    assert said(http.post(BEGIN, data={**app.proof, "scope": "agents:write"})) == "invalid_scope"
    assert said(http.post(BEGIN, data={**app.proof, "scope": "nonsense"})) == "invalid_scope"
    assert said(http.post(BEGIN, data={**app.proof, "resource": "https://elsewhere.example"})) == "invalid_target"
    device_authorization = begin(organization, app, scope="agents:read", resource=server.identifier)
    approve(organization, device_authorization["user_code"])
    assert claims(poll(organization, app, device_authorization).json()["access_token"])["aud"] == server.identifier


def test_the_command_line_needs_no_registration(organization: Organization) -> None:
    """It comes with the product; its person may be of any organization."""
    app = App(0, "latchpin-cli")
    device_authorization = begin(organization, app)

    approve(organization, device_authorization["user_code"], organization.user())

    assert Apps(organization).get("/spaces", Tokens(poll(organization, app, device_authorization).json())).status_code == 200


def test_a_resource_that_the_persons_organization_does_not_know_is_refused(organization: Organization, other: Organization) -> None:
    """An app of no organization may ask for any, and gets those of the person's own."""
    app, server = App(0, "latchpin-cli"), resource(organization)
    mine, foreign = (begin(organization, app, resource=server.identifier) for _ in range(2))

    approve(organization, mine["user_code"])
    approve(other, foreign["user_code"])

    assert poll(organization, app, mine).status_code == 200
    assert said(poll(organization, app, foreign)) == "invalid_target"


def test_nobody_decides_twice(organization: Organization) -> None:
    """Two browsers that agree and refuse at a time: one is too late."""
    app = device(organization)
    device_authorization = begin(organization, app)

    async def both(session: AsyncSession, row: DeviceCode) -> tuple[bool, bool]:
        return await device_codes.deny(session, row), await device_codes.deny(session, row)

    assert decide(organization, device_authorization["user_code"], both) == (True, False)


def test_beginning_is_limited_like_the_token_endpoint(serve: Any) -> None:
    """By app and address."""
    organization = Organization(serve(token_limit=3))
    app = device(organization)

    statuses = [organization.server.http.post(BEGIN, data=app.proof).status_code for _ in range(4)]

    assert statuses == [200, 200, 200, 429]


def test_a_disabled_persons_agreement_is_worth_nothing(organization: Organization) -> None:
    """Though they agreed before."""
    app, user = device(organization), organization.user()
    device_authorization = begin(organization, app)
    approve(organization, device_authorization["user_code"], user)

    async def disable(session: AsyncSession) -> None:
        await users.disable(session, await users.get(session, organization.id, user.id), by=organization.admin.actor)

    organization.write(disable)

    assert said(poll(organization, app, device_authorization)) == "invalid_grant"
