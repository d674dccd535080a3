"""A soak is well when nothing grows, nothing is missing and the worker spoke well of itself all the time."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.soak.sampling import Sample
from benchmarks.soak.verdict import MOST_GROWTH, judged, trend

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTES = 30


def samples(change: Callable[[Sample], Sample] = lambda each: each) -> list[Sample]:
    """A run with all figures level, but for a little noise."""
    rng = np.random.default_rng(7)
    level = {each.name: 100.0 for each in fields(Sample)} | {"live": True, "ready": True}
    level |= {"missing": 0, "dead_letters": 0.0}
    found = [Sample(**level | {"seconds": 5.0 * n}) for n in range(MINUTES * 12)]
    noisy = [
        replace(each, **{name: 100 + rng.normal() / 10 for name in MOST_GROWTH})  # type: ignore[arg-type]
        for each in found
    ]
    return [change(each) for each in noisy]


def not_well(found: list[Sample]) -> set[str]:
    return {finding.what for finding in judged(found) if not finding.well}


def test_a_run_that_is_level_is_well():
    assert not_well(samples()) == set()


@pytest.mark.parametrize("name", list(MOST_GROWTH))
def test_whatever_grows_by_more_than_it_may_is_not_flat(name: str):
    def grows(each: Sample) -> Sample:
        # From the middle of the run to its end, by a little more than is allowed.
        more = 2 * MOST_GROWTH[name] * max(each.seconds / (MINUTES * 60) - 0.5, 0) * 1.2
        return replace(each, **{name: getattr(each, name) * (1 + more)})

    (what,) = not_well(samples(grows))
    assert what.endswith("is flat")


def test_what_is_too_noisy_to_tell_is_not_called_flat():
    rng = np.random.default_rng(7)
    found = samples(lambda each: replace(each, rss_bytes=100 + 30 * rng.normal()))

    assert not_well(found) == {"resident memory is flat"}


def test_growth_in_the_first_half_is_how_a_run_begins():
    found = samples(lambda each: replace(each, customers=min(100.0, each.seconds / 9 + 1)))

    assert not_well(found) == set()


def test_a_trend_is_a_line_through_what_was_measured():
    found = samples(
        lambda each: replace(each, p50_s=float("nan") if each.seconds % 10 else 1 + each.seconds / 3600)
    )

    line = trend(found, "p50_s")

    assert line.per_hour == pytest.approx(1.0)
    assert line.mean == pytest.approx(1.25, abs=0.01)
    assert line.error_per_hour == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"missing": 1}, "triggers without alert"),
        ({"dead_letters": 1.0}, "dead letters"),
        ({"live": False}, "samples not live"),
        ({"ready": False}, "samples not ready"),
        ({"evicted": 0.0}, "customers were forgotten"),
        ({"labels": 0.0}, "labels were learned"),
        ({"decisions": 0.0}, "alerts were decided about"),
    ],
)
def test_whatever_else_is_not_well_is_said(changes: dict[str, float], what: str):
    found = samples()
    found[-1] = replace(found[-1], **changes)  # type: ignore[arg-type]

    assert not_well(found) == {what}
