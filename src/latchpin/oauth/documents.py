"""Apps whose client_id is the https address of their metadata document (draft-ietf-oauth-client-id-metadata-document).

The document is fetched when it is first named, and again when it is no longer fresh. What was read becomes a row like any other client's,
so that grants, consents, approvals and revocation work as for all others. A document that cannot be reached at the moment does not put an
app out of service: for one more day its last version stays valid, and the document is fetched again every minute. A document that
is invalid or missing (4xx) ends that at once. Nothing of a refused document is stored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.errors import Throttled
from latchpin.identity.roles import CredentialKind
from latchpin.kit import clock
from latchpin.kit.cache import Cache, SingleFlight
from latchpin.kit.fetching import FetchedDocument, Fetcher, FetchError
from latchpin.kit.logger import Logger
from latchpin.oauth import client_metadata, client_versions
from latchpin.oauth.client_metadata import ClientMetadata
from latchpin.oauth.errors import OAuthError
from latchpin.settings import Settings
from latchpin.storage import Database, subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthClient
from latchpin.storage.models.oauth_client import ClientSource, ClientStatus
from latchpin.storage.upsert import insert

MOST_LENGTH = 500  # of an address, as a client_id is kept
LEAST, USUAL, MOST = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)  # for how long a document is fresh
GRACE = timedelta(days=1)  # for how long an app stays as it was when its document cannot be reached
ASK_AGAIN_SECONDS = 60.0
_DOTS = frozenset({".", "..", "%2e", ".%2e", "%2e.", "%2e%2e"})
_log = Logger(__name__)


def client_id_problem(client_id: str) -> str | None:
    """Return why an address cannot be that of a metadata document, or None (security.md 68). Other code checks whether http is allowed."""
    parts = _split(client_id)
    if parts is None or not parts.hostname or any(letter in client_id for letter in ' "<>\\^`{|}'):
        return "is no address"
    segments = parts.path.split("/")
    checks = (
        (len(client_id) > MOST_LENGTH, f"may have {MOST_LENGTH} characters at most"),
        ("#" in client_id, "may not have a fragment"),
        ("@" in parts.netloc, "may not have a user in it"),
        (parts.path in ("", "/"), "must have a path"),
        (any(each.lower() in _DOTS for each in segments), "may not have dot segments"),
        (parts.netloc != parts.netloc.lower(), "must have its host in lower case"),
    )
    return next((text for is_so, text in checks if is_so), None)


class ClientMetadataDocuments:
    """Fetches metadata documents for one process. Concurrent requests for one document share one fetch."""

    def __init__(self, database: Database, settings: Settings, fetcher: Fetcher) -> None:
        self._database = database
        self._settings = settings
        self._fetcher = fetcher
        self._refreshes = SingleFlight[str, None]()
        self._unreachable = Cache[str, bool](ASK_AGAIN_SECONDS)

    def is_one(self, client_id: str) -> bool:
        """Whether a client_id names a document, valid or not; False where the deployment accepts none."""
        return self._settings.client_documents and self._fetcher.may_name(client_id)

    async def refresh(self, client_id: str, origin: Origin) -> None:
        """Update the app in the database from its document where that is due. A revoked one stays as it is.

        Raises OAuthError `invalid_client` that says what is wrong with the document, Throttled for too many fetches, Unavailable.
        """
        if problem := client_id_problem(client_id):
            raise _unusable(f"client_id {problem}")
        await self._refreshes.run(client_id, lambda: self._refresh(client_id, origin))

    async def _refresh(self, client_id: str, origin: Origin) -> None:
        async with self._database.read() as session:
            row = await session.scalar(select(OAuthClient).where(OAuthClient.client_id == client_id))
        now = clock.timestamp()
        fresh_until = row.fresh_until.timestamp() if row is not None and row.fresh_until is not None else 0.0
        if row is not None and (row.status is not ClientStatus.ACTIVE or fresh_until > now):
            return  # a revocation is final, whatever the document says
        if row is not None and self._unreachable.get(client_id):
            return
        try:
            fetched = await self._fetcher.get(client_id, client_address=origin.address)
        except (FetchError, Throttled) as error:
            if row is not None and now < fresh_until + GRACE.total_seconds() and _is_passing(error):
                self._unreachable.put(client_id, value=True)
                return
            if isinstance(error, Throttled):
                raise
            raise _unusable(f"the document at {client_id} cannot be used: {error.reason}") from None
        metadata = _read(client_id, fetched)
        self._unreachable.discard(client_id)
        await self._save(client_id, metadata, _lifetime(fetched.max_age), origin)

    async def _save(self, client_id: str, metadata: ClientMetadata, lifetime: timedelta, origin: Origin) -> None:
        by, fresh_until = _actor(client_id, metadata, origin), clock.now() + lifetime
        stored = select(OAuthClient).where(OAuthClient.client_id == client_id).with_for_update()
        async with self._database.transaction() as session:
            row = await session.scalar(stored)
            if row is None and await self._add(session, client_id, metadata, fresh_until, by):
                return
            if row is None:  # another process was first
                row = await session.scalar(stored)
            if row is not None:
                if row.status is ClientStatus.ACTIVE:
                    _change(session, row, metadata, by)
                row.fresh_until = fresh_until

    async def _add(self, session: AsyncSession, client_id: str, metadata: ClientMetadata, fresh_until: datetime, by: Actor) -> bool:
        """Add the app from its document; False where it exists already. Raises OAuthError where there is no room for another."""
        count = select(func.count()).select_from(OAuthClient).where(OAuthClient.source == ClientSource.DOCUMENT)
        if (await session.scalar(count) or 0) >= self._settings.registration_most:
            _log.warning("documents.full", detail="no room for another app by its document; unused ones leave after a day")
            raise OAuthError("temporarily_unavailable", "too many apps are known by their documents", status=503)
        new_row = insert(session, OAuthClient).values(
            client_id=client_id,
            source=ClientSource.DOCUMENT,
            created_at=clock.now(),
            created_by_name=by.name[:200],
            fresh_until=fresh_until,
            **metadata.values(),
        )
        row = await session.scalar(new_row.on_conflict_do_nothing(index_elements=[OAuthClient.client_id]).returning(OAuthClient))
        if row is None:
            return False
        changes = {"client_id": (None, client_id), "redirect_uris": (None, row.redirect_uris)}
        record(session, events.ClientCreated(target_id=row.id, target_name=row.name, changes=changes), by)
        return True


def _change(session: AsyncSession, row: OAuthClient, metadata: ClientMetadata, by: Actor) -> None:
    """Store a changed document; a new version of the app needs approval and consent again (security.md 73)."""
    values = metadata.values()
    changes = {name: (getattr(row, name), value) for name, value in values.items() if getattr(row, name) != value}
    if not changes:
        return
    if client_versions.is_another({name: getattr(row, name) for name in values}, values):
        row.version += 1
    for name, (_, value) in changes.items():
        setattr(row, name, value)
    invalidate(session, subjects.client(row.id))
    record(session, events.ClientChanged(target_id=row.id, target_name=row.name, changes=changes), by)


def _read(client_id: str, fetched: FetchedDocument) -> ClientMetadata:
    """Check a document; raises OAuthError."""
    try:
        if fetched.document.get("client_id") != client_id:
            raise client_metadata.invalid("its client_id is not the very address that it was fetched from")
        return client_metadata.parse_document(fetched.document)
    except OAuthError as error:
        raise _unusable(f"the document at {client_id} cannot be used: {error.description}") from None


def _lifetime(max_age: int | None) -> timedelta:
    return USUAL if max_age is None else min(max(timedelta(seconds=max_age), LEAST), MOST)


def _unusable(description: str) -> OAuthError:
    """Make the error for a client whose document is invalid; 400, as no credential was wrong (OAuth 2.1 section 3.2.4)."""
    return OAuthError("invalid_client", description)


def _is_passing(error: FetchError | Throttled) -> bool:
    return not isinstance(error, FetchError) or error.is_passing


def _actor(client_id: str, metadata: ClientMetadata, origin: Origin) -> Actor:
    parts = _split(client_id)
    host = parts.hostname if parts is not None and parts.hostname else "metadata document"
    return Actor(host[:254], None, None, CredentialKind.CLIENT.value, None, metadata.name, origin)


def _split(client_id: str) -> SplitResult | None:
    try:
        if not client_id.isascii() or not client_id.isprintable():
            return None
        parts = urlsplit(client_id)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts
