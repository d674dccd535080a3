"""Which topics the watermark may go on without."""

from __future__ import annotations

from streams.watermarks import Idleness


class World:
    """A clock and the topics that were read to their end."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.at_end = {"orders", "reviews"}
        self.idleness = Idleness(60.0, self.at_end.__contains__, lambda: self.now)


def test_a_silent_topic_that_was_read_to_its_end_is_idle_after_a_while():
    world = World()
    world.idleness.seen("orders")

    world.now += 59
    assert not world.idleness.idle("orders")
    world.now += 1
    assert world.idleness.idle("orders")


def test_a_topic_with_lag_is_never_idle():
    world = World()
    world.at_end.remove("orders")

    world.now += 1e6

    assert not world.idleness.idle("orders")


def test_a_topic_that_never_spoke_is_idle_only_after_the_same_while():
    world = World()
    assert not world.idleness.idle("reviews")

    world.now += 60

    assert world.idleness.idle("reviews")


def test_a_topic_that_speaks_again_is_not_idle_any_more():
    world = World()
    world.now += 100
    assert world.idleness.idle("orders")

    world.idleness.seen("orders")

    assert not world.idleness.idle("orders")
    assert world.idleness.idle("reviews")
