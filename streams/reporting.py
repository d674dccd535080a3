"""`churnwatch report`: its figures, from a backtest or from the topics of a running system."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from features.clock import BEGINNING
from models.backtest import Backtest
from models.journal import Journal
from models.report import Report, build
from models.versions import COLUMNS
from streams.backtesting import steps_of
from streams.reading import read_models, scan
from streams.relearning import Relearning, Scores

if TYPE_CHECKING:
    from rich.console import Console

    from streams.settings import Settings
    from streams.sources import Source


def backtest_figures(settings: Settings, source: Source, console: Console) -> Report:
    """Judge `source` and report on it; raises SourceError when the log cannot be read."""
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    journal = Journal(backtest.config.thresholds)
    probabilities, inputs = np.zeros(0), np.zeros((0, len(COLUMNS)), np.float32)
    models = settings.trainer().initial(BEGINNING)
    for step in steps_of(backtest, source, console):
        journal.issued(step.ts, step.probabilities, thresholds=step.models.thresholds)
        journal.learned(backtest.trainer)
        models = step.models
        if len(step.probabilities):
            assert backtest.core is not None
            probabilities, inputs = step.probabilities, backtest.core.cohorts[step.ts].inputs
    return build(
        source.name, backtest.config, backtest.trainer, journal, models, probabilities, inputs, live=False
    )


def _take_score(scores: Scores, partition: int, record: Any) -> None:
    scores.take(partition, record.key, record.value)


async def live_figures(settings: Settings, console: Console) -> Report:
    """Report on the deployment of `settings`; nothing is written to the broker.

    Raises KafkaError when the broker cannot be read and NonFiniteError when a learner diverges.
    """
    config = settings.core()
    again, scores = Relearning(config, settings.trainer()), Scores(config.grid.every_days)
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("learning again", total=None)

        def learn(record: Any) -> None:
            again.take(record.value)
            bar.update(task, description=f"learning again: {again.trainer.labels:,} labels")

        await scan(settings, "examples", 0, learn)
        bar.update(task, description="reading scores")
        for partition in range(settings.kafka.partitions):
            await scan(settings, "scores", partition, partial(_take_score, scores, partition))
    if again.refused:
        console.print(f"examples that cannot be learned from: {again.refused:,}", highlight=False)
    ts, probabilities = scores.newest()
    models = await read_models(settings)
    again.journal.issued(ts, probabilities, thresholds=models.thresholds)
    name = settings.kafka.group
    return build(name, config, again.trainer, again.journal, models, probabilities, again.inputs, live=True)
