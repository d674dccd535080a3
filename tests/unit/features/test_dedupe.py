from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import columns, transaction_ids
from features.dedupe import accept
from features.events import Cancel, Delivery, Event, Purchase, Refund
from tests.examples import examples

if TYPE_CHECKING:
    import random

SLOTS = 3
# So few ids that they repeat within a poll, between polls, after they fell out of the ring, and in the
# place of one another's second identity.
entries = st.lists(
    st.tuples(st.integers(0, SLOTS - 1), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=40
)


def judged(log: list[tuple[int, ...]], cuts: list[int], size: int) -> tuple[list[bool], list[list[int]]]:
    """Which entries (slot, id, ...) of `log` are new when polls end at `cuts`, and the rings after them."""
    ring, head = np.zeros((SLOTS, size), np.uint64), np.zeros(SLOTS, np.uint8)
    new: list[bool] = []
    for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True):
        if start < end:
            slots = np.array([slot for slot, *_ in log[start:end]])
            ids = np.array([each for _, *each in log[start:end]], np.uint64)
            new += accept(ring, head, slots, ids).tolist()
    return new, ring.tolist()


def remembered(log: list[tuple[int, ...]], size: int) -> list[bool]:
    """The same by the book: one event after the other against the last `size` accepted ids."""
    recent = [deque[int](maxlen=size) for _ in range(SLOTS)]
    new = []
    for slot, *ids in log:
        new.append(not set(ids) & set(recent[slot]))
        if new[-1]:
            recent[slot].extend(ids)
    return new


@given(entries, st.integers(1, 7), st.randoms(use_true_random=False))
@examples(30)
def test_of_clicks_the_verdict_is_that_of_one_by_one_wherever_polls_cut(
    log: list[tuple[int, ...]], size: int, rng: random.Random
):
    log = [(slot, event_id) for slot, event_id, _ in log]
    cuts = sorted(rng.sample(range(len(log)), rng.randint(0, len(log))))

    assert judged(log, cuts, size)[0] == remembered(log, size)


@given(entries, st.integers(2, 9), st.randoms(use_true_random=False))
@examples(50)
def test_of_orders_the_verdict_is_that_of_one_by_one_wherever_polls_cut(
    log: list[tuple[int, ...]], size: int, rng: random.Random
):
    cuts = sorted(rng.sample(range(len(log)), rng.randint(0, len(log))))

    assert judged(log, cuts, size)[0] == remembered(log, size)
    assert judged(log, cuts, size) == judged(log, list(range(len(log))), size)


def order(kind: type[Event], event_id: str, transaction_id: str) -> Event:
    extra = {"value": 1.0, "currency": "EUR"} if kind in (Purchase, Refund) else {}
    return kind(event_id=event_id, user_id="u", ts=1, transaction_id=transaction_id, **extra)


def second_identity(event: Event) -> int:
    return int(transaction_ids(columns("orders", [event], [0]))[0])


@pytest.mark.parametrize("kind", [Purchase, Refund, Cancel])
def test_a_retry_with_a_new_event_id_has_the_transaction_in_common(kind: type[Event]):
    assert second_identity(order(kind, "e1", "t")) == second_identity(order(kind, "e2", "t"))
    assert second_identity(order(kind, "e1", "t")) != second_identity(order(kind, "e1", "t2"))


def test_purchase_refund_and_cancel_of_one_transaction_are_three_events():
    assert len({second_identity(order(kind, "e", "t")) for kind in (Purchase, Refund, Cancel)}) == 3


def test_short_ids_that_differ_little_are_told_apart():
    # Seeding the hash by the kind would not do: XXH3 of "t10" with seed 11 is that of "t12" with seed 9.
    orders = [order(kind, "e", f"t{i}") for kind in (Purchase, Refund, Cancel) for i in range(100)]

    assert len({second_identity(each) for each in orders}) == 300


def test_two_deliveries_of_one_transaction_are_two_events():
    assert second_identity(order(Delivery, "e1", "t")) != second_identity(order(Delivery, "e2", "t"))


def test_an_event_id_that_spells_a_transaction_is_not_taken_for_it():
    kind = int(Purchase.kind)
    spelled = [order(Delivery, text, "x") for text in (f"{kind}|t", f"{kind}t", f"{kind} t", "t")]

    assert second_identity(order(Purchase, "e", "t")) not in columns("orders", spelled, range(4)).ids.tolist()
