"""A comparison as sheets for people (terminal and Markdown) and as figures for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.table import Table

from benchmarks.quality.bootstrap import METRICS
from benchmarks.quality.comparison import BATCH, CHAMPION, COLD, FLOOR, MOST_ECE, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.quality.bootstrap import Estimate
    from benchmarks.quality.comparison import Comparison, Half

_HEADINGS: Final = {
    "auc": "AUC",
    "log_loss": "log loss",
    "pr_auc": "PR-AUC",
    "brier": "Brier",
    "ece": "ECE",
}
#: What a model that only ranks can be judged by.
_RANKING: Final = frozenset({"auc", "pr_auc"})


class Sheet(NamedTuple):
    """A table of texts."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def terminal(self) -> Table:
        """For the terminal."""
        table = Table(title=self.title, title_justify="left")
        for number, heading in enumerate(self.header):
            table.add_column(heading, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a page, ending with an empty line."""
        lines = [self.header, ("---", *("--:" for _ in self.header[1:])), *self.rows]
        return f"{self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def sheets(comparison: Comparison) -> Iterator[Sheet]:
    """All that is to be read of a comparison."""
    if comparison.test is not None:
        yield _figures(comparison, comparison.test, "test half")
        yield _against_batch(comparison, comparison.test)
    if comparison.start is not None:
        yield _figures(comparison, comparison.start, "cold start, the decision times before the test")
        yield _against_cold(comparison, comparison.start)


def _figures(comparison: Comparison, half: Half, title: str) -> Sheet:
    found = half.bootstrap
    what = (
        f"{comparison.title}: {title}; {half.times} decision times {_day(half.first)} to {_day(half.last)}, "
        f"{found.labels:,} labels of {found.customers:,} customers, {found.base_rate:.1%} churned"
    )
    rows = []
    for name in comparison.names:
        shown = _RANKING if name in half.ranks_only else METRICS
        cells = (_value(found.estimate(name, each)) if each in shown else "" for each in METRICS)
        rows.append((_row_name(comparison, name), *cells))
    return Sheet(what, ("", *_HEADINGS.values()), rows)


def _against_batch(comparison: Comparison, half: Half) -> Sheet:
    header = ("", "ΔAUC", "Δlog loss", f"floor {FLOOR}", "goal", "ECE", f"≤ {MOST_ECE}", "ECE by chance")
    rows = []
    for name in comparison.ours:
        v = verdict(half, name)
        deltas = (_row_name(comparison, name), _signed(v.auc), _signed(v.log_loss))
        chance = f"{half.bootstrap.chance_ece[name]:.4f}"
        verdicts = (_yes(v.floor), _yes(v.goal), _range(v.ece), _yes(v.calibrated), chance)
        rows.append((*deltas, *verdicts))
    return Sheet(f"{comparison.title}: less {BATCH}, paired, test half", header, rows)


def _against_cold(comparison: Comparison, half: Half) -> Sheet:
    rows = []
    for name in comparison.ours:
        deltas = [half.bootstrap.difference(name, COLD, metric) for metric in ("log_loss", "ece")]
        cells = [text for delta in deltas for text in (_signed(delta), _yes(delta.value <= 0))]
        rows.append((_row_name(comparison, name), *cells))
    header = ("", "Δlog loss", "no worse", "ΔECE", "no worse")
    return Sheet(f"{comparison.title}: less {COLD}, paired, cold start", header, rows)


def figures(comparison: Comparison) -> dict[str, Any]:
    """All figures with their intervals, for JSON."""
    return {
        **comparison.facts,
        "champion": comparison.leaders,
        "baselines": comparison.settings,
        "test": None if comparison.test is None else _half(comparison, comparison.test),
        "cold_start": None if comparison.start is None else _half(comparison, comparison.start),
    }


def _half(comparison: Comparison, half: Half) -> dict[str, Any]:
    found = half.bootstrap
    models: dict[str, Any] = {}
    for name in comparison.names:
        shown = [m for m in METRICS if m in _RANKING or name not in half.ranks_only]
        models[name] = {m: found.estimate(name, m)._asdict() for m in shown}
        for reference in (BATCH, COLD):
            if name != reference:
                against = {m: found.difference(name, reference, m)._asdict() for m in shown}
                models[name][f"less {reference}"] = against
    for name in comparison.ours:
        v = verdict(half, name)
        models[name] |= {"floor": v.floor, "goal": v.goal, "calibrated": v.calibrated}
        models[name]["ece_by_chance"] = found.chance_ece[name]
    return {
        "decision_times": [_day(half.first), _day(half.last), half.times],
        "labels": found.labels,
        "customers": found.customers,
        "base_rate": found.base_rate,
        "models": models,
    }


def _row_name(comparison: Comparison, name: str) -> str:
    return f"{name} ({', '.join(comparison.leaders)})" if name == CHAMPION else name


def _value(estimate: Estimate) -> str:
    """The figure and half the width of its interval."""
    return f"{estimate.value:.4f} ±{(estimate.high - estimate.low) / 2:.4f}"


def _range(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} [{max(estimate.low, 0):.4f}, {estimate.high:.4f}]"


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def _yes(met: bool) -> str:
    return "yes" if met else "NO"


def _day(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).date().isoformat()
