"""When the worker had better stop than empty a topic into dead letters, and that a restart does not help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.flood import FloodGuard, Poll, TooManyDeadLettersError

if TYPE_CHECKING:
    from pathlib import Path


class Watched:
    """A guard of windows of 10 records, and the process that it lives in."""

    def __init__(self, folder: Path, share: float = 0.5) -> None:
        self.path = folder / "flood.json"
        self.share = share
        self.restart()

    def restart(self) -> None:
        self.guard = FloodGuard(self.share, 10, self.path)

    def sees(self, records: int, refused: int, topic: str = "orders") -> None:
        self.guard.watch([(topic, Poll(records, refused))])

    def stops(self, records: int, refused: int) -> str:
        with pytest.raises(TooManyDeadLettersError) as error:
            self.sees(records, refused)
        return str(error.value)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_more_than_the_share_among_the_last_records_stops_the_worker_in_one_line(watched: Watched):
    watched.sees(9, 5)

    said = watched.stops(1, 1)
    assert said.startswith("6 of the last 10 records of orders were refused, more than 50%: look into")
    assert "\n" not in said


def test_exactly_the_share_is_bearable(watched: Watched):
    watched.sees(10, 5)


def test_a_few_records_are_no_reason_to_stop(watched: Watched):
    watched.sees(9, 9)


def test_every_topic_is_watched_by_itself(watched: Watched):
    watched.sees(9, 9, "reviews")
    watched.sees(90, 0, "clickstream")
    watched.sees(9, 9)

    with pytest.raises(TooManyDeadLettersError, match="10 of the last 10 records of reviews"):
        watched.sees(1, 1, "reviews")


def test_what_lies_before_the_window_does_not_count(watched: Watched):
    watched.sees(5, 5)
    watched.sees(10, 0)
    watched.sees(4, 4)
    watched.sees(1, 1)


def test_a_poll_that_is_bearable_itself_is_taken_whatever_came_before(watched: Watched):
    watched.sees(9, 9)
    watched.sees(4, 2)


def test_empty_polls_change_nothing(watched: Watched):
    for _ in range(3):
        watched.sees(0, 0)
    watched.stops(10, 10)


def test_after_a_restart_the_same_poll_stops_it_again_also_in_pieces(watched: Watched):
    watched.sees(10, 5)
    watched.stops(8, 8)
    for _ in range(3):
        watched.restart()
        watched.stops(1, 1)


def test_restarts_take_no_more_than_a_window_of_the_flood(watched: Watched):
    taken = 0
    for _ in range(20):
        watched.restart()
        try:
            for _ in range(100):
                watched.sees(3, 3)
                taken += 3
        except TooManyDeadLettersError:
            continue

    assert taken < 10


def test_polls_of_a_round_that_was_given_up_are_not_counted_twice(watched: Watched):
    watched.sees(10, 5)
    with pytest.raises(TooManyDeadLettersError):
        watched.guard.watch([("orders", Poll(4, 0)), ("orders", Poll(8, 8))])

    watched.restart()
    with pytest.raises(TooManyDeadLettersError, match="13 of the last 18"):
        watched.guard.watch([("orders", Poll(8, 8))])


def test_with_the_share_raised_a_restart_goes_on(watched: Watched):
    watched.sees(9, 9)
    watched.stops(8, 8)
    watched.share = 1.0
    watched.restart()
    watched.sees(8, 8)


def test_a_flood_that_is_over_is_forgotten(watched: Watched):
    watched.sees(9, 9)
    watched.stops(8, 8)
    watched.restart()
    assert watched.path.exists()

    watched.sees(10, 0)
    assert not watched.path.exists()


def test_a_file_that_cannot_be_read_is_no_reason_to_stop(watched: Watched):
    watched.path.write_bytes(b"{")
    watched.restart()
    watched.sees(9, 9)
