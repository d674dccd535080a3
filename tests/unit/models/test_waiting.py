"""For whom the trainer waits, and how it goes on without a partition that says nothing."""

from __future__ import annotations

from features.returns import ReturnHistogram
from models.parts import Part, read_part_chunk
from models.waiting import WaitingParts
from tests.building import day


def part(partition: int, number: float) -> Part:
    return Part(partition, day(number), (), ReturnHistogram.from_arrays([1], [1], [2]))


def waiting(partitions: int, *parts: Part) -> WaitingParts:
    found = WaitingParts(partitions)
    for each in parts:
        add(found, each)
    return found


def add(found: WaitingParts, each: Part) -> None:
    for message in each.messages():
        found.add(read_part_chunk(message), None)


def test_nobody_is_waited_for_before_anybody_has_sent_a_part():
    assert WaitingParts(3).waits_for() == {}


def test_who_is_waited_for_is_named_with_the_decision_times_that_wait():
    found = waiting(3, part(0, 1), part(1, 1), part(0, 2))

    assert found.ready() is None
    assert found.waits_for() == {2: 2, 1: 1}


def test_a_partition_that_is_ahead_of_a_decision_time_is_not_waited_for():
    found = waiting(2, part(0, 2), part(1, 3))

    assert found.ready() == day(2)
    assert found.waits_for() == {0: 1}


def test_a_part_that_holds_nobody_lets_everything_up_to_its_time_go_on_and_nothing_behind_it():
    found = waiting(2, part(0, 1), part(0, 2), part(0, 3))

    add(found, Part(1, day(2), (), ReturnHistogram.merge(())))

    learned = []
    while (ts := found.ready()) is not None:
        learned.append((ts, [each.partition for each in found.whole(ts)]))
        found.drop(ts)
    assert learned == [(day(1), [0]), (day(2), [0, 1])]
    assert found.waits_for() == {1: 1}
