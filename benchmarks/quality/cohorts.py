"""The cohorts of a log with labels and issued probabilities, as the product's own backtest makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from features.catalogue import OFFSET
from features.layout import DAY_MS, gather
from features.view import return_statistics
from models.backtest import Backtest, Line
from models.cohorts import MILLION
from models.trainer import Trainer
from models.versions import COLUMNS
from streams.sources import SourceError, sorted_by_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from features.returns import ReturnHistogram
    from models.backtest import Step
    from models.parts import Matured, Part
    from models.trainer_config import TrainerConfig
    from streams.settings import Settings
    from streams.sources import Source

_OFFSET = COLUMNS.index(OFFSET)


@dataclass(frozen=True)
class JudgedCohort:
    """Everybody who was judged at one decision time, in rising order of `users` (salted 64-bit hash).

    `inputs` (n, d) are the vectors that were scored; `churned` (n,) the labels; `issued` each contender's
    probabilities (n,) as of then, and `champion` those of `leader`, who raised the alerts; `recency` (n,)
    days since the last purchase; `rhythm` (n, 3) x, t_x and T as in `features.returns`, and `customers` the
    same of all customers of the shop, active or not.
    """

    decision_time: int
    users: NDArray[np.uint64]
    inputs: NDArray[np.float32]
    churned: NDArray[np.bool_]
    issued: dict[str, NDArray[np.float64]]
    champion: NDArray[np.float64]
    leader: str
    recency: NDArray[np.uint16]
    rhythm: NDArray[np.int32]
    customers: ReturnHistogram

    def __len__(self) -> int:
        return len(self.users)

    @property
    def return_probability(self) -> NDArray[np.float64]:
        """BG/NBD's P(no purchase within the horizon) as issued, which speaks where nothing was learned."""
        return np.asarray(expit(self.inputs[:, _OFFSET].astype(np.float64)))


def collect(
    source: Source, settings: Settings, progress: Callable[[int], None] = lambda _: None
) -> list[JudgedCohort]:
    """Cohorts of `source` by decision time, each with its labels.

    A label window that ends behind the newest event has no labels: whether somebody came back there was
    not seen. Raises SourceError for a log that cannot be read or is shorter than the horizon.
    """
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    keeper = backtest.trainer = _Keeper(backtest.trainer.config)
    lines = (Line(*event) for event in sorted_by_time(source))
    for step in backtest.run(lines, progress):
        keeper.remember(step, backtest)
    horizon_ms = settings.model.horizon_days * DAY_MS
    seen = [each for each in keeper.judged if each.decision_time + horizon_ms <= backtest.newest]
    if not seen:
        raise SourceError(f"{source.name} is shorter than the horizon: it has no labels")
    return sorted(seen, key=lambda cohort: cohort.decision_time)


class _Keeper(Trainer):
    """The product's trainer, which keeps what it was given to learn."""

    def __init__(self, config: TrainerConfig) -> None:
        super().__init__(config)
        self.judged: list[JudgedCohort] = []
        self._customers: dict[int, ReturnHistogram] = {}
        self._rhythms: dict[int, tuple[NDArray[np.uint64], NDArray[np.int32]]] = {}

    def receive_part(self, part: Part) -> None:
        """Keep the cohorts, and learn them as ever."""
        self._customers[part.ts] = part.histogram
        self.judged += [self._judged(matured) for matured in part.matured if len(matured.cohort)]
        super().receive_part(part)

    def remember(self, step: Step, backtest: Backtest) -> None:
        """The buying rhythms of everybody judged at this step, for models of them."""
        assert backtest.core is not None
        rows = gather(backtest.core.table.rows, step.sweep.slots)
        order = np.argsort(rows["user_hash"], kind="stable")
        rhythm = np.stack(return_statistics(rows, step.ts), axis=1).astype(np.int32)
        self._rhythms[step.ts] = rows["user_hash"][order], rhythm[order]

    def _judged(self, matured: Matured) -> JudgedCohort:
        cohort = matured.cohort
        known, rhythm = self._rhythms.pop(cohort.decision_time)
        issued = {name: cohort.issued[:, i] / MILLION for i, name in enumerate(cohort.contenders)}
        return JudgedCohort(
            decision_time=cohort.decision_time,
            users=cohort.hashes,
            inputs=cohort.inputs,
            churned=matured.churned,
            issued=issued,
            champion=issued[cohort.champion],
            leader=cohort.champion,
            recency=cohort.recency,
            rhythm=rhythm[np.searchsorted(known, cohort.hashes)],
            customers=self._customers.pop(cohort.decision_time),
        )


def labels_of(cohorts: Sequence[JudgedCohort]) -> NDArray[np.bool_]:
    """The labels of all members, cohort after cohort."""
    return np.concatenate([cohort.churned for cohort in cohorts])
