"""Logs: one JSON object a line, with fields, and no customer in clear."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import pytest

from streams.logs import JsonFormatter, Once, configure, logger, pseudonym


@pytest.fixture
def lines():
    """What our loggers say from here on, as parsed lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger("churnwatch")
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def test_a_line_holds_time_level_logger_message_and_fields(lines: Any):
    logger("streams.engine").info("recovered", partition=3, seconds=0.5)

    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "churnwatch.engine",
        "message": "recovered",
        "partition": 3,
        "seconds": 0.5,
    }


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_every_level_says_its_name(lines: Any, level: str):
    getattr(logger("streams.x"), level)("word")

    assert lines()[0]["level"] == level


def test_an_error_inside_an_except_brings_its_traceback_and_elsewhere_none(lines: Any):
    try:
        int("nothing")
    except ValueError:
        logger("streams.x").error("failed")
    logger("streams.x").error("failed")

    inside, outside = lines()
    assert "ValueError: invalid literal" in inside["error"]
    assert "error" not in outside


@pytest.mark.parametrize("value", [b"\xff", {1, 2}, float("nan"), 2**70, "\ud800", object()])
def test_whatever_a_field_holds_the_line_is_json(lines: Any, value: Any):
    logger("streams.x").info("odd", value=value)

    (line,) = lines()
    assert line["message"] == "odd"


def test_a_percent_sign_in_a_message_is_a_percent_sign(lines: Any):
    logger("streams.x").info("100 % done")

    assert lines()[0]["message"] == "100 % done"


def test_configuring_sends_every_library_s_lines_to_standard_error_as_json(monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure("info")
        logging.getLogger("aiokafka.consumer").info("chatter")
        logging.getLogger("aiokafka.consumer").warning("heartbeat failed: %s", "late")
        logger("streams.x").info("ours")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)

    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in found] == ["heartbeat failed: late", "ours"]


def test_a_pseudonym_is_the_same_for_a_customer_differs_with_the_salt_and_does_not_tell_the_customer():
    name = pseudonym("ada@example.org", "pepper")

    assert name == pseudonym("ada@example.org", "pepper")
    assert name != pseudonym("ada@example.org", "salt")
    assert name != pseudonym("bob@example.org", "pepper")
    assert len(name) == 16
    assert int(name, 16) >= 0


def test_a_library_that_repeats_itself_is_heard_once_in_a_while_and_we_always():
    now = [0.0]
    once = Once(10.0, lambda: now[0])

    def passes(name: str, message: str, node: int) -> bool:
        return once.filter(logging.LogRecord(name, logging.ERROR, "", 0, message, (node,), None))

    assert passes("aiokafka.client", "no node %d", 1)
    assert not passes("aiokafka.client", "no node %d", 2)
    assert passes("aiokafka.client", "no broker %d", 1)
    assert passes("churnwatch.engine", "written %d", 1)
    assert passes("churnwatch.engine", "written %d", 2)
    now[0] = 10.0
    assert passes("aiokafka.client", "no node %d", 3)
