"""The search for a learner's settings: optuna, with a study that outlives the process.

A trial's sampler is made from the number of trials before it and from nothing else, so a search that was
interrupted and resumed ends where one that was not would have ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from models.learners.space import Range
from models.scorers import NonFiniteError
from models.tuning import grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from models.learners.space import Dimension, Point

Method = Literal["bayes", "random", "grid"]
#: A trial that was finished; one that was interrupted is tried again. A learner that diverged is pruned.
_FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED)

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Found(NamedTuple):
    """The best settings so far and their log loss, after so many `trials`; None before any had one."""

    trials: int
    settings: dict[str, Any] | None
    log_loss: float


def storage_in(path: Path) -> BaseStorage:
    """The studies of the SQLite file `path`, which is made if it is not there."""
    return optuna.storages.RDBStorage(f"sqlite:///{path}")


class Search:
    """A search through `space` that is kept in `storage` under `name`; `name` must tell what is minimised.

    `trials` bound it, those of earlier runs included; a grid ends when it is through. Raises ValueError for
    a grid that `trials` do not suffice for.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        space: Mapping[str, Dimension],
        method: Method,
        *,
        trials: int,
        seed: int = 0,
    ) -> None:
        self._space, self._method, self._seed = space, method, seed
        self._grid = grid(space, trials) if method == "grid" else []
        self.trials = len(self._grid) or trials
        self._distributions = {name: _distribution(each) for name, each in space.items()}
        self._study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            # Its process is gone, and a sampler would believe that it still runs.
            self._study.tell(trial.number, state=TrialState.FAIL)

    def run(self, objective: Callable[[Mapping[str, Any]], float]) -> Iterator[Found]:
        """Try settings until all trials are through; yields what is found so far before and after each."""
        while True:
            found = self.found()
            yield found
            if found.trials >= self.trials:
                return
            self._try(found.trials, objective)

    def found(self) -> Found:
        """The best of all trials so far, the earlier of equals."""
        finished = self._study.get_trials(deepcopy=False, states=_FINISHED)
        judged = [trial for trial in finished if trial.state == TrialState.COMPLETE]
        if not judged:
            return Found(len(finished), None, float("inf"))
        best = min(judged, key=_log_loss)
        return Found(len(finished), self._settings(best.params), _log_loss(best))

    def _try(self, number: int, objective: Callable[[Mapping[str, Any]], float]) -> None:
        self._study.sampler = self._sampler(number)
        trial = self._study.ask(self._distributions)
        try:
            log_loss = objective(self._settings(trial.params))
        except NonFiniteError:
            self._study.tell(trial, state=TrialState.PRUNED)
        except BaseException:
            self._study.tell(trial, state=TrialState.FAIL)
            raise
        else:
            self._study.tell(trial, log_loss)

    def _settings(self, point: Mapping[str, Point]) -> dict[str, Any]:
        return {name: dimension.value(point[name]) for name, dimension in self._space.items()}

    def _sampler(self, number: int) -> BaseSampler:
        if self._method == "grid":
            return _Given(self._grid[number])
        seed = self._seed + number
        return TPESampler(seed=seed) if self._method == "bayes" else RandomSampler(seed=seed)


class _Given(BaseSampler):
    """Samples the point given. Optuna's own grid takes an interrupted trial's point for visited."""

    def __init__(self, point: Mapping[str, Point]) -> None:
        self._point = point

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        return {}

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        return self._point[param_name]


def _distribution(dimension: Dimension) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension.labels)
    if dimension.whole:
        return IntDistribution(round(dimension.low), round(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _log_loss(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value
