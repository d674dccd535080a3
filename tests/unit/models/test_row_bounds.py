"""A customer's row stays writable, whatever the customer does: a broker takes a megabyte, and no more."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.answering import answer, answer_held
from models.rows import MAX_FORKS, MAX_ROW_BYTES, PARTITION_KEY, customer_key
from models.storage import Storage
from models.triggers import MAX_HELD, Trigger
from tests.building import Feed, alerts, config, constant_models, core, day, event

if TYPE_CHECKING:
    from models.core import PartitionCore

SURE = constant_models(0.95)
LONG_AGO = 0


def stored(target: PartitionCore) -> PartitionCore:
    """What the rows of a core's next write make of an empty one."""
    successor = core(target.config)
    storage = Storage(successor)
    assert storage.restore(Storage(target).take()) == []
    storage.finish()
    return successor


def forks_of(target: PartitionCore, user: str) -> list[int]:
    slots = target.table.forks(target.table.index[user])
    return target.table.rows["boundary"][slots].tolist()


def overgrown() -> PartitionCore:
    """A core in which anna was active on so many decision times not swept yet that no row can hold them."""
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.buys("ben", 1.5)
    (live,) = target.table.rows[[target.table.index["anna"]]]
    records = np.array([live] * 1_601)
    records["boundary"][1:] = [day(number) for number in range(1_600, 0, -1)]
    target.table.put("anna", records)
    return target


def long_named(number: int) -> str:
    return f"{number:06}".rjust(256, "x")


def test_of_thousands_of_triggers_that_wait_the_newest_are_held_and_the_others_are_counted():
    target = core()
    feed = Feed(target, replayed=True)
    feed.buys("anna", 0.1)
    many = 5_000
    reviews = [
        event("review", "anna", day(0.2) + number, event_id=long_named(number), rating=1)
        for number in range(many)
    ]

    observed = feed(*reviews)

    newest = [held.ts for held in target.held["anna"]]
    assert sorted(newest) == [day(0.2) + number for number in range(many - MAX_HELD, many)]
    assert observed.unheld == many - MAX_HELD
    rows = dict(Storage(target).take())
    assert len(rows[customer_key("anna")] or b"") < MAX_ROW_BYTES
    assert target.overgrown == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_which_are_held_does_not_depend_on_the_order_in_which_they_came(order: tuple[int, ...]):
    target = core()
    Feed(target).buys("anna", 0.1)
    triggers = [Trigger("anna", f"e{n:03}", day(0.2) + n // 2, replayed=True) for n in range(3 * MAX_HELD)]
    for part in order:
        for trigger in triggers[part::3]:
            target.hold(trigger)

    assert sorted(held.event_id for held in target.held["anna"]) == [t.event_id for t in triggers[-MAX_HELD:]]


def test_held_triggers_are_answered_as_before():
    target = core()
    feed = Feed(target, replayed=True)
    feed.buys("anna", 0.1)
    feed(*(event("cancel", "anna", day(0.2) + number) for number in range(MAX_HELD + 1)))

    found = answer_held(target, day(1), SURE)

    assert found == {"alert": 1, "cooling_down": MAX_HELD - 1}


def test_without_a_cool_down_one_customer_raises_so_many_alerts_at_once_and_no_more():
    target = core(config(trigger_cooldown_ms=0))
    feed = Feed(target)
    feed.buys("anna", 0.1)
    feed.buys("ben", 0.1)
    cancels = [event("cancel", "anna", day(0.2) + number) for number in range(3 * MAX_HELD)]
    observed = feed(*cancels, event("cancel", "ben", day(0.3)))

    found = answer(target, observed.triggered, SURE, LONG_AGO)

    assert found == {"alert": MAX_HELD + 1, "too_many": 2 * MAX_HELD}
    assert [alert.user_id for alert in alerts(target)].count("ben") == 1


@pytest.mark.parametrize("days", [254, 255, 256, 400])
def test_a_customer_active_on_hundreds_of_decision_times_not_swept_yet_comes_back_whole(days: int):
    """A log of a year that is read at once: one record as of each day."""
    target = core()
    Feed(target).buys("anna", *(number + 0.5 for number in range(days + 1)))

    found = stored(target)

    assert forks_of(found, "anna") == forks_of(target, "anna") == [day(n) for n in range(days, -1, -1)]
    slots = [each.table.as_of(each.table.live_slots(), day(days // 2))[0] for each in (target, found)]
    records = [each.table.rows[slot] for each, slot in zip((target, found), slots, strict=True)]
    assert records[0]["orders"] == records[1]["orders"] == days // 2


def test_a_row_that_outgrows_all_bounds_is_cut_back_told_and_written_and_nobody_elses_is():
    target = overgrown()
    before = forks_of(target, "anna")
    target.hold(Trigger("anna", "e", day(1), replayed=False))
    target.add_pending("anna", b"an alert", 0.9)

    found = stored(target)

    ((user, row),) = target.overgrown
    assert user == "anna"
    assert len(row) > MAX_ROW_BYTES
    assert forks_of(found, "anna") == forks_of(target, "anna") == before[:MAX_FORKS]
    anna = found.table.rows[found.table.index["anna"]]
    assert anna["orders"] == 1
    assert "anna" not in found.held
    assert [each.value for each in found.pending["anna"]] == [b"an alert"]
    assert found.table.rows[found.table.index["ben"]]["orders"] == 1


def test_what_waits_to_be_published_goes_last():
    target = core()
    Feed(target).buys("anna", 0.5)
    target.add_pending("anna", bytes(MAX_ROW_BYTES), 0.9)

    rows = Storage(target).take()

    assert [key for key, _ in rows] == [customer_key("anna"), PARTITION_KEY]
    assert len(rows[0][1] or b"") < MAX_ROW_BYTES
    assert target.pending == {}
    assert len(target.overgrown) == 1


def test_a_customer_who_was_cut_back_is_swept_on():
    target = overgrown()
    Storage(target).take()

    taken = Feed(target).decide(day(3), SURE)

    assert [sweep.ts for _, sweep in taken] == [day(1), day(2), day(3)]
    assert target.swept == day(3)
