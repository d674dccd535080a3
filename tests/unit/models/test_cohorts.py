from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.grid import DecisionGrid
from features.layout import DAY_MS
from models import cohorts
from models.cohorts import Cohort, read_chunk, sample
from models.wire import WireError, pack, unpack
from tests.building import START, Feed, config, constant_models, core, day, event, labels
from tests.examples import examples

MODELS = constant_models(0.5)


def cohort(n: int, *, seed: int = 0) -> Cohort:
    rng = np.random.default_rng(seed)
    return Cohort(
        decision_time=day(3),
        contenders=("logistic", "hoeffding_tree"),
        champion="hoeffding_tree",
        hashes=np.sort(rng.integers(0, 2**64, n, np.uint64)),
        inputs=rng.normal(size=(n, 4)).astype(np.float32),
        issued=rng.integers(0, 10**6, (n, 2)).astype(np.uint32),
        recency=rng.integers(0, 100, n).astype(np.uint16),
        warned=rng.integers(0, 4, n).astype(np.uint8),
    )


def same(one: Cohort, other: Cohort) -> None:
    for name in Cohort.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("n", [1, 3, 4, 9, 10])
def test_a_cohort_comes_back_from_its_chunks(n: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cohorts, "CHUNK_MEMBERS", 3)
    chunks = [read_chunk(chunk) for chunk in cohort(n).chunks()]

    assert [len(chunk) for chunk in chunks] == [3] * (n // 3) + [n % 3] * (n % 3 > 0)
    same(Cohort.join(chunks), cohort(n))


def test_equal_cohorts_are_equal_bytes():
    assert list(cohort(5).chunks()) == list(cohort(5).chunks())


@pytest.mark.parametrize(
    "bad",
    [
        {"hashes": b"1234567"},
        {"inputs": b"1234" * 5},
        {"width": 0},
        {"recency": b""},
        {"champion": "x"},
        {"warned": b"1"},
        {"warned": b"\x04\0"},
    ],
)
def test_a_chunk_whose_columns_do_not_fit_is_refused(bad: dict[str, object]):
    (chunk,) = cohort(2).chunks()
    broken = msgspec.structs.replace(unpack(chunk, cohorts._Chunk), **bad)

    with pytest.raises(WireError):
        read_chunk(pack(broken))


@examples(50)
@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=30), st.integers(1, 20))
def test_the_sample_does_not_depend_on_the_order_and_keeps_who_was_kept(codes: list[int], size: int):
    hashes = np.array(codes, np.uint64)
    kept = set(hashes[sample(hashes, size)].tolist())

    assert len(kept) == min(size, len(codes))
    assert kept == set(hashes[::-1][sample(hashes[::-1], size)].tolist())
    assert set(hashes[:-1][sample(hashes[:-1], size)].tolist()) >= kept - set(codes[-1:])


# ---- labels: no purchase in [t, t + H); H = 4 days, t = day 1
#
#   day   0      1 = t                        5 = t + H
#   ------|------|------|------|------|------|------
#      first      [ bought in here: stayed   )  bought here: churned

T = 1.0


def label(*bought: float, every: int = 1, horizon: int = 4, jump: bool = False) -> bool:
    """The label at day 1 of a customer who bought on day 0 and `bought`."""
    target = core(config(grid=DecisionGrid(every, START + DAY_MS), horizon_days=horizon))
    feed = Feed(target)
    feed.buys("anna", 0.0, *sorted(bought))
    feed.buys("other", 0.0)
    steps = [8] if jump else range(1, 9)
    found = {}
    for step in steps:
        for part, _ in feed.decide(day(step), MODELS):
            found |= labels(part, target)
    return found[1, "anna"]


MS = 1 / DAY_MS


@pytest.mark.parametrize("every", [1, 3, 7])
@pytest.mark.parametrize("jump", [False, True])
@pytest.mark.parametrize(
    ("bought", "churned"),
    [
        ((), True),
        ((T,), False),
        ((T - MS,), True),
        ((3.3,), False),
        ((T + 4 - MS,), False),
        ((T + 4,), True),
        ((T + 4 + MS,), True),
        ((T - MS, T + 4), True),
        ((T + 4 - MS, T + 9), False),
        ((T + 4, T + 5, T + 6, T + 7, T + 8), True),
    ],
)
def test_a_label_is_exact_to_the_day_whatever_the_grid(
    bought: tuple[float, ...], churned: bool, every: int, jump: bool
):
    assert label(*bought, every=every, jump=jump) is churned


def test_a_horizon_of_many_words_is_still_exact():
    """The purchase days of 150 days do not fit into two words of 64."""
    target = core(config(horizon_days=150, active_within_days=200, evict_after_days=400))
    feed = Feed(target)
    feed.buys("ben", 1.0 - MS)
    feed.buys("anna", 1.0 - MS, 1.0)
    for user in ("anna", "ben"):
        feed.buys(user, 151.0)
    found = {}
    for part, _ in feed.decide(day(151), MODELS):
        found |= labels(part, target)

    assert (found[1, "anna"], found[1, "ben"]) == (False, True)


def test_a_purchase_that_arrives_out_of_order_still_counts_for_its_label():
    target = core(config(lateness_ms=2 * DAY_MS))
    feed = Feed(target)
    feed.buys("anna", 0.0, 6.5)
    feed(event("purchase", "anna", day(4.9)))
    found = {}
    for part, _ in feed.decide(day(8), MODELS):
        found |= labels(part, target)

    assert (found[1, "anna"], found[2, "anna"], found[3, "anna"]) == (False, False, False)
