"""Whether a run was flat, computed from its second half: by then every customer has come and gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.soak.sampling import Sample

#: What may be added in the second half at most, as a share of its mean.
MOST_GROWTH: Final = {"rss_bytes": 0.03, "p50_s": 0.25, "customers": 0.05, "ledger_rows": 0.05}
_NAMES: Final = {
    "rss_bytes": "resident memory",
    "p50_s": "median latency",
    "customers": "customers in the table",
    "ledger_rows": "customers in the ledger",
}


@dataclass(frozen=True)
class Finding:
    """One question, what was measured, and whether it is well."""

    what: str
    measured: str
    well: bool


@dataclass(frozen=True)
class Trend:
    """A straight line through one figure: its mean, its slope with the standard error, and its length."""

    mean: float
    per_hour: float
    error_per_hour: float
    hours: float

    @property
    def growth(self) -> float:
        """What was added at most, as a share of the mean: two standard errors more than the slope says.

        So what is too noisy to tell is not flat.
        """
        return (self.per_hour + 2 * self.error_per_hour) * self.hours / self.mean


def settled(samples: Sequence[Sample]) -> list[Sample]:
    """The second half."""
    return [each for each in samples if each.seconds >= samples[-1].seconds / 2]


def trend(samples: Sequence[Sample], name: str) -> Trend:
    """Least squares over `samples`, without those in which nothing was measured."""
    found = np.array([(each.seconds / 3600, getattr(each, name)) for each in samples])
    hours, values = found[np.isfinite(found[:, 1])].T
    slope, start = np.polyfit(hours, values, 1)
    rest = values - (slope * hours + start)
    error = np.sqrt((rest**2).sum() / max(len(hours) - 2, 1) / ((hours - hours.mean()) ** 2).sum())
    return Trend(float(values.mean()), float(slope), float(error), float(np.ptp(hours)))


def judged(samples: Sequence[Sample]) -> list[Finding]:
    """Every question with its answer."""
    last, half = samples[-1], settled(samples)
    return [
        *(_flat(half, name, most) for name, most in MOST_GROWTH.items()),
        Finding("customers were forgotten", f"{last.evicted:,.0f}", last.evicted > 0),
        Finding("labels were learned", f"{last.labels:,.0f}", last.labels > 0),
        Finding("alerts were decided about", f"{last.decisions:,.0f}", last.decisions > 0),
        Finding("triggers without alert", str(last.missing), last.missing == 0),
        Finding("dead letters", f"{last.dead_letters:,.0f}", last.dead_letters == 0),
        Finding("samples not live", str(_count(samples, "live")), not _count(samples, "live")),
        Finding("samples not ready", str(_count(samples, "ready")), not _count(samples, "ready")),
    ]


def _flat(half: Sequence[Sample], name: str, most: float) -> Finding:
    found = trend(half, name)
    scale, unit = {"rss_bytes": (1e6, " MB"), "p50_s": (1e-3, " ms")}.get(name, (1.0, ""))
    measured = (
        f"{found.mean / scale:,.1f}{unit}, {found.per_hour / scale:+,.1f} "
        f"± {found.error_per_hour / scale:,.1f}{unit}/h (at most {most:.0%} in {found.hours * 60:.0f} min)"
    )
    return Finding(f"{_NAMES[name]} is flat", measured, found.growth <= most)


def _count(samples: Sequence[Sample], name: str) -> int:
    return sum(not getattr(each, name) for each in samples)
