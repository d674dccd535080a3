"""The board from which a replayer knows that a decision time is settled."""

from __future__ import annotations

from streams.progress import Progress, ProgressBoard, encode

DAY = 86_400_000


def board(*said: Progress, partitions: int = 2) -> ProgressBoard:
    board = ProgressBoard(partitions)
    for progress in said:
        board.read(encode(progress))
    return board


def swept(partition: int, alerts: int, ts: int) -> Progress:
    return Progress("swept", partition, alerts, ts)


def decided(partition: int, alerts: int) -> Progress:
    return Progress("decided", partition, alerts)


def test_nothing_is_settled_before_every_partition_has_said_something():
    assert board().waiting(DAY) == [0, 1]
    assert not board(swept(0, 0, DAY)).settled(DAY)


def test_a_decision_time_is_settled_when_all_have_swept_it_and_decided_its_alerts():
    found = board(swept(0, 0, DAY), swept(1, 5, DAY), decided(1, 4))
    assert found.waiting(DAY) == [1]

    found.read(encode(decided(1, 5)))

    assert found.settled(DAY)
    assert not found.settled(2 * DAY)


def test_what_is_said_again_or_late_takes_nothing_back():
    found = board(swept(0, 3, 2 * DAY), decided(0, 3), partitions=1)

    for late in (swept(0, 1, DAY), decided(0, 0)):
        found.read(encode(late))

    assert found.settled(2 * DAY)


def test_a_repeated_sweep_that_knows_more_alerts_is_waited_for():
    found = board(swept(0, 3, DAY), decided(0, 3), swept(0, 4, DAY), partitions=1)

    assert found.waiting(DAY) == [0]


def test_a_repeated_sweep_that_knows_fewer_alerts_does_not_let_go_of_the_others():
    found = board(swept(0, 3, DAY), swept(0, 1, DAY), decided(0, 1), partitions=1)

    assert found.waiting(DAY) == [0]


def test_the_key_keeps_one_record_of_each_stage_and_partition():
    assert swept(3, 0, 0).key == b"swept/3"
    assert decided(3, 0).key == b"decided/3"


def test_what_is_none_of_ours_says_nothing():
    found = board(swept(0, 0, DAY), swept(1, 0, DAY))

    for junk in (b"", b"\xff", b"{}", b'{"stage":"swept","partition":"x"}'):
        found.read(junk)

    assert found.settled(DAY)
