"""A person at a terminal: `latchpin` run inside the test's process, so that it goes by the test's clock, and sign-ins made without it."""

from __future__ import annotations

import contextlib
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.cli import main
from latchpin.cli.credentials_file import CredentialsFile, StoredCredentials
from latchpin.identity import grants
from latchpin.identity.grants import NewGrant
from latchpin.kit import clock
from latchpin.oauth import device_codes
from latchpin.oauth.clients import COMMAND_LINE
from latchpin.storage.models import OAuthClient
from tests.support.people import Organization, Person

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "agents:read agents:write spaces:read offline_access"


class Running:
    """A command that runs. `out` and `err` grow; `code` is its exit code when it has ended."""

    def __init__(self, *args: str) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, args=(args,), daemon=True)

    def _run(self, args: tuple[str, ...]) -> None:
        try:
            main.main(list(args), prog_name="latchpin", standalone_mode=False)
        except SystemExit as ended:
            self.code = int(ended.code or 0)
        else:
            self.code = 0

    @property
    def out(self) -> str:
        """What it wrote to standard output so far."""
        return self._out.getvalue()

    @property
    def err(self) -> str:
        """What it wrote to standard error so far."""
        return self._err.getvalue()

    def ended(self, code: int = 0, *, step: Callable[[], None] | None = None) -> Running:
        """Wait for the end, moving on by `step` meanwhile; fails the test unless it ends with `code`."""
        until = time.monotonic() + 30
        while self._thread.is_alive() and time.monotonic() < until:
            if step is not None:
                step()
            self._thread.join(0.05)
        assert self.code == code, (self.code, self.out, self.err)
        return self

    @contextlib.contextmanager
    def started(self) -> Iterator[Running]:
        """Run it while the block lasts."""
        with contextlib.redirect_stdout(self._out), contextlib.redirect_stderr(self._err):
            self._thread.start()
            yield self

    def says(self, pattern: str) -> str:
        """Wait until its output matches, and return the first group."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if match := re.search(pattern, self.out):
                return match[1]
            if not self._thread.is_alive():
                break
            self._thread.join(0.02)
        message = f"it did not say {pattern}: {self.out} {self.err}"
        raise AssertionError(message)


def config(place: Path, monkeypatch: pytest.MonkeyPatch) -> CredentialsFile:
    """Give the commands of this process a configuration directory of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place))
    return CredentialsFile()


def decide(organization: Organization, user_code: str, person: Person | None = None) -> int | None:
    """Allow the device that shows a code to act for a person (by default the administrator); returns the grant's id."""
    server, who = organization.server, person or organization.admin

    async def work(session: AsyncSession) -> int | None:
        row = await device_codes.find_pending(session, user_code, server.services.secrets)
        assert row is not None
        client = await session.get(OAuthClient, row.oauth_client_id)
        assert client is not None
        new = NewGrant(
            client=client, organization_id=organization.id, scopes=row.scopes, user_id=who.id, offline=True, auth_time=clock.now()
        )
        grant = await grants.create(session, new, server.settings)
        assert await device_codes.approve(session, row, grant)
        return grant.id

    return organization.write(work)


def refuse(organization: Organization, user_code: str) -> None:
    """Refuse the device that shows a code."""

    async def work(session: AsyncSession) -> None:
        row = await device_codes.find_pending(session, user_code, organization.server.services.secrets)
        assert row is not None
        assert await device_codes.deny(session, row)

    organization.write(work)


def signed_in(organization: Organization, file: CredentialsFile, person: Person | None = None) -> tuple[StoredCredentials, int]:
    """Sign in as `latchpin login` does, without waiting; returns what is kept, and the grant's id."""
    server = organization.server
    device_authorization = server.http.post("/api/oauth/device_authorization", data={"client_id": COMMAND_LINE, "scope": SCOPE}).json()
    grant_id = decide(organization, device_authorization["user_code"], person)
    form = {"grant_type": DEVICE_CODE, "device_code": device_authorization["device_code"], "client_id": COMMAND_LINE}
    tokens: dict[str, Any] = server.http.post("/api/oauth/token", data=form).json()
    held = StoredCredentials(
        access_token=tokens["access_token"],
        refresh_token=tokens["refresh_token"],
        expires=clock.timestamp() + tokens["expires_in"],
        scope=tokens["scope"],
        client_id=COMMAND_LINE,
    )
    file.write(server.url, held, current=True)
    return held, grant_id or 0
