"""The audit trail is read in the order of an index, and a bounded piece of it for each page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record, scan, trail
from latchpin.audit.trail import Filters
from latchpin.kit import clock as kit_clock
from latchpin.kit.pages import Page
from latchpin.storage.models import AuditEvent
from tests.support.people import Organization
from tests.support.plans import plans, sorts

pytestmark = pytest.mark.both_databases("plans are each database's own")

NOW = kit_clock.now()
FILTERS = {
    "none": (Filters(), "PRIMARY KEY|organization_id"),
    "actor": (Filters(actor_id=7), "ix_audit_events_actor_id"),
    "action": (Filters(action="user.deleted"), "ix_audit_events_action"),
    "several actions": (Filters(action="api_key."), "organization_id"),
    "failed": (Filters(outcome="failed"), "ix_audit_events_outcome"),
    "target": (Filters(target_kind="api_key", target_id=7), "ix_audit_events_target_kind_target_id"),
    "credential": (Filters(credential_kind="api_key", credential_id=7), "ix_audit_events_credential_kind_credential_id"),
    "command line": (Filters(credential_kind="command_line"), "ix_audit_events_credential_kind"),
    "actor and outcome": (Filters(actor_id=7, outcome="failed"), "ix_audit_events_actor_id"),
    "text": (Filters(text="nobody"), "organization_id"),
    "address": (Filters(address="203.0.113."), "organization_id"),
    "days": (Filters(since=NOW - timedelta(days=2), until=NOW + timedelta(days=1)), "organization_id"),
}


def _page(organization: Organization, filters: Filters, cursor: str | None = None, size: int = 50) -> Page[AuditEvent]:
    async def work(session: AsyncSession) -> Page[AuditEvent]:
        return await trail.page(session, organization.id, filters, cursor=cursor, size=size)

    return organization.write(work)


def _record(organization: Organization, *names: str, days_ago: int = 0) -> None:
    by = Actor("ada@example.com", organization.admin.id, organization.id, "session", 7, "browser session", Origin("203.0.113.5"))

    async def work(session: AsyncSession) -> None:
        for name in names:
            record(session, events.SpaceChanged(target_id=1, target_name=name), by, at=kit_clock.now() - timedelta(days=days_ago))

    organization.write(work)


@pytest.mark.parametrize("name", FILTERS)
def test_no_list_of_the_trail_sorts_rows_and_each_filter_has_its_index(organization: Organization, other: Organization, name: str) -> None:
    """Neither with statistics nor without, where there are several organizations."""
    filters, index = FILTERS[name]
    _record(organization, "thing")

    async def work(session: AsyncSession) -> None:
        await trail.page(session, organization.id, filters, size=2)

    found = [plan for plan in organization.server.run(plans(organization.server.database, work)) if "audit_events" in plan]

    assert found
    assert not any(sorts(plan) for plan in found), found
    assert any(each in found[-1] for each in index.split("|")), found
    assert other.id != organization.id


def test_a_page_looks_at_a_bounded_number_of_rows_and_its_cursor_leads_on(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits the filters is found in the end, each once, however far back it lies; the last page says that it is the last."""
    monkeypatch.setattr(scan, "TEXT_DEPTH", 4)
    _record(organization, "wanted 1", *["hay"] * 9, "wanted 2", "hay", "wanted 3")

    pages = [_page(organization, Filters(text="wanted"))]
    while (cursor := pages[-1].next) is not None and len(pages) < 20:
        pages.append(_page(organization, Filters(text="wanted"), cursor))

    found = [row.target_name for page in pages for row in page.items]
    assert found == ["wanted 3", "wanted 2", "wanted 1"]
    assert sum(page.is_short for page in pages) >= 3
    assert pages[-1].next is None
    assert not pages[-1].is_short


def test_a_full_page_is_not_short_though_few_rows_are_looked_at(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor then stands behind the last row that was shown."""
    monkeypatch.setattr(scan, "TEXT_DEPTH", 4)
    _record(organization, *(f"thing {number}" for number in range(6)))

    first = _page(organization, Filters(text="thing"), size=2)
    second = _page(organization, Filters(text="thing"), first.next, size=2)

    assert [row.target_name for row in (*first.items, *second.items)] == ["thing 5", "thing 4", "thing 3", "thing 2"]
    assert not first.is_short


def test_days_find_their_events_whatever_order_they_were_written_in(organization: Organization) -> None:
    """A host whose clock is behind writes later what happened earlier."""
    _record(organization, "five days ago", days_ago=5)
    _record(organization, "now")
    _record(organization, "three days ago", days_ago=3)

    def names(since: int, until: int) -> list[str | None]:
        now = kit_clock.now()
        page = _page(organization, Filters(action="space.", since=now - timedelta(days=since), until=now - timedelta(days=until)))
        return [row.target_name for row in page.items]

    assert names(4, 2) == ["three days ago"]
    assert names(6, 2) == ["three days ago", "five days ago"]
    assert names(2, -1) == ["now"]
    assert names(-1, -2) == []
