"""The durable form of a partition's state, and that a crash anywhere changes nothing.

The crash model: of the last write only a prefix of the rows is durable, the parts and alerts of that time
may be out or not; a new life restores the rows and reads the inputs again from the last acknowledgement.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from partition_shell import Shell
from random_logs import logs, payloads, settings

from features import layout
from features.layout import DAY_MS
from features.profile import Profile
from features.rowcodec import RowError
from models import cohorts, rows, trainer, wire
from models.rows import ERASED, PartitionRow, Row
from models.storage import Storage
from tests.building import (
    Feed,
    config,
    constant_models,
    core,
    day,
    decoded,
    event,
    outputs,
    quick_fit,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.core import PartitionCore
    from models.parts import Part


@pytest.fixture(autouse=True)
def _small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "CHUNK_MEMBERS", 3)
    monkeypatch.setattr(trainer, "fit", quick_fit)


def same_core(one: PartitionCore, other: PartitionCore) -> None:
    """Fails unless everything that can matter later is equal: integers to the bit, floats to 1e-9."""
    assert sorted(one.table.index) == sorted(other.table.index)
    for user in one.table.index:
        same_customer(one, other, user)
    assert one.cohorts.keys() == other.cohorts.keys()
    for start, cohort in one.cohorts.items():
        mine = other.cohorts[start]
        assert (cohort.contenders, cohort.champion) == (mine.contenders, mine.champion)
        np.testing.assert_array_equal(cohort.hashes, mine.hashes)
        np.testing.assert_array_equal(cohort.recency, mine.recency)
        np.testing.assert_allclose(cohort.inputs, mine.inputs, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(cohort.issued.astype(float), mine.issued.astype(float), atol=2)
    assert {c: e.ts for c, e in one.erased.items()} == {c: e.ts for c, e in other.erased.items()}
    assert one.pending == other.pending
    assert (one.clocks, one.swept, one.matured) == (other.clocks, other.swept, other.matured)


def same_customer(one: PartitionCore, other: PartitionCore, user: str) -> None:
    slots = [core.table.index[user] for core in (one, other)]
    chains = [
        core.table.rows[[slot, *core.table.forks(slot)]]
        for core, slot in zip((one, other), slots, strict=True)
    ]
    profiles = [
        core.table.profiles.get(slot, Profile()) for core, slot in zip((one, other), slots, strict=True)
    ]
    assert len(chains[0]) == len(chains[1]), user
    assert profiles[0] == profiles[1]
    for name in one.table.layout.dtype.names or ():
        if name == "decayed":
            np.testing.assert_allclose(chains[0][name], chains[1][name], rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(chains[0][name], chains[1][name], f"{name} of {user}")


def same_part(one: Part, other: Part) -> None:
    assert len(one.matured) == len(other.matured)
    for mine, theirs in zip(one.matured, other.matured, strict=True):
        assert mine.cohort.decision_time == theirs.cohort.decision_time
        np.testing.assert_array_equal(mine.cohort.hashes, theirs.cohort.hashes)
        np.testing.assert_array_equal(mine.churned, theirs.churned)
        np.testing.assert_array_equal(mine.treated, theirs.treated)
        np.testing.assert_allclose(mine.cohort.inputs, theirs.cohort.inputs, rtol=1e-6, atol=1e-6)
    assert one.histogram.to_json() == other.histogram.to_json()


def check_crashes(seed: int, *, abrupt: bool) -> None:
    """Two workers live through the same logs, one of them through crashes."""
    rng = random.Random(seed)
    found = payloads(rng, abrupt=abrupt)
    log = logs(rng, found)
    # Whether somebody is evicted before they return depends on when their return is seen.
    kept = settings() if abrupt else settings(evict_after_days=400)
    undisturbed, disturbed = (Shell(kept, log, random.Random(seed), recut=not abrupt) for _ in range(2))
    expected = undisturbed.live()
    actual = disturbed.live([rng.randrange(400) for _ in range(rng.randint(1, 5))])

    same_core(actual, expected)
    same_core(disturbed.recovered(whole=True)[0], expected)
    same_core(disturbed.recovered()[0], expected)
    parts, expected_parts = disturbed.parts(), undisturbed.parts()
    assert parts.keys() == expected_parts.keys()
    for ts, part in expected_parts.items():
        same_part(parts[ts].part(), part.part())
    same_alerts(disturbed.alerts(), undisturbed.alerts())


def same_alerts(one: dict[tuple[str, str, str], bytes], other: dict[tuple[str, str, str], bytes]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        mine, theirs = decoded(value), decoded(other[key])
        assert (mine.user_id, mine.ts, mine.tier) == (theirs.user_id, theirs.ts, theirs.tier)
        assert mine.probability == pytest.approx(theirs.probability, abs=2e-6)


@pytest.mark.parametrize("seed", range(2))
def test_a_crash_anywhere_ends_with_the_same_rows_cohorts_labels_and_alerts(seed: int):
    check_crashes(seed, abrupt=True)


@pytest.mark.parametrize("seed", range(2))
def test_neither_crashes_nor_other_polls_afterwards_change_the_end(seed: int):
    check_crashes(seed, abrupt=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
@pytest.mark.parametrize("abrupt", [True, False])
def test_a_crash_anywhere_changes_nothing_many_times_over(seed: int, abrupt: bool):
    check_crashes(seed, abrupt=abrupt)


# ---- single rules


class Life:
    """A core and its storage, written to a changelog row by row."""

    def __init__(self, **changes: object) -> None:
        self.changes = changes
        self.changelog: list[Row] = []
        self.core = core(config(**changes))
        self.storage = Storage(self.core)
        self.feed = Feed(self.core)

    def write(self, rows: int | None = None) -> list[Row]:
        """The next write, of which the first `rows` become durable (all, with the confirmation, if None)."""
        taken = self.storage.take()
        self.changelog += taken[:rows]
        if rows is None:
            self.storage.confirm()
        return taken

    def again(self, rows: list[Row] | None = None) -> Life:
        """A new life from the changelog, or from the `rows` of a checkpoint."""
        after = Life(**self.changes)
        after.changelog = list(self.changelog)
        after.feed._offsets = self.feed._offsets
        assert after.storage.restore(self.changelog if rows is None else rows) == []
        after.storage.finish()
        return after

    def keys(self, kind: bytes) -> list[bytes]:
        """Keys of one kind that a compacted changelog still holds."""
        return sorted(
            key for key, value in dict(self.changelog).items() if value is not None and key[:1] == kind
        )


MODELS = constant_models(0.9)


def test_the_partition_row_is_the_last_of_a_write():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed.decide(day(1), MODELS)

    assert [key[:1] for key, _ in life.write()] == [b"u", b"c", b"p"]


def test_alerts_of_a_torn_write_are_published_with_the_write_that_follows():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.write()
    life.feed.decide(day(1), MODELS)
    expected = life.core.pending["anna"][0].value
    life.write(rows=1)
    after = life.again()
    before = outputs(after.core)
    after.feed.decide(day(1), constant_models(0.97))
    after.write()

    assert before == []
    assert outputs(after.core) == [("anna", expected)]


def test_what_was_durable_and_not_marked_is_published_again_and_what_was_marked_is_not():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed.decide(day(1), MODELS)
    life.write()
    expected = outputs(life.core)
    unmarked = outputs(life.again().core)
    life.storage.mark_published(life.core.seq)
    life.write()

    assert unmarked == expected != []
    assert outputs(life.again().core) == []


def test_matured_cohorts_are_deleted_one_write_after_the_sweep_that_needs_them_no_more():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed.decide(day(4), MODELS)
    life.write()
    stored = life.keys(b"c")
    life.feed.decide(day(5), MODELS)
    life.write()
    behind = life.keys(b"c")
    life.write()

    assert len(stored) == 4
    assert set(stored) < set(behind)
    assert life.keys(b"c") == behind[1:]


def test_a_cohort_that_is_deleted_too_early_would_be_missed():
    """The sweep that matured it is torn: the cohort must still be there to be learned again."""
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed.decide(day(4), MODELS)
    life.write()
    life.feed.decide(day(5), MODELS)
    life.write(rows=-1)
    after = life.again()

    assert day(1) in after.core.cohorts
    ((part, _),) = after.feed.decide(day(5), MODELS)
    assert [m.cohort.decision_time for m in part.matured] == [day(1)]


@pytest.mark.parametrize("through_checkpoint", [False, True])
def test_what_is_left_to_delete_is_deleted_after_a_restart(through_checkpoint: bool):
    life = Life(evict_after_days=20)
    for user in ("anna", "ben", "carl", "dora"):
        life.feed.buys(user, 0.5)
    life.feed.decide(day(2), MODELS, act=False)
    life.write()
    life.feed(event("erasure", "anna", day(2.5)))
    life.feed.decide(day(24), MODELS, act=False)
    life.write()
    assert len(life.keys(b"u")) == 4
    after = life.again(list(life.storage.everything()) if through_checkpoint else None)
    after.write()
    after.write()

    assert after.keys(b"u") == []
    assert after.keys(b"c") == []
    assert len(after.core.table) == 0


def test_an_erased_customer_does_not_return_with_a_restart_before_the_tombstone():
    """The purchase of day 4 lies behind the erasure and arrived before it: it went too."""
    life = Life()
    life.feed.buys("anna", 0.5, 4.0)
    life.feed.buys("ben", 4.0)
    life.feed.decide(day(4), MODELS)
    life.write()
    life.feed(event("erasure", "anna", day(3)))
    life.write()
    after = life.again()

    assert life.keys(b"u") == [b"uanna", b"uben"]
    assert set(after.core.table.index) == {"ben"}
    assert "anna" not in after.core.pending
    assert all(len(cohort) <= 1 for cohort in after.core.cohorts.values())


@pytest.mark.parametrize(
    "comeback",
    [
        lambda: event("profile", "anna", day(5), consent={"email": True}),
        lambda: event("purchase", "anna", day(5)),
        lambda: event("opened", "anna", day(5)),
    ],
)
@pytest.mark.parametrize("same_write", [True, False])
def test_who_came_back_after_an_erasure_survives_restarts(
    comeback: Callable[[], dict[str, Any]], same_write: bool
):
    life = Life()
    life.feed.buys("anna", 0.5)
    life.write()
    life.feed(event("erasure", "anna", day(3)))
    if not same_write:
        life.write()
    life.feed(comeback())
    life.write()
    life.write()
    after = life.again()

    assert set(after.core.table.index) == {"anna"}
    same_customer(after.core, life.core, "anna")
    assert int(after.core.table.rows["orders"][after.core.table.index["anna"]]) <= 1


def test_a_torn_erasure_is_carried_out_when_it_comes_again():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.write()
    erasure = record(0, event("erasure", "anna", day(3)))
    profile = record(1, event("profile", "anna", day(5), tier="gold"))
    life.core.observe("customers", [erasure, profile])
    torn = [key[:1] for key, _ in life.write(rows=-1)]
    after = life.again()
    after.core.observe("customers", [erasure, profile])

    assert torn == [b"u", b"e", b"p"]
    assert after.core.erased[after.core.hash("anna")].ts == day(3)
    assert int(after.core.table.rows["orders"][after.core.table.index["anna"]]) == 0
    assert after.core.table.profiles[after.core.table.index["anna"]].tier == "gold"


def test_a_torn_erasure_takes_what_came_before_it_again_too():
    """The purchase of day 4 lies behind the erasure of day 3 and arrived before it."""
    life = Life()
    life.feed.buys("anna", 0.5)
    life.write()
    purchase = record(7, event("purchase", "anna", day(4)))
    erasure = record(0, event("erasure", "anna", day(3)))
    for one in (life, torn := life.again()):
        one.core.observe("orders", [purchase])
        one.core.observe("customers", [erasure])
    assert [key[:1] for key, _ in torn.write(rows=-1)] == [b"e", b"p"]
    after = torn.again()
    after.core.observe("orders", [purchase])
    after.core.observe("customers", [erasure])

    assert len(after.core.table) == len(life.core.table) == 0


def test_an_episode_that_a_torn_sweep_closed_is_not_opened_again_by_its_repetition():
    """A purchase resolved it, although the probability is as high as ever: the next one opens a day later."""
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed.decide(day(1), MODELS)
    life.write()
    life.storage.mark_published(life.core.seq)
    life.feed.buys("anna", 1.5)
    life.feed.decide(day(2), MODELS)
    life.write(rows=1)
    after = life.again()
    after.feed.decide(day(3), MODELS)
    after.write()

    found = [decoded(value) for _, value in outputs(after.core)]
    assert [(alert.status, alert.ts) for alert in found] == [("resolved", day(2)), ("opened", day(3))]


@pytest.mark.parametrize("durable", range(5))
def test_a_cohort_rewritten_in_part_is_whole(durable: int):
    """Nine customers in chunks of three; one is erased and every piece behind it moves."""
    life = Life()
    for number in range(9):
        life.feed.buys(f"u{number}", 0.5)
    life.feed.decide(day(1), MODELS, act=False)
    life.write()
    everyone = life.core.cohorts[day(1)].hashes.tolist()
    user = min(life.core.table.index, key=life.core.hash)
    life.feed(event("erasure", user, day(1)))
    life.write(rows=durable)
    found = life.again().core.cohorts[day(1)].hashes.tolist()

    assert found == (everyone[1:] if durable else everyone)


def test_a_checkpoint_behind_an_overlap_is_whole():
    """Recovery joins overlapping pieces; the next write and the checkpoint after it must agree."""
    life = Life()
    for number in range(7):
        life.feed.buys(f"u{number}", 0.5)
    life.feed.decide(day(1), MODELS, act=False)
    life.write()
    first = min(life.core.table.index, key=life.core.hash)
    life.feed(event("erasure", first, day(1)))
    life.write(rows=1)
    after = life.again()
    after.write()
    once_more = after.again(list(after.storage.everything()))
    after.write()

    assert len(once_more.core.cohorts[day(1)]) == len(after.core.cohorts[day(1)])
    assert len(after.keys(b"c")) == -(-len(after.core.cohorts[day(1)]) // 3)


def test_a_checkpoint_of_changes_that_were_not_taken_is_refused():
    life = Life()
    life.feed.buys("anna", 0.5)

    with pytest.raises(AssertionError, match="not taken"):
        list(life.storage.everything())


def test_a_checkpoint_restores_everything():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed(event("profile", "ben", day(0.6), tier="gold"))
    life.feed(event("erasure", "carl", day(0.7)))
    life.feed.decide(day(6), MODELS)
    life.write()
    after = life.again(list(life.storage.everything()))

    same_core(after.core, life.core)
    assert after.core.seq == life.core.seq
    assert after.core.pending == life.core.pending != {}


def test_rows_that_void_ones_cover_up_are_written_again_and_what_is_not_there_is_deleted():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed(event("erasure", "carl", day(0.7)))
    life.feed.decide(day(6), MODELS)
    life.write()
    life.write()  # the tombstone of carl's row
    kept = dict(life.storage.everything())
    foreign = {b"uzombie's", rows.cohort_key(day(99), 0), rows.cohort_key(day(6), 7)}

    life.storage.rewrite(kept.keys() | foreign)

    written = dict(life.storage.take())
    partition_row = rows.PARTITION_KEY
    assert written.keys() == kept.keys() | foreign
    assert {key: value for key, value in written.items() if value is None} == dict.fromkeys(foreign)
    assert all(written[key] == kept[key] for key in kept.keys() - {partition_row})


def test_rows_that_cannot_be_read_are_left_out_and_named():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.feed(event("profile", "ben", day(0.6), tier="gold"))
    life.write()
    after = Life()
    bad: list[Row] = [
        (b"ucarl", b"\x00"),
        (b"u\xff", b"x"),
        (b"c123", b"x"),
        (b"eshort", b"x"),
        (b"?", b"x"),
        (b"", b"x"),
        (b"c" + bytes(10), b"not a chunk"),
    ]
    broken = after.storage.restore([*life.changelog, *bad])
    after.storage.finish()

    assert {key for key, _ in broken} == {key for key, _ in bad}
    assert set(after.core.table.index) == {"anna", "ben"}


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x90"])
def test_without_its_partition_row_nothing_is_right(value: bytes):
    with pytest.raises(RowError, match="partition row"):
        Life().again([(b"p", value)])


def test_a_row_of_a_newer_version_stops_the_worker():
    life = Life()
    life.feed.buys("anna", 0.5)
    value = dict(life.write())[b"p"]
    assert value is not None
    newer = msgspec.structs.replace(msgspec.msgpack.decode(value, type=PartitionRow), version=99)

    with pytest.raises(RowError, match="newer"):
        Life().again([(b"p", msgspec.msgpack.encode(newer))])


@pytest.mark.parametrize("key", [b"uanna", b"c" + bytes(10)])
def test_a_customer_or_cohort_of_a_newer_release_stops_the_worker_too(key: bytes):
    newer = bytes([max(layout.VERSION, wire.VERSION) + 1]) + bytes(20)

    with pytest.raises(RowError, match="upgrade this worker"):
        Life().again([(key, newer)])


def test_a_row_of_a_newer_release_that_was_written_over_is_no_reason_to_stop():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.write()
    after = Life()
    for key in (b"uanna", b"p"):
        after.storage.restore([(key, bytes([layout.VERSION + 1]) + bytes(20))])
    after.storage.restore(life.changelog)
    after.storage.finish()

    assert set(after.core.table.index) == {"anna"}


def test_customers_that_were_spread_over_another_number_of_partitions_are_refused():
    life = Life()
    life.feed.buys("anna", 0.5)
    life.write()

    with pytest.raises(RowError, match=r"spread over 1 partitions, and kafka\.partitions is 7"):
        Life(partitions=7).again(life.changelog)


def test_a_cohort_of_which_a_piece_cannot_be_read_is_given_up_and_deleted():
    life = Life()
    for number in range(5):
        life.feed.buys(f"u{number}", 0.5)
    life.feed.decide(day(1), MODELS, act=False)
    life.write()
    (piece, _) = life.keys(b"c")
    life.changelog.append((piece, b"junk"))
    after = Life()
    after.changelog = list(life.changelog)
    broken = after.storage.restore(life.changelog)
    after.storage.finish()
    after.write()
    after.write()

    assert [key for key, _ in broken] == [piece]
    assert after.core.cohorts == {}
    assert after.keys(b"c") == []


def test_a_cohort_that_misses_a_piece_is_not_learned_in_part():
    life = Life()
    for number in range(5):
        life.feed.buys(f"u{number}", 0.5)
    life.feed.decide(day(1), MODELS, act=False)
    rows = [row for row in life.write() if row[0][-1:] != b"\x01" or row[0][:1] != b"c"]
    after = Life()
    after.storage.restore(rows)

    with pytest.raises(RowError, match="misses pieces"):
        after.storage.finish()


def test_the_long_gone_do_not_return_with_a_restart_before_the_tombstone():
    life = Life(evict_after_days=20)
    life.feed.buys("anna", 0.5)
    life.feed.decide(day(2), MODELS, act=False)
    life.write()
    life.feed.decide(day(24), MODELS, act=False)
    life.write()
    after = life.again()

    assert life.keys(b"u") == [b"uanna"]
    assert len(after.core.table) == 0


def test_the_start_on_the_grid_may_move_back_after_a_restart_until_the_first_part():
    life = Life(lateness_ms=9 * DAY_MS)
    life.feed.buys("anna", 9.5)
    life.write()
    after = life.again()
    after.feed(event("review", "anna", day(2.5)))
    seen = [sweep.ts for _, sweep in after.feed.decide(day(4), MODELS)]

    assert seen == [day(3), day(4)]
    assert day(9) in after.core.table.rows["boundary"][after.core.table.forks(after.core.table.index["anna"])]


def test_an_idle_partition_writes_nothing():
    target = core()
    storage = Storage(target)

    def round_of_the_engine() -> list[bytes]:
        written = [key for key, _ in storage.take()]
        storage.confirm()
        storage.mark_published(target.seq)
        return written

    assert round_of_the_engine() == [b"p"]
    assert round_of_the_engine() == []

    target.add_pending("ada", b"an alert", 0.9)
    target.table.add(["ada"], [7])
    assert round_of_the_engine() == [b"uada", b"p"]
    assert round_of_the_engine() == [b"p"]  # the mark of what was published
    assert round_of_the_engine() == []


def test_an_erasure_is_written_once_and_not_with_every_write_that_follows():
    target = core(config())
    feed, storage = Feed(target), Storage(target)
    feed(event("erasure", "anna", day(2)))
    first = [key for key, _ in storage.take() if key[:1] == ERASED]
    storage.confirm()

    feed.buys("ben", 3)
    second = [key for key, _ in storage.take() if key[:1] == ERASED]

    assert (len(first), len(second)) == (1, 0)
