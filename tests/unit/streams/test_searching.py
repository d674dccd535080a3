"""Searches: what is tried, what is kept, and how an interrupted one goes on."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

optuna = pytest.importorskip("optuna")

from models.learners.space import Choice, Range  # noqa: E402
from models.scorers import NonFiniteError  # noqa: E402
from streams.searching import Search  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.storages import BaseStorage

    from streams.searching import Method

SPACE = {"rate": Range(1e-4, 1.0, log=True), "depth": Range(1, 5, whole=True), "knots": Choice(((), (0.0,)))}


class Objective:
    """Best at a rate of 0.01 and a depth of 3; remembers what it was asked."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._interrupt_at = interrupt_at

    def __call__(self, settings: Mapping[str, Any]) -> float:
        if len(self.asked) == self._interrupt_at:
            raise KeyboardInterrupt
        self.asked.append(dict(settings))
        return abs(settings["rate"] - 0.01) + abs(settings["depth"] - 3)


def storage() -> BaseStorage:
    return optuna.storages.InMemoryStorage()


def search(kept: BaseStorage, method: Method = "random", trials: int = 9, **more: Any) -> Search:
    return Search(kept, "goal", SPACE, method, trials=trials, **more)


@pytest.mark.parametrize("method", ["random", "bayes", "grid"])
def test_an_interrupted_search_goes_on_as_if_nothing_had_happened(method: Method):
    whole, first, then = Objective(), Objective(interrupt_at=4), Objective()
    expected = list(search(storage(), method, 15).run(whole))
    kept = storage()

    with pytest.raises(KeyboardInterrupt):
        list(search(kept, method, 15).run(first))
    found = list(search(kept, method, 15).run(then))

    assert first.asked + then.asked == whole.asked
    assert found[0].trials == 4
    assert found[-1] == expected[-1]


def test_a_trial_whose_process_was_killed_is_tried_again():
    kept, objective = storage(), Objective()
    list(islice(search(kept, "grid", 8).run(objective), 3))
    optuna.load_study(study_name="goal", storage=kept).ask()

    (*_, last) = search(kept, "grid", 8).run(objective)

    assert last.trials == len(objective.asked) == 8


def test_more_trials_go_on_from_those_that_there_are():
    kept, objective = storage(), Objective()
    list(search(kept, trials=3).run(objective))
    list(search(kept, trials=5).run(objective))

    assert len(objective.asked) == 5
    assert list(search(kept, trials=5).run(objective)) == [search(kept, trials=5).found()]


def test_a_grid_tries_every_point_once_and_ends():
    objective = Objective()
    (*_, last) = search(storage(), "grid", 10).run(objective)

    assert last.trials == len(objective.asked) == 8
    assert len({str(each) for each in objective.asked}) == 8


def test_settings_come_in_their_own_types():
    objective = Objective()
    list(search(storage(), trials=20).run(objective))

    for each in objective.asked:
        assert 1e-4 <= each["rate"] <= 1.0
        assert each["depth"] in range(1, 6)
        assert each["knots"] in [(), (0.0,)]


def test_the_best_is_what_was_asked_when_the_least_was_lost():
    objective = Objective()
    (*_, last) = search(storage(), trials=20).run(objective)

    assert last.log_loss == min(Objective()(each) for each in objective.asked)
    assert last.settings in objective.asked


def test_a_learner_that_diverges_is_a_trial_without_a_result():
    def diverge(_: Mapping[str, Any]) -> float:
        raise NonFiniteError("the weights")

    (*_, last) = search(storage(), trials=3).run(diverge)

    assert (last.trials, last.settings) == (3, None)


def test_another_seed_tries_something_else():
    one, other = Objective(), Objective()
    list(search(storage(), trials=2, seed=0).run(one))
    list(search(storage(), trials=2, seed=100).run(other))

    assert one.asked != other.asked
