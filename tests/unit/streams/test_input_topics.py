"""Offsets mean something in the log they were read from, and in no other."""

from __future__ import annotations

import pytest

from features.clock import TopicClock
from streams.input_topics import InputTopicError, InputTopics
from streams.topics import Topics


def inputs(**ids: str) -> InputTopics:
    found = InputTopics(Topics(prefix="eu."), {})
    found.ids.update(ids)
    return found


def test_a_log_that_was_read_to_its_end_is_the_same_log():
    inputs().check(0, {"orders": TopicClock(offset=9)}, {"orders": 10})


def test_a_log_that_ends_before_what_was_read_stops_the_worker_in_one_line_with_the_way_out():
    with pytest.raises(InputTopicError, match=r"eu\.orders .*partition 3 was read up to offset 9") as error:
        inputs().check(3, {"orders": TopicClock(offset=9)}, {"orders": 9})

    assert "set another kafka.group" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_log_of_another_id_stops_the_worker_however_long_it_is():
    with pytest.raises(InputTopicError, match=r"eu\.orders was recreated: its id was a and is b"):
        inputs(orders="b").check(0, {"orders": TopicClock(offset=9, log="a")}, {"orders": 99})


def test_the_clock_learns_which_log_it_counts_in_and_keeps_that_when_nobody_knows():
    clock = TopicClock(offset=9)

    inputs(orders="a").check(0, {"orders": clock}, {"orders": 10})
    assert clock.log == "a"
    inputs().check(0, {"orders": clock}, {"orders": 10})
    assert clock.log == "a"
