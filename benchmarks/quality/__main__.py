"""`python -m benchmarks.quality`: our predictions beside the batch team's, on public logs or on yours."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np
import orjson
from rich.console import Console

from benchmarks.engines import ROOT
from benchmarks.quality import costs, live, reasons, shifts
from benchmarks.quality.baselines import BaseRate, BgNbd, RecencyRule, RiverDefault
from benchmarks.quality.batch import weekly_lightgbm, weekly_logistic
from benchmarks.quality.cases import Case, epoch_ms, known, simulated
from benchmarks.quality.cohorts import collect
from benchmarks.quality.comparison import Comparison, half, losses, said_by_us
from benchmarks.quality.pareto import ParetoNbd
from benchmarks.quality.protocol import Cache
from benchmarks.quality.report import figures, sheets
from streams.cli_shared import Days, settings_of
from streams.session import ReplayStalledError
from streams.sources import SourceError
from streams.sources.files import FileSource, load_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from benchmarks.quality.cohorts import JudgedCohort
    from benchmarks.quality.protocol import Baseline
    from streams.settings import Settings

    Say = Callable[[str], None]

_KNOWN: Final = tuple(known(Path()))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--mapping",
    type=click.Path(exists=True, path_type=Path),
    help="TOML file that maps your columns to ours.",
)
@click.option("--horizon", type=Days(), help="Churn: no purchase for so long, 60d if not said.")
@click.option("--every", type=Days(), help="Step of the decision grid and of the refits, 7d if not said.")
@click.option("--active-within", type=Days(), help="Who bought within so long is judged, 120d if not said.")
@click.option(
    "--test-from",
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day of the test; the middle if not said.",
)
@click.option("--only", default=",".join(_KNOWN), help="Without FILES: the logs to judge, by name.")
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    default=ROOT.parent / "shared",
    help="Where logs lie that no package carries.",
    show_default="../shared",
)
@click.option(
    "--settings", "file", type=click.Path(path_type=Path), help="Settings of churnwatch, as for a backtest."
)
@click.option("--replicates", default=300, type=click.IntRange(min=20), help="Draws of the bootstrap.")
@click.option("--jobs", default=2, type=click.IntRange(min=1), help="Threads of LightGBM.")
@click.option("--costs", "only_costs", is_flag=True, help="Measure what learning and scoring cost instead.")
@click.option(
    "--live",
    "only_live",
    is_flag=True,
    help="Replay through broker and worker instead: are the figures the same?",
)
@click.option(
    "--reasons",
    "only_reasons",
    is_flag=True,
    help="Look at every alert instead: is the customer late, and would a person accept each reason?",
)
@click.option(
    "--shifts",
    "only_shifts",
    is_flag=True,
    help="Judge made-up shops that change at once instead: does the champion keep up?",
)
@click.option("--plots", type=click.Path(path_type=Path), help="Draw the comparison into this folder, too.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ROOT / "run" / "quality",
    help="Write here, as .json and .md; predictions of baselines are kept in this folder.",
    show_default="run/quality",
)
def main(
    *,
    files: tuple[Path, ...],
    mapping: Path | None,
    horizon: int | None,
    every: int | None,
    active_within: int | None,
    test_from: datetime | None,
    only: str,
    shared: Path,
    file: Path | None,
    replicates: int,
    jobs: int,
    only_costs: bool,
    only_live: bool,
    only_reasons: bool,
    only_shifts: bool,
    plots: Path | None,
    out: Path,
) -> None:
    """Champion and contenders against models that are refit on all labels before each decision time.

    FILES are read as by `churnwatch backtest`; without FILES the public logs are judged.
    """
    console = Console(width=None if sys.stdout.isatty() else 150)
    asked = (horizon, active_within, every)
    if not files and (mapping or test_from or any(asked)):
        raise click.UsageError("the options of a log are for FILES; the public logs have their own")
    try:
        if only_costs:
            costs.main(console, out.with_name(f"{out.name}-costs.json"))
            return
        if only_shifts:
            sys.exit(0 if shifts.main(console, out.with_name(f"{out.name}-shifts.json"), file) else 1)
        cases = [_own(files, mapping, asked, test_from)] if files else _chosen(only, shared)
        if only_reasons:
            chosen = [(case, settings_for(case, file)) for case in cases]
            accepted = reasons.main(console, chosen, out.with_name(f"{out.name}-reasons.json"))
            sys.exit(0 if accepted else 1)
        if only_live:
            pairs = [(case, settings_for(case, file)) for case in cases]
            same = live.main(console, pairs, out.with_name(f"{out.name}-live.json"), strict=bool(files))
            sys.exit(0 if same else 1)
    except (SourceError, ReplayStalledError) as error:
        raise click.ClickException(str(error)) from error
    found = _compared(console, cases, file, out, replicates, jobs, strict=bool(files))
    console.print(f"written to {out}.json and {out}.md")
    if plots is not None:
        from benchmarks.quality.plots import draw  # noqa: PLC0415 - nothing else here needs matplotlib

        draw(found, plots)
        console.print(f"drawn into {plots}")


def _compared(
    console: Console,
    cases: Sequence[Case],
    file: Path | None,
    out: Path,
    replicates: int,
    jobs: int,
    *,
    strict: bool,
) -> list[Comparison]:
    """Judge each log and print its tables; one that cannot be read is left out unless `strict`."""
    found: list[Comparison] = []
    with console.status("reading") as status:
        for case in cases:
            try:
                found.append(_judged(case, settings_for(case, file), out, replicates, jobs, status.update))
            except SourceError as error:
                if strict:
                    raise click.ClickException(str(error)) from error
                console.print(f"{case.name} is left out: {error}", markup=False, highlight=False)
                continue
            _write(out, found, replicates)
            for sheet in sheets(found[-1]):
                console.print(sheet.terminal())
    if not found:
        raise click.ClickException("no log could be judged")
    return found


def _own(
    files: tuple[Path, ...],
    mapping: Path | None,
    asked: tuple[int | None, ...],
    test_from: datetime | None,
) -> Case:
    """A shop's own log with the days that were asked for: horizon, active base, step of the grid."""
    source = FileSource(files, None if mapping is None else load_mapping(mapping))
    suiting = (source.horizon_days, source.active_within_days, source.every_days)
    horizon, active, every = (said or usual for said, usual in zip(asked, suiting, strict=True))
    return Case(source.name, source, horizon, active, every, test_from.date() if test_from else None)


def _chosen(only: str, shared: Path) -> list[Case]:
    cases, names = known(shared) | simulated(), [name.strip() for name in only.split(",")]
    if strangers := [name for name in names if name not in cases]:
        raise click.BadParameter(f"no such log: {', '.join(strangers)}; there are {', '.join(cases)}")
    return [cases[name] for name in names]


def settings_for(case: Case, file: Path | None) -> Settings:
    """The settings of the product with the days of a case."""
    days = case.horizon_days + case.active_within_days + 2 * case.every_days
    model = {
        "horizon_days": case.horizon_days,
        "active_within_days": case.active_within_days,
        "every_days": case.every_days,
        "evict_after_days": max(days, settings_of(file).model.evict_after_days),
    }
    return settings_of(file, model=model)


def _baselines(horizon_days: int, jobs: int) -> tuple[Baseline, ...]:
    batch = (weekly_lightgbm(jobs), weekly_logistic())
    return (*batch, RiverDefault(), BgNbd(), ParetoNbd(horizon_days), RecencyRule(), BaseRate())


def _judged(case: Case, settings: Settings, folder: Path, replicates: int, jobs: int, say: Say) -> Comparison:
    """Everything about one log. Raises SourceError when it cannot be read."""
    cohorts = collect(case.source, settings, lambda events: say(f"{case.name}: {events:,} events"))
    start = 0 if case.judged_from is None else epoch_ms(case.judged_from)
    baselines = _baselines(case.horizon_days, jobs)
    said = {each.name: _said(case, cohorts, each, Cache(folder), start, say) for each in baselines}
    judged = [cohort for cohort in cohorts if cohort.decision_time >= start]
    if not judged:
        raise SourceError(f"no decision time from {case.judged_from} on has labels")
    ours = said_by_us(judged)
    times = np.array([cohort.decision_time for cohort in judged])
    test = times >= (times[len(times) // 2] if case.test_from is None else epoch_ms(case.test_from))
    ranks_only = frozenset(each.name for each in baselines if each.ranks_only)
    say(f"{case.name}: drawing customers")
    return Comparison(
        title=case.title,
        ours=tuple(ours),
        baselines=tuple(said),
        leaders=tuple(dict.fromkeys(cohort.leader for cohort in judged)),
        settings={each.name: each.settings for each in baselines},
        test=half(judged, ours | said, test, ranks_only, replicates),
        start=half(judged, ours | said, ~test, ranks_only, replicates),
        times=tuple(times.tolist()),
        losses={name: losses(judged, each) for name, each in (ours | said).items() if name not in ranks_only},
        facts={
            "log": case.name,
            "horizon_days": case.horizon_days,
            "active_within_days": case.active_within_days,
            "every_days": case.every_days,
        },
    )


def _said(
    case: Case, cohorts: Sequence[JudgedCohort], baseline: Baseline, cache: Cache, start: int, say: Say
) -> Any:
    def progress(done: int) -> None:
        say(f"{case.name}: {baseline.name}, {done} of {len(cohorts)} decision times")

    return cache.predictions(cohorts, case.horizon_days, baseline, start, progress)


def _write(out: Path, found: Sequence[Comparison], replicates: int) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "churnwatch": version("churnwatch"),
        "replicates": replicates,
        "logs": [figures(comparison) for comparison in found],
    }
    out.with_name(f"{out.name}.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    pages = (sheet.markdown() for comparison in found for sheet in sheets(comparison))
    out.with_name(f"{out.name}.md").write_text("".join(pages), encoding="utf-8")


if __name__ == "__main__":
    main()
