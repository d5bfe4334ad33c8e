"""The logger of a module. structlog is imported when the first line is written: most commands write none, and it imports much."""

from __future__ import annotations

from typing import Any


class Logger:
    """Hands each line to structlog as `logs.configure` has set it up."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        import structlog  # noqa: PLC0415  as above

        getattr(structlog.get_logger(self._name), level)(event, **values)

    def info(self, event: str, **values: Any) -> None:  # noqa: ANN401  any value can be logged, here and below
        """Log something that happened as it should."""
        self._write("info", event, values)

    def warning(self, event: str, **values: Any) -> None:  # noqa: ANN401  as above
        """Log something that an operator may want to look at."""
        self._write("warning", event, values)

    def error(self, event: str, **values: Any) -> None:  # noqa: ANN401  as above
        """Log something that an operator has to look at."""
        self._write("error", event, values)

    def critical(self, event: str, **values: Any) -> None:  # noqa: ANN401  as above
        """Log why a process ends."""
        self._write("critical", event, values)

    def exception(self, event: str, **values: Any) -> None:  # noqa: ANN401  as above
        """Log an error with the trace of the exception that is being handled."""
        self._write("exception", event, values)
