"""All tables. Importing this package is what makes `Base.metadata` complete."""

from latchpin.storage.models.agent import Agent, AgentVersion
from latchpin.storage.models.api_key import ApiKey
from latchpin.storage.models.audit import AuditEvent
from latchpin.storage.models.base import Base
from latchpin.storage.models.deployment import Deployment
from latchpin.storage.models.session import BrowserSession, SignInFailures
from latchpin.storage.models.space import Space, SpaceMember
from latchpin.storage.models.user import Organization, User

__all__ = [
    "Agent",
    "AgentVersion",
    "ApiKey",
    "AuditEvent",
    "Base",
    "BrowserSession",
    "Deployment",
    "Organization",
    "SignInFailures",
    "Space",
    "SpaceMember",
    "User",
]
