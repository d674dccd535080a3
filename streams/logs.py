"""Structured logs: one JSON object a line, with fields instead of sentences, and never a user id.

Whoever must name a customer uses their pseudonym (`pseudonym`), which only holders of the salt can make.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from features.hashing import salted_hash


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


def configure(level: str) -> None:
    """Send everything, Faust's and aiokafka's own lines too, to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Their chatter at info is about themselves; warnings are about us.
    for noisy in ("faust", "mode", "aiokafka"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def pseudonym(user_id: str, salt: str) -> str:
    """The name under which a customer may stand in a log: 16 hex digits."""
    return f"{salted_hash(user_id, salt):016x}"
