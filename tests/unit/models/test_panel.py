from __future__ import annotations

import msgspec
import pytest

from features.hashing import partition_of
from models import sweeping
from models.panel import Panel, draw
from models.parts import PartAssembly, read_part_chunk
from models.rhythm import ShopRhythm, overdue
from tests.building import Feed, config, constant_models, core, day, event, models_by

EVERYBODY = models_by({1: 0.2, 9: 0.8})


def shop(partitions: int, customers: int = 60) -> list[Panel]:
    """The panels of a shop in which customer n bought n % 9 + 0.5 days before, by partition."""
    return [drawn(partitions, p, customers) for p in range(partitions)]


def drawn(partitions: int, partition: int, customers: int, share: float = 1.0) -> Panel:
    target = core(config(partitions=partitions), partition)
    feed = Feed(target)
    ours = [n for n in range(customers) if partition_of(f"u{n}".encode(), partitions) == partition]
    ours.sort(key=lambda number: -(number % 9))
    feed(*(event("purchase", f"u{number}", day(9.5 - number % 9)) for number in ours))
    feed.until(day(10))
    return draw(target, day(10), msgspec.structs.replace(EVERYBODY, panel=share))


def test_it_is_what_the_sweep_will_judge():
    target = core()
    feed = Feed(target)
    feed.buys("gone", -5)
    for number in range(9):
        feed.buys(f"u{number}", 1.5 + number)
    feed.until(day(10))
    panel = draw(target, day(10), EVERYBODY)
    issued = panel.probabilities(EVERYBODY, target.config.horizon_days)["logistic"]
    sweep = sweeping.sweep(target, day(10), EVERYBODY)

    assert panel.active == len(panel) == 9
    assert sorted(issued.tolist()) == sorted(sweep.probabilities.tolist())
    assert not panel.inside.any()


@pytest.mark.parametrize("shop_gap", [None, 3.0])
def test_it_says_who_is_late_as_the_sweep_does(shop_gap: float | None):
    shop = None
    if shop_gap is not None:
        shop = ShopRhythm(customers=1, usual_gap=shop_gap, beyond_horizon=0, suggested_horizon=7)
    target = core(config(active_within_days=30, evict_after_days=60))
    feed = Feed(target)
    for number in range(20):
        feed.buys(f"once{number}", number)
        feed.buys(f"often{number}", *(number - gap for gap in (8, 4, 0)))
    feed.until(day(20))
    slots = target.table.live_slots()

    found = draw(target, day(20), EVERYBODY).overdue(shop)

    assert found.tolist() == overdue(target.table.rows, slots, day(20), shop).tolist()
    assert 0 < found.sum() < len(found) or shop is None


def test_it_says_whose_episode_is_open():
    target = core()
    feed = Feed(target)
    feed.buys("late", 0.5)
    feed.decide(day(8), constant_models(0.95))
    feed.buys("new", 8.5)
    feed.until(day(9))

    panel = draw(target, day(9), EVERYBODY)
    assert dict(zip(panel.rhythm[:, 2].tolist(), panel.inside.tolist(), strict=True)) == {8: True, 0: False}


@pytest.mark.parametrize("partitions", [2, 5])
def test_members_and_their_order_do_not_depend_on_the_number_of_partitions(partitions: int):
    whole, cut = Panel.merge(shop(1)), Panel.merge(shop(partitions)[::-1])

    assert whole.active == cut.active == 60
    assert whole.inputs.tobytes() == cut.inputs.tobytes()
    assert whole.rhythm.tobytes() == cut.rhythm.tobytes()


def test_a_share_draws_about_so_many_and_a_larger_one_draws_them_too():
    few, more = (drawn(1, 0, 800, share) for share in (0.25, 0.5))

    assert (few.active, more.active) == (800, 800)
    assert 150 < len(few) < 250
    assert {row.tobytes() for row in few.inputs} <= {row.tobytes() for row in more.inputs}


def test_a_shop_of_many_is_sampled_and_a_small_one_is_seen_whole():
    assert Panel.nobody(4_000).share == 1.0
    assert Panel.nobody(100_000).share == 0.05


def test_it_travels_in_pieces_with_its_part():
    target = core()
    feed = Feed(target)
    feed(*(event("purchase", f"u{number}", day(0.2 + number / 2_000)) for number in range(1_100)))
    feed.until(day(1))
    part = sweeping.mature(target, day(1), EVERYBODY)
    whole = PartAssembly()
    messages = list(part.messages())
    for message in reversed(messages):
        whole.add(read_part_chunk(message))

    assert len(messages) == 3
    found, sent = whole.part().panel, part.panel
    assert (found.active, found.inputs.tobytes()) == (1_100, sent.inputs.tobytes())


def test_nobody_is_a_panel_too():
    nobody = Panel.merge([draw(core(), day(1), EVERYBODY)])

    assert (len(nobody), nobody.active, nobody.share) == (0, 0, 1.0)
