"""Agents with a long history, without the time it takes to save each version."""

from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import clock
from latchpin.storage.models import Agent, AgentVersion
from tests.support.people import Organization, definition


def many_versions(organization: Organization, agent_id: int, count: int) -> None:
    """Give an agent of one version so many."""
    text = definition("Many")

    async def work(session: AsyncSession) -> None:
        rows = [
            {
                "agent_id": agent_id,
                "version": number,
                "definition": text,
                "file_size": len(text),
                "user_name": "x",
                "created_at": clock.now(),
            }
            for number in range(2, count + 1)
        ]
        await session.execute(insert(AgentVersion), rows)
        agent = await session.get_one(Agent, agent_id)
        agent.version = count

    organization.write(work)
