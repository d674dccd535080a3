"""For whom the trainer waits, and how it goes on without a partition that says nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.returns import ReturnHistogram
from models.parts import Part, read_part_chunk
from models.waiting import WaitingParts
from tests.building import day
from tests.examples import examples


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


def buying(partition: int, number: int) -> Part:
    """A part that tells itself from all others."""
    return Part(partition, day(number), (), ReturnHistogram.from_arrays([partition], [number], [99]))


orders = st.integers(1, 3).flatmap(
    lambda partitions: st.lists(st.integers(0, partitions - 1), max_size=30).map(
        lambda turns: (partitions, turns)
    )
)


@examples(100)
@given(orders, st.integers(1, 3))
def test_however_long_somebody_is_mute_all_is_learned_and_little_is_kept(
    order: tuple[int, list[int]], kept: int
):
    """The reader of a log, in which each partition sends its decision times in their order."""
    partitions, turns = order
    log = [
        read_part_chunk(message)
        for place, partition in enumerate(turns)
        for message in buying(partition, turns[:place].count(partition)).messages()
    ]
    bounded, unbounded = WaitingParts(partitions, kept), WaitingParts(partitions, len(log) + 1)
    learned: dict[str, list[list[list[bytes]]]] = {"bounded": [], "unbounded": []}

    for offset, chunk in enumerate(log):
        for name, waiting in (("bounded", bounded), ("unbounded", unbounded)):
            waiting.add(chunk, offset)
            while (ts := waiting.ready()) is not None:
                if (start := waiting.read_again()) is not None:
                    more = [waiting.fill(again) for again in log[start : offset + 1]]
                    assert not more[-1]
                    continue
                learned[name].append([[*each.messages()] for each in waiting.whole(ts)])
                waiting.drop(ts)
        full = [ts for ts, each in bounded._times.items() if len(each.left_out) < len(each.parts)]
        assert len(full) <= kept + partitions

    assert learned["bounded"] == learned["unbounded"]


def test_what_stands_in_no_log_is_kept_however_much_it_is():
    found = waiting(2, *(part(0, number) for number in range(50)))

    assert found.read_again() is None
    assert not any(each.left_out for each in found._times.values())
