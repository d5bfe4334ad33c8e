"""All tables. Importing this package makes `Base.metadata` complete."""

from latchpin.storage.models.agent import Agent, AgentVersion
from latchpin.storage.models.api_key import ApiKey, ApiKeyCount, ApiKeyCountTime
from latchpin.storage.models.audit import AuditEvent
from latchpin.storage.models.base import Base
from latchpin.storage.models.deployment import Deployment
from latchpin.storage.models.invalidation import Invalidation
from latchpin.storage.models.oauth_client import OAuthApproval, OAuthClient, OAuthClientSecret, OAuthClientSpace, OAuthResource
from latchpin.storage.models.oauth_grant import (
    AssertionId,
    AuthorizationCode,
    DeviceCode,
    OAuthConsent,
    OAuthGrant,
    PushedRequest,
    RefreshToken,
    RevokedToken,
    StoredAuthorizationRequest,
)
from latchpin.storage.models.run import Run, RunFile, RunTransition, Worker
from latchpin.storage.models.session import BrowserSession, FormDraft, SignInFailures
from latchpin.storage.models.signing_key import SigningKey
from latchpin.storage.models.space import Space, SpaceMember
from latchpin.storage.models.user import Organization, User

__all__ = [
    "Agent",
    "AgentVersion",
    "ApiKey",
    "ApiKeyCount",
    "ApiKeyCountTime",
    "AssertionId",
    "AuditEvent",
    "AuthorizationCode",
    "Base",
    "BrowserSession",
    "Deployment",
    "DeviceCode",
    "FormDraft",
    "Invalidation",
    "OAuthApproval",
    "OAuthClient",
    "OAuthClientSecret",
    "OAuthClientSpace",
    "OAuthConsent",
    "OAuthGrant",
    "OAuthResource",
    "Organization",
    "PushedRequest",
    "RefreshToken",
    "RevokedToken",
    "Run",
    "RunFile",
    "RunTransition",
    "SignInFailures",
    "SigningKey",
    "Space",
    "SpaceMember",
    "StoredAuthorizationRequest",
    "User",
    "Worker",
]
