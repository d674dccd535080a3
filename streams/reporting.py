"""`churnwatch report`: figures from a backtest or from the topics of a live deployment, then the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.backtest import Backtest
from models.journal import Journal
from models.report import Report, build
from models.versions import COLUMNS
from streams.backtesting import steps

if TYPE_CHECKING:
    from rich.console import Console

    from streams.settings import Settings
    from streams.sources import Source


def backtest_figures(settings: Settings, source: Source, console: Console) -> Report:
    """Judge `source` and report on it; raises SourceError when the log cannot be read."""
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    journal = Journal(settings.core().thresholds)
    probabilities, inputs = np.zeros(0), np.zeros((0, len(COLUMNS)), np.float32)
    for step in steps(backtest, source, console):
        journal.issued(step.ts, step.probabilities)
        journal.learned(backtest.trainer)
        if len(step.probabilities):
            assert backtest.core is not None
            probabilities, inputs = step.probabilities, backtest.core.cohorts[step.ts].inputs
        models = step.models
    return build(
        source.name, backtest.config, backtest.trainer, journal, models, probabilities, inputs, live=False
    )
