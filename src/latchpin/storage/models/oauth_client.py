"""OAuth clients, their secrets, what organizations decided about them, and the resources that tokens are for."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime, WordEnum


class ClientSource(StrEnum):
    """How a client was registered: in the Control Center, by RFC 7591, by a client ID metadata document, or with the product."""

    REGISTERED = "registered"
    DYNAMIC = "dynamic"
    DOCUMENT = "document"
    FIRST_PARTY = "first_party"


class ClientStatus(StrEnum):
    """Whether a client's requests are accepted. Revoked is final."""

    ACTIVE = "active"
    REVOKED = "revoked"


class OAuthResource(Base):
    """A protected resource (RFC 8707) of an organization: an origin, and whether tokens for it may also call our own API."""

    __tablename__ = "oauth_resources"
    __table_args__ = (UniqueConstraint("organization_id", "identifier"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    identifier: Mapped[str] = mapped_column(String(500))
    name: Mapped[str] = mapped_column(String(200))
    may_call_api: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class OAuthClient(Base):
    """One client. Lists are JSON arrays; `grant_types` and `scopes` are space-separated, as in OAuth messages.

    `organization_id` is None for clients that no organization made (dynamic, document, built-in). `version` rises when what
    people saw of it changes (client_versions); then it needs approval and every user's consent again. `resource_id` makes it the
    server of a resource, which may introspect that resource's tokens. `fresh_until` says when its metadata document has to be
    fetched again. `require_pushed` is require_pushed_authorization_requests (RFC 9126), `dpop_bound` dpop_bound_access_tokens (RFC 9449).
    `idempotency_key` is the random value of the form that created it, valid for one client.
    """

    __tablename__ = "oauth_clients"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(String(500), unique=True)
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"), index=True)
    source: Mapped[ClientSource] = mapped_column(WordEnum(ClientSource))
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[ClientStatus] = mapped_column(WordEnum(ClientStatus), default=ClientStatus.ACTIVE)
    auth_method: Mapped[str] = mapped_column(String(32), default="none")
    application_type: Mapped[str] = mapped_column(String(16), default="web")
    redirect_uris: Mapped[str] = mapped_column(Text, default="[]")
    post_logout_redirect_uris: Mapped[str] = mapped_column(Text, default="[]")
    grant_types: Mapped[str] = mapped_column(String(400), default="authorization_code")
    scopes: Mapped[str] = mapped_column(String(400), default="")
    jwks: Mapped[str | None] = mapped_column(Text)
    jwks_uri: Mapped[str | None] = mapped_column(String(2000))
    client_uri: Mapped[str | None] = mapped_column(String(2000))
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("oauth_resources.id", ondelete="CASCADE"), index=True)
    registration_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    idempotency_key: Mapped[str | None] = mapped_column(String(64), unique=True, index=True)
    require_pushed: Mapped[bool] = mapped_column(default=False)
    dpop_bound: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)
    fresh_until: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    created_by_name: Mapped[str] = mapped_column(String(200))
    last_used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revoked_by_name: Mapped[str | None] = mapped_column(String(200))


class OAuthClientSecret(Base):
    """One secret of a confidential client, as HMAC under a pepper; two may be valid while one replaces the other."""

    __tablename__ = "oauth_client_secrets"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    pepper_version: Mapped[int]
    prefix: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    created_by_name: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)


class OAuthClientSpace(Base):
    """A role in a Space that an administrator gave to a client's own service principal."""

    __tablename__ = "oauth_client_spaces"

    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[int]


class OAuthApproval(Base):
    """An organization's decision about a client that it did not make itself. An approval is for `client_version`."""

    __tablename__ = "oauth_approvals"

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), primary_key=True, index=True)
    approved: Mapped[bool | None]  # None: requested, not decided yet
    client_version: Mapped[int | None]
    asked_by_name: Mapped[str] = mapped_column(String(200), default="")
    decided_by_name: Mapped[str | None] = mapped_column(String(200))
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
