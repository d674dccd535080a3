"""The durable form of a partition's state, and that a crash anywhere changes nothing.

The crash model: of the last write only a prefix of the rows is durable, the parts and alerts of that time
may be out or not; a new life restores the rows and reads the inputs again from the last acknowledgement.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from partition_shell import Shell
from random_logs import logs, payloads, settings

from features.profile import Profile
from models import cohorts
from tests.building import decoded

if TYPE_CHECKING:
    from models.core import PartitionCore
    from models.parts import Part


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "CHUNK_MEMBERS", 3)


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
    undisturbed, disturbed = (
        Shell(settings(), log, random.Random(seed), recut=not abrupt) for _ in range(2)
    )
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


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_anywhere_ends_with_the_same_rows_cohorts_labels_and_alerts(seed: int):
    check_crashes(seed, abrupt=True)


@pytest.mark.parametrize("seed", range(6))
def test_neither_crashes_nor_other_polls_afterwards_change_the_end(seed: int):
    check_crashes(seed, abrupt=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
@pytest.mark.parametrize("abrupt", [True, False])
def test_a_crash_anywhere_changes_nothing_many_times_over(seed: int, abrupt: bool):
    check_crashes(seed, abrupt=abrupt)
