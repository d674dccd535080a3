"""`churnwatch tune`: replay a log once, search settings on its first part, judge them on the rest."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import xxhash
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.backtest import Backtest
from models.contenders import new_learner, space_of
from models.learners import ReturnProbability
from models.trainer_config import AUTO
from models.tuning import Tape, progressive
from streams.backtesting import day_of, quality_table, steps_of
from streams.searching import Search, storage_in
from streams.tuned_file import tuned_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from streams.searching import Found, Method
    from streams.settings import Settings
    from streams.sources import Source


@dataclass(frozen=True)
class Plan:
    """What is searched, and how: `first` is the share of decision times that a search may see."""

    learners: tuple[str, ...]
    method: Method
    trials: int
    first: float
    seed: int
    out: Path
    #: The settings file that is to be tuned; None where there is none.
    base: Path | None = None

    @property
    def study(self) -> Path:
        """The file that keeps every trial, so that a search can go on."""
        return self.out.with_suffix(".study.db")


@dataclass(frozen=True)
class Tuned:
    """What a search of `planned` trials has found by now.

    `log_loss` on the first part, in nats, of the settings as they were, `before`, and as they are `chosen`;
    nothing is chosen where nothing was better.
    """

    learner: str
    before: Mapping[str, Any]
    planned: int
    trials: int
    chosen: Mapping[str, Any]
    log_loss: tuple[float, float]

    def with_found(self, found: Found) -> Tuned:
        """The same search, later."""
        was, _ = self.log_loss
        if found.settings is None or found.log_loss >= was:
            return replace(self, trials=found.trials)
        return replace(self, trials=found.trials, chosen=found.settings, log_loss=(was, found.log_loss))

    def __str__(self) -> str:
        was, now = self.log_loss
        return f"{self.learner}: {self.trials} of {self.planned} trials, log loss {was:.5f} -> {now:.5f}"


def run_tune(settings: Settings, source: Source, plan: Plan, console: Console) -> bool:
    """Search, write `plan.out`, and print what it was worth; False if somebody interrupted the search.

    What was found until then is written all the same, and the next run goes on from there. Raises SourceError
    when the log cannot be read, OSError when a file cannot be written, ValueError for a first part that is
    too short and for a grid of more points than trials.
    """
    trainer = replace(settings.trainer(), contenders=(ReturnProbability.name,), champion=AUTO)
    backtest = Backtest(settings.core(), trainer, settings.currencies())
    tape = Tape.of(steps_of(backtest, source, console), settings.model.horizon_days)
    split = tape.split(plan.first)
    found = _search(plan, tape.until(split), settings.trainer().settings, console)
    notes = [
        f"{source.description}: {backtest.events:,} events",
        f"searched ({plan.method}) on what was known on {day_of(split)}:",
        *(f"  {each}" for each in found),
    ]
    chosen = {each.learner: each.chosen for each in found}
    plan.out.write_text(tuned_file(plan.base, settings.model, chosen, notes), encoding="utf-8")
    if len(found) < len(plan.learners) or any(each.trials < each.planned for each in found):
        console.print(f"interrupted; {plan.out} has what was found, and the same command goes on from there")
        return False
    notes += [f"judged on decision times from {day_of(split)} on, which no search has seen:"]
    notes += [f"  {line}" for each in found for line in _judged(tape, split, each, console)]
    plan.out.write_text(tuned_file(plan.base, settings.model, chosen, notes), encoding="utf-8")
    console.print(f"written: {plan.out}", highlight=False)
    return True


def _search(plan: Plan, tape: Tape, said: Mapping[str, Mapping[str, Any]], console: Console) -> list[Tuned]:
    """One search after the other, until all are through or somebody interrupts."""
    found: list[Tuned] = []
    storage, told = storage_in(plan.study), tape.fingerprint()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar, suppress(KeyboardInterrupt):
        for learner in plan.learners:
            before, space = said.get(learner, {}), space_of(learner)
            # Another log, another first part, other settings to begin with: another search.
            goal = xxhash.xxh3_64_hexdigest(repr((told, sorted(before.items()), space, plan.seed)).encode())
            name = f"{learner} {plan.method} {goal}"
            search = Search(storage, name, space, plan.method, trials=plan.trials, seed=plan.seed)
            task = bar.add_task(learner, total=search.trials)
            log_loss = partial(_log_loss, learner, tape, before)
            was = log_loss({})
            found.append(Tuned(learner, before, search.trials, 0, {}, (was, was)))
            for best in search.run(log_loss):
                found[-1] = found[-1].with_found(best)
                bar.update(task, completed=best.trials, description=str(found[-1]))
    return found


def _log_loss(learner: str, tape: Tape, before: Mapping[str, Any], chosen: Mapping[str, Any]) -> float:
    return progressive(new_learner(learner, **{**before, **chosen}), tape).log_loss


def _judged(tape: Tape, split: int, found: Tuned, console: Console) -> list[str]:
    """Print the settings before and after side by side; the same in a few words."""
    learner, was, now = found.learner, "as it was", "tuned"
    counts = {was: progressive(new_learner(learner, **found.before), tape, split)}
    if not counts[was].labels:
        console.print("no label of the rest is known: there is nothing to judge by")
        return [f"{learner}: no label is known"]
    if found.chosen:
        counts[now] = progressive(new_learner(learner, **{**found.before, **found.chosen}), tape, split)
    counts["return probability"] = progressive(new_learner(ReturnProbability.name), tape, split)
    console.print(quality_table(f"{learner}, from {day_of(split)} on, which no search has seen", counts))
    before = counts[was]
    if not found.chosen:
        console.print(f"no settings were better than {learner} as it was: it stays", highlight=False)
        return [f"{learner}: log loss {before.log_loss:.5f}, stays as it was"]
    after = counts[now]
    if after.log_loss > before.log_loss:
        console.print(f"this search did not pay: {learner} was better as it was", highlight=False)
    log_loss = f"log loss {before.log_loss:.5f} -> {after.log_loss:.5f}"
    return [f"{learner}: {log_loss}, AUC {before.auc:.4f} -> {after.auc:.4f}"]
