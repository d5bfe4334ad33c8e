"""How admitted runs reach workers: one interface, and an implementation for each database."""

from latchpin.automation.run_queue.interface import RunQueue
from latchpin.automation.run_queue.jobs import ProcrastinateQueue
from latchpin.automation.run_queue.rows import RowQueue

__all__ = ["ProcrastinateQueue", "RowQueue", "RunQueue"]
