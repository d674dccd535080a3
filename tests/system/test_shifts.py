"""A shop that changes at once: the champion keeps up, in a shop of a fifth of the benchmark's size."""

from __future__ import annotations

from benchmarks.quality.shifts import BAR, CUSTOMERS, judged, learned


def test_after_a_shock_the_champion_is_near_the_best_contender():
    """It was 0.56 nats behind for a year: the worst contender had won the shock, and evidence did not age."""
    outcome = judged(learned("level", 0, customers=CUSTOMERS // 2), horizons=2.5)

    assert outcome.behind <= BAR
