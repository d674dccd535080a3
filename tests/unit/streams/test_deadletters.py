"""Dead letters: what is kept of a refused record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from features.observing import Record
from features.rejection import Rejected, Undecodable
from streams.deadletters import KEPT_BYTES, DeadLetters
from streams.sending import Sender
from streams.topics import Topics
from tests.fakes import FakeBroker, metric

if TYPE_CHECKING:
    from streams.telemetry import Metrics

TOPICS = Topics(prefix="eu.", partitions=4)


def letters(broker: FakeBroker, metrics: Metrics) -> DeadLetters:
    return DeadLetters(Sender(broker, 0.05), TOPICS, metrics)


async def test_a_letter_holds_the_original_and_says_why_and_where_from(broker: FakeBroker, metrics: Metrics):
    value = b'{"type":"purchase"'

    await letters(broker, metrics).send(
        "orders", 3, [(Record(17, b"ada", value), Rejected("malformed_json", "it ends too early"))]
    )

    (letter,) = broker.logs["eu.dead-letters", 3].records
    assert (letter.key, letter.value) == (b"ada", value)
    assert dict(letter.headers) == {
        "reason": b"malformed_json",
        "detail": b"it ends too early",
        "origin": b"eu.orders/3/17",
        "length": b"18",
        "sha256": hashlib.sha256(value).hexdigest().encode(),
    }
    assert metric(metrics.registry, "dead_letters_total", topic="orders", reason="malformed_json") == 1


async def test_of_a_large_original_64_kib_are_kept_with_its_full_length_and_hash(
    broker: FakeBroker, metrics: Metrics
):
    value = bytes(range(256)) * 300

    await letters(broker, metrics).send(
        "orders", 0, [(Record(0, b"k" * 5_000, value), Rejected("large", ""))]
    )

    (letter,) = broker.logs["eu.dead-letters", 0].records
    assert letter.value == value[:KEPT_BYTES]
    assert len(letter.key or b"") == 1_024
    headers = dict(letter.headers)
    assert headers["length"] == b"76800"
    assert headers["sha256"] == hashlib.sha256(value).hexdigest().encode()


async def test_an_empty_original_is_no_tombstone_and_a_missing_key_stays_missing(
    broker: FakeBroker, metrics: Metrics
):
    await letters(broker, metrics).send("orders", 0, [(Record(0, None, None), Rejected("empty", ""))])

    (letter,) = broker.logs["eu.dead-letters", 0].records
    assert (letter.key, letter.value) == (None, b"")


async def test_half_a_surrogate_in_a_detail_does_not_stop_the_letter(broker: FakeBroker, metrics: Metrics):
    await letters(broker, metrics).send("orders", 0, [(Record(0, None, b"x"), Rejected("odd", "\ud800"))])

    assert len(broker.logs["eu.dead-letters", 0].records) == 1


async def test_no_refused_records_are_no_letters(broker: FakeBroker, metrics: Metrics):
    await letters(broker, metrics).send("orders", 0, [])

    assert broker.sent == []


async def test_what_nobody_foresaw_is_counted_by_the_class_of_its_error(broker: FakeBroker, metrics: Metrics):
    await letters(broker, metrics).send(
        "orders", 0, [(Record(n, b"\xff", None), Undecodable(ValueError("ada"))) for n in range(2)]
    )

    assert metric(metrics.registry, "undecodable_records_total", topic="orders", kind="ValueError") == 2
    assert metric(metrics.registry, "dead_letters_total", topic="orders", reason="undecodable") == 2
