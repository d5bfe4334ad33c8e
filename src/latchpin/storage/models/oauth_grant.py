"""Grants, and the one-time things that lead to them or follow from them. Secrets are kept as SHA-256 of 256 random bits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime, WordEnum


class Reach(StrEnum):
    """Where a grant is valid: in all Spaces its user may enter, in the personal one, or in one named Space."""

    ALL = "all"
    PERSONAL = "personal"
    SPACE = "space"


class GrantKind(StrEnum):
    """What a grant came from: a user's consent, a client's own right, or an API key that was exchanged."""

    USER = "user"
    SERVICE = "service"
    EXCHANGE = "exchange"


class DeviceStatus(StrEnum):
    """The state of a device's authorization request."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class OAuthGrant(Base):
    """What a client may do, for whom, where. `sid` is its name in tokens.

    `activated_at` is when the first token was issued; a grant without it is purged. `offline` grants outlive the browser session. A grant
    of reach SPACE whose `space_id` is gone is valid nowhere. `resource` is space-separated; empty means our own API. `dpop_jkt` is the
    thumbprint of the key that a public client must prove to refresh (RFC 9449 section 5).
    """

    __tablename__ = "oauth_grants"
    __table_args__ = (Index("ix_oauth_grants_user_id_ended_at", "user_id", "ended_at"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(primary_key=True)
    sid: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[GrantKind] = mapped_column(WordEnum(GrantKind))
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    api_key_id: Mapped[int | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    browser_session_id: Mapped[int | None] = mapped_column(ForeignKey("browser_sessions.id", ondelete="SET NULL"), index=True)
    offline: Mapped[bool] = mapped_column(default=False)
    scopes: Mapped[str] = mapped_column(String(400))
    reach: Mapped[Reach] = mapped_column(WordEnum(Reach), default=Reach.ALL)
    space_id: Mapped[int | None] = mapped_column(ForeignKey("spaces.id", ondelete="SET NULL"), index=True)
    resource: Mapped[str] = mapped_column(Text, default="")
    auth_time: Mapped[datetime | None] = mapped_column(UtcTime)
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    activated_at: Mapped[datetime | None] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_reason: Mapped[str | None] = mapped_column(String(200))


class OAuthConsent(Base):
    """What a user agreed to for a client, for as long as the client has the version `client_version`.

    With `stay_connected` the user lets the client have refresh tokens although it does not request `offline_access`.
    """

    __tablename__ = "oauth_consents"
    __table_args__ = (UniqueConstraint("user_id", "oauth_client_id"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    client_version: Mapped[int]
    scopes: Mapped[str] = mapped_column(String(400))
    reach: Mapped[Reach] = mapped_column(WordEnum(Reach), default=Reach.ALL)
    space_id: Mapped[int | None] = mapped_column(ForeignKey("spaces.id", ondelete="SET NULL"), index=True)
    resource: Mapped[str] = mapped_column(Text, default="")
    stay_connected: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class StoredAuthorizationRequest(Base):
    """An authorization request that waits for a person's decision; used once, by the browser session that began it."""

    __tablename__ = "oauth_requests"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    browser_session_id: Mapped[int] = mapped_column(ForeignKey("browser_sessions.id", ondelete="CASCADE"), index=True)
    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    parameters: Mapped[str] = mapped_column(Text)  # JSON
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcTime)


class PushedRequest(Base):
    """An authorization request that a client pushed (RFC 9126); `parameters` is the form as it was sent, without credentials."""

    __tablename__ = "oauth_pushed_requests"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    parameters: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcTime)


class AuthorizationCode(Base):
    """A one-time code (RFC 6749 section 4.1.2), with what its redemption must match."""

    __tablename__ = "oauth_codes"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    grant_id: Mapped[int] = mapped_column(ForeignKey("oauth_grants.id", ondelete="CASCADE"), index=True)
    redirect_uri: Mapped[str] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(String(128))
    nonce: Mapped[str | None] = mapped_column(Text)
    dpop_jkt: Mapped[str | None] = mapped_column(String(43))
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    tries: Mapped[int] = mapped_column(default=0)


class RefreshToken(Base):
    """One refresh token of a grant. A used one keeps its token response for a few seconds, encrypted under the token itself."""

    __tablename__ = "oauth_refresh_tokens"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    grant_id: Mapped[int] = mapped_column(ForeignKey("oauth_grants.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    successor_id: Mapped[int | None]
    token_request: Mapped[str | None] = mapped_column(Text)  # what the request that used it asked for, a JSON object
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


class DeviceCode(Base):
    """A device authorization request (RFC 8628): the device has the long code, a person types the short one."""

    __tablename__ = "oauth_device_codes"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_code_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    oauth_client_id: Mapped[int] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    grant_id: Mapped[int | None] = mapped_column(ForeignKey("oauth_grants.id", ondelete="CASCADE"), index=True)
    scopes: Mapped[str] = mapped_column(String(400))
    resource: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[DeviceStatus] = mapped_column(WordEnum(DeviceStatus), default=DeviceStatus.PENDING)
    address: Mapped[str | None] = mapped_column(String(64))
    interval_seconds: Mapped[int]
    last_polled_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


class RevokedToken(Base):
    """One access token that was revoked without its grant (RFC 7009); kept until the token's expiry."""

    __tablename__ = "oauth_revoked_tokens"

    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    grant_id: Mapped[int] = mapped_column(ForeignKey("oauth_grants.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)


class AssertionId(Base):
    """A client's JWT that may be used once and has been used; kept until its expiry.

    Client assertions (RFC 7523 section 3) and DPoP proofs (RFC 9449 section 11.1); the digested text says which. Assertions name their
    client, so that the rows of each client are limited; proofs name none.
    """

    __tablename__ = "oauth_assertions"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    oauth_client_id: Mapped[int | None] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
