from __future__ import annotations

import numpy as np
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from features.columns import columns, transaction_ids
from features.events import Event, Kind, Login, Search
from tests.examples import examples
from tests.strategies import events


def login(number: int) -> Login:
    return Login(event_id=f"e{number}", user_id=f"u{number}", ts=number)


@given(st.lists(events("clickstream"), max_size=5))
@examples(8)
def test_columns_say_what_the_events_say(log: list[Event]):
    batch = columns("clickstream", log, range(7, 7 + len(log)))

    assert len(batch) == len(log)
    assert batch.events == log
    assert batch.users == [event.user_id for event in log]
    assert batch.offsets.tolist() == [7 + i for i in range(len(log))]
    assert batch.times.tolist() == [event.ts for event in log]
    assert batch.kinds.tolist() == [event.kind for event in log]
    assert batch.ids.tolist() == [xxhash.xxh3_64_intdigest(event.event_id.encode()) for event in log]


def test_taking_some_events_takes_them_from_every_column():
    batch = columns("clickstream", [login(0), login(1), login(2)], [4, 5, 9]).take(np.array([0, 2]))

    assert batch.events == [login(0), login(2)]
    assert batch.users == ["u0", "u2"]
    assert batch.offsets.tolist() == [4, 9]
    assert batch.times.tolist() == [0, 2]
    assert batch.kinds.tolist() == [Kind.LOGIN] * 2
    assert len(set(batch.ids.tolist())) == 2


def test_an_empty_poll_has_empty_columns():
    batch = columns("orders", [], [])

    assert len(batch) == 0
    assert transaction_ids(batch).tolist() == []


def test_events_without_a_transaction_of_their_own_repeat_their_id():
    batch = columns("reviews", [Search(event_id="e", user_id="u", ts=1, query="")], [0])

    assert transaction_ids(batch).tolist() == batch.ids.tolist()
