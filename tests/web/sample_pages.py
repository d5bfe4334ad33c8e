"""Each page with a sample of its view: what the tests of the templates draw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from latchpin import problem_types
from latchpin.web.views import api_keys, automation, organization, sign_in, users
from latchpin.web.views import problem_types as types
from latchpin.web.views.common import Chip, Form, Listing, Option, Problem, Toast
from tests.web import app_samples, oauth_samples
from tests.web.samples import (
    ACCESSES,
    AGENTS,
    DEFINITION,
    EMPTY,
    EVENTS,
    GROUPS,
    INACTIVE,
    KEY,
    LIFETIME,
    LIVE,
    MEMBERS,
    NEW_KEY,
    OWNER,
    PERSON,
    QUICK,
    REFUSED_KEY,
    RETRY,
    ROLES,
    SPACE,
    SPACES,
    USERS,
    VERSIONS,
    before,
    key,
    listing,
    shell,
)


def _sign_in() -> Iterator[tuple[str, str, Any]]:
    outside = shell("", None)
    yield (
        "sign-in",
        "sign_in/sign_in.html",
        sign_in.SignIn(outside, Form({"email": "maya@northwind.example"}), "/", ended=False, empty=True),
    )
    yield (
        "sign-in-refused",
        "sign_in/sign_in.html",
        sign_in.SignIn(
            outside,
            Form({"email": "maya@northwind.example"}, {"": "Incorrect email or password."}),
            "/",
            ended=True,
            empty=False,
        ),
    )
    yield (
        "sign-in-draft",
        "sign_in/sign_in.html",
        sign_in.SignIn(outside, EMPTY, "/agents/new?draft=1", ended=True, empty=False, has_draft=True),
    )
    yield "first-password", "sign_in/change_password.html", sign_in.ChangePassword(shell("", PERSON), EMPTY, 8, PERSON.email)
    yield "setup", "sign_in/setup.html", sign_in.Setup(outside, EMPTY, 8, "/setup/one-time")
    yield (
        "confirm-password",
        "sign_in/confirm_password.html",
        sign_in.ConfirmPassword(
            shell("users"), RETRY, "/organization/users/2/api-keys/new", (("description", "Nightly"),), "/organization/users", 10
        ),
    )


def _dashboard() -> Iterator[tuple[str, str, Any]]:
    expiring = (
        organization.ExpiringKey(OWNER, LIVE[1]),
        organization.ExpiringKey(OWNER, key(4, "Finance sync", "Billing-only", "expiring", 2)),
    )
    toast = Toast("success", "API key “Nightly export” revoked. It is refused from now on.")
    yield (
        "dashboard",
        "organization/dashboard.html",
        organization.Dashboard(shell("dashboard", toast=toast), 24, 2, 3, 7, 1, 9, expiring, EVENTS, AGENTS[:5], ()),
    )
    yield (
        "dashboard-user",
        "organization/dashboard.html",
        organization.Dashboard(shell("dashboard", PERSON), 6, 0, 2, None, None, None, (), (), AGENTS[:3], LIVE),
    )
    yield "dashboard-empty", "organization/dashboard.html", organization.Dashboard(shell("dashboard"), 0, 0, 0, 1, 0, 0, (), (), (), ())


def _keys() -> Iterator[tuple[str, str, Any]]:
    frame, base = shell("users"), "/organization/users/2/api-keys"
    where = listing(base, 5, "created")
    yield "keys", "api_keys/list.html", api_keys.Keys(frame, OWNER, where, LIVE, INACTIVE)
    yield "keys-empty", "api_keys/list.html", api_keys.Keys(frame, OWNER, where, (), ())
    gone = api_keys.KeyOwner(7, "Ben Achterberg", "ben@northwind.example", active=False)
    yield "keys-disabled", "api_keys/list.html", api_keys.Keys(frame, gone, where, (), INACTIVE)
    yield "key-new", "api_keys/new.html", api_keys.NewKey(frame, OWNER, NEW_KEY, "f" * 22, LIFETIME, QUICK, ACCESSES)
    yield "key-new-refused", "api_keys/new.html", api_keys.NewKey(frame, OWNER, REFUSED_KEY, "f" * 22, LIFETIME, QUICK, ACCESSES)
    yield (
        "key-created",
        "api_keys/created.html",
        api_keys.CreatedKey(frame, OWNER, where, LIVE, INACTIVE, KEY, LIVE[0], "http://127.0.0.1:8080"),
    )
    yield "key-expiry", "api_keys/expiry.html", api_keys.KeyExpiry(frame, OWNER, LIVE[1], Form({"expires_on": "2026-12-06"}), LIFETIME)
    yield "key-revoke", "api_keys/revoke.html", api_keys.KeyConfirm(frame, OWNER, LIVE[0], EMPTY)
    yield "key-delete", "api_keys/delete.html", api_keys.KeyConfirm(frame, OWNER, LIVE[0], EMPTY)
    yield "key-delete-inactive", "api_keys/delete.html", api_keys.KeyConfirm(frame, OWNER, INACTIVE[0], EMPTY)


def _people() -> Iterator[tuple[str, str, Any]]:
    frame, base = shell("users"), "/organization/users"
    yield "users", "users/list.html", users.Users(frame, listing(base, 7, "full_name"), USERS)
    yield (
        "users-many",
        "users/list.html",
        users.Users(
            frame, Listing(base, {"sort": "keys", "order": "desc", "page": "4"}, "keys", descending=True, page=4, size=50, total=431), USERS
        ),
    )
    yield "users-none", "users/list.html", users.Users(frame, listing(base, 0, "full_name", q="zebra"), ())
    form = Form({"group": "User", "password": "cedar-lantern-oyster-41"})
    yield "user-new", "users/edit.html", users.UserEditor(frame, form, None, GROUPS, 8)
    refused = Form(
        {**form.values, "full_name": "Chloé", "email": "chloe"}, {"email": "Enter a full e-mail address, like name@example.com."}
    )
    yield "user-new-refused", "users/edit.html", users.UserEditor(frame, refused, None, GROUPS, 8)
    filled = Form({"full_name": "Tomás Okafor", "email": "tomas@northwind.example", "group": "User"})
    yield "user", "users/edit.html", users.UserEditor(frame, filled, USERS[1], GROUPS, 8)
    member_of = ((1, "Retail intelligence", "Editor"), (4, "Public tenders", "Operator"))
    yield "user-profile", "users/profile.html", users.UserProfile(frame, USERS[1], LIVE, 2, member_of, 1, 2, EVENTS)
    yield "user-profile-new", "users/profile.html", users.UserProfile(frame, USERS[4], (), 0, (), 0, 0, ())
    for name in ("disable", "enable", "delete", "reset_password"):
        yield f"user-{name}", f"users/{name}.html", users.UserConfirm(frame, USERS[1], EMPTY, "/organization/users")
    yield (
        "temporary-password",
        "users/temporary_password.html",
        users.TemporaryPassword(frame, USERS[4], "cedar-lantern-oyster-41", "/organization/users"),
    )


def _agents() -> Iterator[tuple[str, str, Any]]:
    frame, base = shell("agents"), "/agents"
    options = (Option("", "All Spaces"), Option("1", "Retail intelligence"), Option("personal", "Personal"))
    statuses = (Option("", "Active"), Option("archived", "Archived"), Option("all", "Active and archived"))
    yield (
        "agents",
        "agents/list.html",
        automation.Agents(frame, listing(base, 24, "name"), AGENTS, options, "", statuses, "all", can_create=True),
    )
    yield (
        "agents-empty",
        "agents/list.html",
        automation.Agents(frame, listing(base, 0, "name"), (), options, "", statuses, "", can_create=True),
    )
    inputs = (automation.InputRow("category", "kettles", encrypted=False), automation.InputRow("session_token", "", encrypted=True))
    record = (automation.FieldRow("title", "css(h1)"), automation.FieldRow("price", "css(.price)"))
    facts = (("Pages", "At most 40"), ("Requests", "2 a second"))
    for tab in ("overview", "definition", "versions"):
        yield (
            f"agent-{tab}",
            "agents/details.html",
            automation.AgentDetails(frame, AGENTS[0], tab, inputs, record, facts, DEFINITION, VERSIONS),
        )
    yield "agent-archived", "agents/details.html", automation.AgentDetails(frame, AGENTS[5], "overview", (), (), (), DEFINITION, VERSIONS)
    yield "agent-version", "agents/version.html", automation.AgentVersion(frame, AGENTS[0], VERSIONS[1], DEFINITION)
    problems = (
        Problem(14, "pagination.next", "Expected css(...), xpath(...) or url(...)."),
        Problem(0, "", "The record needs at least one field."),
    )
    yield "agent-edit", "agents/edit.html", automation.AgentEditor(frame, Form({"definition": DEFINITION}), AGENTS[0], (), ())
    draft = Form({"definition": DEFINITION}, from_draft=True)
    yield "agent-edit-kept", "agents/edit.html", automation.AgentEditor(frame, draft, AGENTS[0], (), ())
    yield (
        "agent-new-refused",
        "agents/edit.html",
        automation.AgentEditor(frame, Form({"definition": DEFINITION, "space": "1"}), None, options, problems),
    )
    yield "agent-move", "agents/move.html", automation.AgentMove(frame, AGENTS[0], EMPTY, options[1:])
    yield "agent-move-nowhere", "agents/move.html", automation.AgentMove(frame, AGENTS[0], EMPTY, ())
    yield "agent-archive", "agents/archive.html", automation.AgentConfirm(frame, AGENTS[0], EMPTY)
    yield (
        "agent-restore",
        "agents/restore.html",
        automation.VersionRestore(frame, AGENTS[0], VERSIONS[2], Form({"comment": "Restored version 1"})),
    )


def _spaces() -> Iterator[tuple[str, str, Any]]:
    frame = shell("spaces")
    yield "spaces", "spaces/list.html", automation.Spaces(frame, listing("/spaces", 3, "name"), SPACES, can_create=True)
    yield "spaces-empty", "spaces/list.html", automation.Spaces(frame, listing("/spaces", 0, "name"), (), can_create=False)
    yield "space-agents", "spaces/details.html", automation.SpaceDetails(frame, SPACE, "agents", AGENTS[:2], MEMBERS)
    yield "space-members", "spaces/details.html", automation.SpaceDetails(frame, SPACES[1], "members", (), MEMBERS)
    scopes = (
        Option("Private", "Private", "Only its members."),
        Option("Public", "Public", "Everyone in the organization may view it."),
        Option("Global", "Global", "Every organization of this deployment may view it."),
    )
    yield "space-new", "spaces/edit.html", automation.SpaceEditor(frame, Form({"scope": "Private"}), None, scopes)
    yield (
        "space-edit",
        "spaces/edit.html",
        automation.SpaceEditor(frame, Form({"name": SPACE.name, "scope": "Private", "default_access": "yes"}), SPACE, scopes),
    )
    people = (Option("3", "Ingrid Haugen (ingrid@northwind.example)"),)
    yield "member-new", "spaces/member.html", automation.MemberEditor(frame, SPACE, Form({"role": "viewer"}), None, people, ROLES)
    yield "member-edit", "spaces/member.html", automation.MemberEditor(frame, SPACE, Form({"role": "operator"}), MEMBERS[1], (), ROLES)
    yield "space-delete", "spaces/delete.html", automation.SpaceConfirm(frame, SPACE, EMPTY, 7, (Option("2", "Real estate"),))
    yield "space-delete-empty", "spaces/delete.html", automation.SpaceConfirm(frame, SPACE, EMPTY, 0, ())
    yield "space-delete-only", "spaces/delete.html", automation.SpaceConfirm(frame, SPACE, EMPTY, 1, ())
    yield "member-remove", "spaces/remove_member.html", automation.MemberConfirm(frame, SPACE, MEMBERS[1], EMPTY)


def _organization() -> Iterator[tuple[str, str, Any]]:
    yield (
        "policy",
        "organization/policy.html",
        organization.Policy(shell("policy"), Form({"default_days": "365", "max_days": "730"}), 730, 2, 10_000),
    )
    frame = shell("audit")
    people = (Option("", "Anyone"), Option("1", "Maya Lindqvist"))
    actions = (Option("", "Any action"), Option("api_key.created", "API key created"))
    outcomes = (Option("", "Any outcome"), Option("done", "Success"), Option("refused", "Refused"))
    credentials = (Option("", "Any credential"), Option("api_key", "API key"))
    yield (
        "audit",
        "audit/list.html",
        organization.AuditLog(frame, EVENTS, (), EMPTY, actions, outcomes, people, credentials, "", "/audit?before=9", filtered=False),
    )
    chips = (Chip("Who", "Maya Lindqvist", "/audit?outcome=done"), Chip("Through", "API key Grafana dashboard", "/audit?actor=1"))
    chosen = Form({"actor": "1", "through": "api_key:1", "address": "203.0.113."})
    yield (
        "audit-filtered",
        "audit/list.html",
        organization.AuditLog(frame, EVENTS[:2], chips, chosen, actions, outcomes, people, credentials, "/audit", "", filtered=True),
    )
    nothing = organization.AuditLog(frame, (), chips, chosen, actions, outcomes, people, credentials, "", "", filtered=True)
    yield "audit-none", "audit/list.html", nothing
    looked_through = "Looked through 20,000 of the newest records. Older ones may match as well."
    yield "audit-none-yet", "audit/list.html", replace(nothing, older="/audit?cursor=9", looked_through=looked_through)
    changes = (organization.Change("default_days", "365", "90"), organization.Change("max_days", "730", "180"))
    yield (
        "audit-record",
        "audit/record.html",
        organization.AuditRecord(
            frame,
            EVENTS[2],
            "policy.changed",
            (("On", "Northwind Data"), ("From", "203.0.113.24"), ("Request", "01JD7M2Q")),
            changes,
            '{\n  "action": "policy.changed"\n}',
        ),
    )
    sessions = (
        organization.SessionRow(1, "Firefox on Linux", "203.0.113.24", before(hours=2), before(minutes=1), current=True),
        organization.SessionRow(2, "Safari on iPhone", "2001:db8:85a3::8a2e:370:7334", before(days=3), before(hours=19), current=False),
    )
    refused = Form({}, {"current_password": "This is not your current password."})
    yield (
        "account",
        "account/account.html",
        organization.Account(shell("account", PERSON), EMPTY, 8, "User", before(days=300), sessions, app_samples.CONNECTED, LIVE),
    )
    yield (
        "account-refused",
        "account/account.html",
        organization.Account(shell("account"), refused, 8, "Administrator", before(days=300), sessions, (), ()),
    )


def _rest() -> Iterator[tuple[str, str, Any]]:
    errors = (
        (400, "This request makes no sense", "Go back and try again from the page you came from.", 0),
        (403, "This was not asked from one of our pages", "Nothing was changed. Open the page again and repeat it there.", 0),
        (404, "Page not found", "The address is wrong, what it showed was deleted, or you have no access to it.", 0),
        (429, "Too many requests", "Wait a little before you try again.", 40),
        (500, "Something went wrong on our side", "Nothing was changed. If it happens again, tell your operator the request below.", 0),
        (503, "Temporarily unavailable", "Nothing was changed. Try again in a moment.", 5),
    )
    for status, title, text, wait in errors:
        yield f"error-{status}", "errors/inside.html", organization.ErrorPage(shell(""), status, title, text, wait, "01JD7M2QZX")
    yield "error-outside", "errors/outside.html", organization.ErrorPage(shell("", None), 404, errors[2][1], errors[2][2], 0, "01JD7M2QZX")
    yield "problem-types", "problem_types/list.html", types.Types(shell("", None), problem_types.ALL_TYPES)
    for slug in ("insufficient-scope", "invalid-definition", "api-key-not-found"):
        problem_type = problem_types.get(slug)
        example = json.dumps(problem_type.example("https://latchpin.example"), indent=2)
        title = problem_types.TITLES[problem_type.status]
        yield f"problem-type-{slug}", "problem_types/details.html", types.Type(shell("", None), problem_type, title, example)
    form = Form({"plain": "Maya Lindqvist", "choice": "full", "card": "read-only", "day": "2027-11-24"})
    refused = Form({"refused_email": "maya"}, {"refused_email": "Enter a full e-mail address, like name@example.com."})
    yield "components", "components/index.html", organization.Components(shell(""), form, refused, ACCESSES, LIVE[1], EVENTS[0])


def every() -> Iterator[tuple[str, str, Any]]:
    """Each sample page: a name, its template, its view."""
    for group in (_sign_in, _dashboard, _keys, _people, _agents, _spaces, _organization, app_samples.every, oauth_samples.every, _rest):
        yield from group()
