"""A soak run as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.soak.sampling import Sample


class _Panel(NamedTuple):
    """One diagram: axis label with its unit, and (legend, field, what the field is divided by)."""

    label: str
    lines: tuple[tuple[str, str, float], ...]


_PANELS: Final = (
    _Panel("resident memory\n[MB]", (("worker", "rss_bytes", 1e6),)),
    _Panel("event → alert\n[ms]", (("median", "p50_s", 1e-3), ("99th percentile", "p99_s", 1e-3))),
    _Panel(
        "customers",
        (
            ("in the table", "customers", 1),
            ("in the ledger", "ledger_rows", 1),
            ("forgotten so far", "evicted", 1),
            ("forks", "forks", 1),
        ),
    ),
    _Panel(
        "state\n[MB]",
        (("records of the table", "table_bytes", 1e6), ("checkpoints", "checkpoint_bytes", 1e6)),
    ),
    _Panel("lag\n[records]", (("all partitions", "lag", 1),)),
)


def draw(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Write a PNG to `path`: all panels over time, the first half shaded as warm-up."""
    figure = Figure(figsize=(11, 2.1 * len(_PANELS)), layout="constrained")
    figure.suptitle(title)
    minutes = [each.seconds / 60 for each in samples]
    panels = figure.subplots(len(_PANELS), sharex=True)
    for axes, panel in zip(panels, _PANELS, strict=True):
        axes.axvspan(0, minutes[-1] / 2, color="0.92", label="warm-up")
        for legend, name, scale in panel.lines:
            axes.plot(minutes, [getattr(each, name) / scale for each in samples], label=legend, linewidth=1)
        axes.set_ylabel(panel.label)
        axes.set_ylim(bottom=0)
        axes.grid(color="0.85", linewidth=0.5)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize="small")
    panels[-1].set_xlabel("time [minutes]")
    panels[-1].set_xlim(0, minutes[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
