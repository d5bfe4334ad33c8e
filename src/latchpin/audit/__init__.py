"""The audit trail: typed events, written in the transaction of the change."""

from latchpin.audit import events
from latchpin.audit.actor import Actor, Origin
from latchpin.audit.log import record

__all__ = ["Actor", "Origin", "events", "record"]
