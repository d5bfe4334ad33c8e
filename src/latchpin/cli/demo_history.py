"""What the people of a demo deployment did in the last nine weeks: each step on its day, in the order of time.

The process's clock stands at the moment of each step, so that every row and every audit event tells of it, and the events follow one
another as in a deployment that was really used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

from latchpin.audit import Actor, Origin
from latchpin.automation import agents
from latchpin.automation.demo import REAL_ESTATE, RETAIL, TENDERS, DemoAgent, demo_agents
from latchpin.cli import demo_apps
from latchpin.cli.deployment import Deployment
from latchpin.identity import activity, api_keys, organizations, passwords, policy, sign_in, spaces, users
from latchpin.identity.activity import actor
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group, Role
from latchpin.identity.scopes import Access
from latchpin.identity.verified import RejectedCredential, RejectionReason
from latchpin.kit import clock
from latchpin.storage import Session
from latchpin.storage.models import Agent, ApiKey, OAuthClient, OAuthGrant, Space, User
from latchpin.storage.models.space import SpaceScope

ADMIN, USER = "ada@latchpin.example", "grace@latchpin.example"
ALAN, BARBARA, KATHERINE = "alan@latchpin.example", "barbara@latchpin.example", "katherine@latchpin.example"
_SPACES = (
    spaces.SpaceFields(name=RETAIL, description="Prices and stock of online shops, several times a day."),
    spaces.SpaceFields(name=REAL_ESTATE, description="Flats and houses on offer, with a history of asking prices.", is_default_access=True),
    spaces.SpaceFields(name=TENDERS, description="Calls for tender and awards of public buyers.", scope=SpaceScope.PUBLIC),
)
_LIST, _SEARCH, _ONE = "GET /api/v1/agent/all", "GET /api/v1/agent/search", "GET /api/v1/agent/{agent_id}"
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
# Addresses are those that documentation may use (RFC 5737).
_DESKS = {
    ADMIN: Origin("192.0.2.10", _BROWSER),
    USER: Origin("192.0.2.24", _BROWSER),
    ALAN: Origin("192.0.2.31", _BROWSER),
    BARBARA: Origin("192.0.2.40", _BROWSER),
}
_SCRIPTS = {
    "Demo script": Origin("198.51.100.7", "python-requests/2.34.2"),
    "Weekly report": Origin("198.51.100.20", "curl/8.14.1"),
    "Old laptop": Origin("203.0.113.80", "python-requests/2.31.0"),
    "Price dashboard": Origin("198.51.100.33", "node"),
}
_Step = tuple[datetime, Callable[[], Awaitable[None]]]


@dataclass
class History:
    """The steps and what they have written so far, by name; `write` does it all in one transaction and returns what is to be known."""

    session: Session
    deployment: Deployment
    now: datetime = field(default_factory=clock.now)
    facts: dict[str, str] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    spaces_by_name: dict[str, Space] = field(default_factory=dict)
    agents_by_name: dict[str, Agent] = field(default_factory=dict)
    keys_by_name: dict[str, ApiKey] = field(default_factory=dict)
    _partner: OAuthClient = field(init=False)
    _grant: OAuthGrant = field(init=False)

    async def write(self) -> dict[str, str]:
        """Take every step on its day; the clock shows the present again when this returns."""
        groups = (self._people(), self._spaces(), self._agents(), self._keys(), self._uses(), self._apps(), self._sign_ins())
        steps = sorted((step for group in groups for step in group), key=itemgetter(0))
        with clock.Frozen(steps[0][0]) as frozen:
            for moment, step in steps:
                frozen.set_wall(moment - clock.now())
                await step()
        return self.facts

    def _day(self, days: int, hour: int, minute: int = 0) -> datetime:
        """Return a moment of a day in the past, whose seconds look as good as any."""
        return (self.now - timedelta(days=days)).replace(hour=hour, minute=minute, second=days * 7 % 60, microsecond=0)

    def _by(self, email: str) -> Actor:
        return actor(_principal(self.people[email]), _DESKS[email])

    # People

    def _people(self) -> Iterator[_Step]:
        yield self._day(62, 8, 40), self._first_administrator
        for email, full_name, days, hour in (
            (USER, "Grace Hopper", 61, 10),
            (ALAN, "Alan Kay", 61, 11),
            (BARBARA, "Barbara Liskov", 60, 9),
            (KATHERINE, "Katherine Johnson", 2, 13),
        ):
            yield self._day(days, hour, 5), partial(self._employ, email, full_name)
        yield self._day(6, 17, 30), self._barbara_leaves

    async def _first_administrator(self) -> None:
        password = await passwords.temporary()  # in one transaction, for which nobody waits: the deployment is not there yet
        created_user = await organizations.first_administrator(
            self.session,
            organization="Lovelace Data",
            full_name="Ada Lovelace",
            email=ADMIN,
            password=password,
            temporary=False,
            by=self.deployment.actor(),
        )
        self.people[ADMIN] = created_user.user
        self.facts |= {"admin_email": ADMIN, "admin_password": password.text}

    async def _employ(self, email: str, full_name: str) -> None:
        """Make a user; who has not signed in yet still has the temporary password."""
        password = await passwords.temporary()
        new = users.NewUser(full_name=full_name, email=email, password=password, temporary=email == KATHERINE)
        self.people[email] = (await users.create(self.session, self.people[ADMIN].organization_id, new, by=self._by(ADMIN))).user
        if email == USER:
            self.facts |= {"user_email": email, "user_password": password.text}

    async def _barbara_leaves(self) -> None:
        await users.disable(self.session, self.people[BARBARA], by=self._by(ADMIN))

    def _sign_ins(self) -> Iterator[_Step]:
        for email, days, hour, minute in (
            (ADMIN, range(61, 0, -5), 7, 48),
            (USER, range(60, 0, -6), 8, 12),
            (ALAN, range(59, 3, -9), 9, 1),
            (BARBARA, range(59, 7, -13), 8, 30),
        ):
            for day in days:
                yield self._day(day, hour, minute + day % 11), partial(self._sign_in, email)
        yield self._day(14, 9, 0), partial(self._sign_in, ALAN, right=False)

    async def _sign_in(self, email: str, *, right: bool = True) -> None:
        tried = sign_in.Attempt(email, "", _DESKS[email])
        checked = sign_in.PasswordCheck(self.people[email].password_hash, right)
        await sign_in.attempt(self.session, tried, self.deployment.settings, self.deployment.secrets, checked=checked)

    # Spaces and agents

    def _spaces(self) -> Iterator[_Step]:
        for minute, fields in enumerate(_SPACES):
            yield self._day(59, 9, 10 + minute), partial(self._open_space, fields)
        for day, name, email, role in (
            (59, RETAIL, USER, Role.EDITOR),
            (57, TENDERS, USER, Role.OPERATOR),
            (57, RETAIL, ALAN, Role.VIEWER),
            (50, TENDERS, BARBARA, Role.EDITOR),
        ):
            yield self._day(day, 9, 30), partial(self._let_in, name, email, role)

    async def _open_space(self, fields: spaces.SpaceFields) -> None:
        admin = self.people[ADMIN]
        self.spaces_by_name[fields.name] = await spaces.create(self.session, admin.organization_id, fields, by=self._by(ADMIN))

    async def _let_in(self, name: str, email: str, role: Role) -> None:
        await spaces.set_member(self.session, self.spaces_by_name[name], self.people[email], role, by=self._by(ADMIN))

    def _agents(self) -> Iterator[_Step]:
        for minute, each in enumerate(demo_agents()):
            for number, version in enumerate(each.versions):
                yield self._day(version.days_ago, 14, minute), partial(self._save, each, number)
            if each.archived_days_ago is not None:
                yield self._day(each.archived_days_ago, 15, minute), partial(self._archive, each)

    async def _save(self, each: DemoAgent, number: int) -> None:
        version, owner = each.versions[number], USER if each.space is None else ADMIN
        if number:
            await agents.change(self.session, self.agents_by_name[each.slug], version.text, comment=version.comment, by=self._by(owner))
            return
        space_id = None if each.space is None else self.spaces_by_name[each.space].id
        principal = _principal(self.people[owner])
        self.agents_by_name[each.slug] = await agents.create(
            self.session, principal, version.text, space_id=space_id, comment=version.comment, by=self._by(owner)
        )

    async def _archive(self, each: DemoAgent) -> None:
        await agents.archive(self.session, self.agents_by_name[each.slug], by=self._by(ADMIN))

    # Keys

    def _keys(self) -> Iterator[_Step]:
        """Keys of which the text of one alone gets known, so that lists show what an administrator would find."""
        soon = self.now + timedelta(days=12)
        for day, email, new in (
            (55, USER, api_keys.KeyParameters(description="Demo script")),
            (48, USER, api_keys.KeyParameters(description="Weekly report", access=Access.READ_ONLY, expires_at=soon)),
            (44, USER, api_keys.KeyParameters(description="Old laptop", access=Access.RUNS_ONLY)),
            (36, ALAN, api_keys.KeyParameters(description="Price dashboard", access=Access.READ_ONLY, networks=("198.51.100.0/24",))),
            (33, ALAN, api_keys.KeyParameters(description="Trial import", expires_at=self._day(19, 12))),
            (30, BARBARA, api_keys.KeyParameters(description="Tender alerts")),
            (9, ALAN, api_keys.KeyParameters(description="Spreadsheet add-in", access=Access.READ_ONLY)),
        ):
            yield self._day(day, 10, 20), partial(self._issue, email, new)
        yield self._day(9, 16, 2), self._revoke_laptop

    async def _issue(self, email: str, new: api_keys.KeyParameters) -> None:
        user = self.people[email]
        rules = await policy.get(self.session, user.organization_id, self.deployment.settings)
        issued_key = await api_keys.create(self.session, user, new, policy=rules, secrets=self.deployment.secrets, by=self._by(ADMIN))
        self.keys_by_name[str(new.description)] = issued_key.key
        self.facts.setdefault("api_key", issued_key.secret)  # that of the first key

    async def _revoke_laptop(self) -> None:
        await api_keys.revoke(self.session, self.keys_by_name["Old laptop"], by=self._by(ADMIN), reason="laptop was lost")

    def _uses(self) -> Iterator[_Step]:
        for name, email, days, hour, what in (
            ("Demo script", USER, range(54, 0, -4), 6, _LIST),
            ("Demo script", USER, range(53, 0, -9), 6, _ONE),
            ("Weekly report", USER, range(45, 0, -7), 5, _LIST),
            ("Old laptop", USER, (43, 29, 16), 19, _LIST),
            ("Price dashboard", ALAN, range(35, 0, -3), 12, _SEARCH),
        ):
            for day in days:
                yield self._day(day, hour, day % 50), partial(self._use, name, email, what, 3 + day * 7 % 40)
        yield self._day(8, 19, 22), self._lost_laptop_asks
        yield self.now - timedelta(minutes=95), partial(self._use, "Price dashboard", ALAN, _SEARCH, 12)
        yield self.now - timedelta(minutes=25), partial(self._use, "Demo script", USER, _LIST, 4)

    async def _use(self, name: str, email: str, what: str, count: int) -> None:
        key = self.keys_by_name[name]
        principal = replace(_principal(self.people[email]), credential=Credential(CredentialKind.API_KEY, key.id, api_keys.label(key)))
        await activity.write_use(self.session, principal, what, _SCRIPTS[name], count=count)

    async def _lost_laptop_asks(self) -> None:
        key, owner = self.keys_by_name["Old laptop"], self.people[USER]
        refused = RejectedCredential(RejectionReason.REVOKED, owner.organization_id, owner.id, owner.email, key.id, api_keys.label(key))
        activity.write_refusal(self.session, refused, _SCRIPTS["Old laptop"], count=17)

    # Apps

    def _apps(self) -> Iterator[_Step]:
        yield self._day(31, 11, 15), self._register_partner
        yield self._day(29, 15, 40), self._connect_partner
        yield self._day(25, 11, 5), self._register_service
        for day in range(28, 0, -3):
            yield self._day(day, 4, day), partial(self._partner_calls, 2 + day % 11)

    async def _register_partner(self) -> None:
        organization_id = self.people[ADMIN].organization_id
        self._partner = await demo_apps.register_partner(self.session, self.deployment, organization_id, by=self._by(ADMIN))

    async def _connect_partner(self) -> None:
        user, space = _principal(self.people[USER]), self.spaces_by_name[RETAIL]
        self._grant = await demo_apps.connect_partner(self.session, self.deployment, self._partner, user, space, _DESKS[USER])

    async def _partner_calls(self, count: int) -> None:
        await demo_apps.call_as_partner(self.session, self._partner, self._grant, _principal(self.people[USER]), _LIST, count)

    async def _register_service(self) -> None:
        organization_id, space = self.people[ADMIN].organization_id, self.spaces_by_name[RETAIL]
        self.facts |= await demo_apps.make_service(self.session, self.deployment, organization_id, space.id, by=self._by(ADMIN))


def _principal(user: User) -> Principal:
    return Principal(
        user.id,
        user.organization_id,
        user.full_name,
        user.email,
        Group(user.user_group),
        Credential(CredentialKind.SESSION, None, "browser session"),
    )
