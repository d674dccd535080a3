from __future__ import annotations

import numpy as np
import pytest

from models.episodes import TIERS, Thresholds, judge
from tests.building import day

THRESHOLDS = Thresholds(medium=0.8, high=0.9, critical=0.95, hysteresis=0.05)
NEVER, OPENED, BEFORE, AFTER = 0, day(10), day(5), day(12)


def moves(p: float, since: int, tier: str, last_purchase: int) -> str:
    found = judge(
        THRESHOLDS,
        np.array([p]),
        np.array([since]),
        np.array([TIERS.index(tier)], np.uint8),
        np.array([last_purchase]),
    )
    return "+".join(name for name in ("opened", "escalated", "resolved") if getattr(found, name)[0])


@pytest.mark.parametrize(
    ("p", "since", "tier", "last_purchase", "expected"),
    [
        # outside an episode
        (0.799999, NEVER, "none", BEFORE, ""),
        (0.80, NEVER, "none", BEFORE, "opened"),
        (0.99, NEVER, "none", BEFORE, "opened"),
        # inside one: up
        (0.80, OPENED, "medium", BEFORE, ""),
        (0.899999, OPENED, "medium", BEFORE, ""),
        (0.90, OPENED, "medium", BEFORE, "escalated"),
        (0.97, OPENED, "medium", BEFORE, "escalated"),
        (0.97, OPENED, "critical", BEFORE, ""),
        # down a tier is no news, and back up to where it was neither
        (0.85, OPENED, "critical", BEFORE, ""),
        (0.96, OPENED, "critical", BEFORE, ""),
        # inside the hysteresis
        (0.75, OPENED, "medium", BEFORE, ""),
        (0.749999, OPENED, "medium", BEFORE, "resolved"),
        # a purchase ends it, whatever the probability says; at the very start of the episode too
        (0.99, OPENED, "medium", AFTER, "resolved"),
        (0.99, OPENED, "medium", OPENED, "resolved"),
        (0.99, OPENED, "medium", OPENED - 1, "escalated"),
        (0.10, OPENED, "medium", AFTER, "resolved"),
    ],
)
def test_episodes_open_escalate_and_close(p: float, since: int, tier: str, last_purchase: int, expected: str):
    assert moves(p, since, tier, last_purchase) == expected


def test_a_tier_begins_at_its_threshold():
    codes = THRESHOLDS.tiers(np.array([0.0, 0.799999, 0.8, 0.9, 0.95, 1.0]))

    assert [TIERS[code] for code in codes] == ["none", "none", "medium", "high", "critical", "critical"]


def test_equal_thresholds_skip_a_tier():
    assert Thresholds(0.5, 0.5, 0.9).tiers(np.array([0.5]))[0] == TIERS.index("high")


@pytest.mark.parametrize(
    "bad", [(0.0, 0.5, 0.9), (0.9, 0.8, 0.95), (0.8, 0.9, 1.1), (0.8, 0.9, 0.95, 0.8), (0.8, 0.9, 0.95, -0.1)]
)
def test_thresholds_that_do_not_rise_are_refused(bad: tuple[float, ...]):
    with pytest.raises(ValueError, match="threshold"):
        Thresholds(*bad)
