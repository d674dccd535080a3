"""Structured logs: one JSON object a line, with fields instead of sentences, and never a user id.

Whoever must name a customer uses their pseudonym (`pseudonym`), which only holders of the salt can make.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from features.hashing import salted_hash

if TYPE_CHECKING:
    from collections.abc import Callable

#: The same line of a library is said again after this time.
_REPEAT_SECONDS: Final = 10.0


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, message and the fields given."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:
            # Numbers beyond 64 bits and halves of surrogates are no reason to lose a line.
            return json.dumps(line, default=str)


class Logger:
    """A logger whose keyword arguments become fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, **fields: Any) -> None:
        """Something a developer wants to know."""
        self._logger.debug(message, extra={"fields": fields})

    def info(self, message: str, **fields: Any) -> None:
        """Something an operator wants to know."""
        self._logger.info(message, extra={"fields": fields})

    def warning(self, message: str, **fields: Any) -> None:
        """Something an operator should look at."""
        self._logger.warning(message, extra={"fields": fields})

    def error(self, message: str, **fields: Any) -> None:
        """Something that went wrong; inside an `except` the traceback comes along."""
        self._logger.error(message, extra={"fields": fields}, exc_info=sys.exc_info()[0] is not None)


def logger(name: str) -> Logger:
    """The logger of a module."""
    return Logger(f"churnwatch.{name.removeprefix('streams.')}")


class Once(logging.Filter):
    """Lets each line of aiokafka pass once in a while: without a broker it says the same all the time."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this kind of line was not there lately; ours always pass."""
        if not record.name.startswith("aiokafka"):
            return True
        now, kind = self._clock(), (record.name, str(record.msg))
        if now - self._said.get(kind, -self._seconds) < self._seconds:
            return False
        self._said[kind] = now
        return True


def configure(level: str) -> None:
    """Send everything, Faust's and aiokafka's own lines too, to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Once(_REPEAT_SECONDS))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Their chatter at info is about themselves; warnings are about us.
    for noisy in ("faust", "mode", "aiokafka"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def pseudonym(user_id: str, salt: str) -> str:
    """The name under which a customer may stand in a log: 16 hex digits."""
    return f"{salted_hash(user_id, salt):016x}"
