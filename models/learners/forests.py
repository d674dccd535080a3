"""Many Hoeffding trees that learn different samples of the same labels: a forest and a bag, both River's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from models.learners.hoeffding import HoeffdingLearner, HoeffdingTree, river_tree, root_of
from models.learners.space import Dimension, Range
from models.scorers import EnsembleScorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Forest(HoeffdingLearner):
    """Trees whose log-odds are averaged, each with the same weight."""

    def _roots(self) -> list[Any]:
        # River's forest has no tree before its first label.
        return [root_of(each) for each in self._river] or [None]

    def scorer(self) -> EnsembleScorer:
        """The trees of now."""
        trees, leaves = self._flattened()
        return EnsembleScorer(columns=self.columns, offset=self.offset, trees=trees, leaves=leaves)


class AdaptiveRandomForest(_Forest):
    """Adaptive random forest (Gomes et al. 2017), its trees' log-odds averaged; see `HoeffdingLearner`.

    Each of `trees` trees weighs a label by a Poisson draw of mean `resampling`, and each leaf looks at a
    random few of the columns. A tree whose errors rise (ADWIN) is replaced by one that began to grow in the
    background at the first warning. Equal weights instead of River's vote by accuracy, which says little
    about probabilities and would make contributions inexact.
    """

    name: ClassVar[str] = "adaptive_random_forest"
    space: ClassVar[Mapping[str, Dimension]] = {**HoeffdingTree.space, "resampling": Range(1, 12, whole=True)}

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        splits_on: Sequence[str] | None = None,
        trees: int = 5,
        resampling: int = 6,
        grace_period: int = 200,
        max_depth: int = 6,
        prior_strength: float = 1000.0,
        seed: int = 0,
    ) -> None:
        from river import forest  # noqa: PLC0415 - see `models.learners`

        river = forest.ARFClassifier(
            n_models=trees,
            lambda_value=resampling,
            # River counts weights, not labels.
            grace_period=grace_period * resampling,
            max_depth=max_depth,
            leaf_prediction="mc",
            binary_split=True,
            seed=seed,
        )
        super().__init__(
            columns,
            river,
            offset=offset,
            splits_on=splits_on,
            prior_strength=prior_strength,
            label_weight=resampling,
        )


class Bagging(_Forest):
    """Online bagging of Hoeffding trees with ADWIN (Oza & Russell 2001; Bifet et al. 2009, 2010).

    Each of `trees` trees learns a label as often as a Poisson draw of mean 1 says; when the errors of one
    rise, the worst tree begins anew. This is River's leveraging bagging with a mean of 1 instead of 6, for
    River's ADWIN bagging (0.26) gives ADWIN the hits for errors, and so throws its best tree away.
    """

    name: ClassVar[str] = "bagging"
    space: ClassVar[Mapping[str, Dimension]] = HoeffdingTree.space

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        splits_on: Sequence[str] | None = None,
        trees: int = 5,
        grace_period: int = 200,
        max_depth: int = 6,
        prior_strength: float = 1000.0,
        seed: int = 0,
    ) -> None:
        from river import ensemble  # noqa: PLC0415 - see `models.learners`

        one = river_tree().HoeffdingTreeClassifier(
            grace_period=grace_period, max_depth=max_depth, leaf_prediction="mc", binary_split=True
        )
        river = ensemble.LeveragingBaggingClassifier(one, n_models=trees, w=1, seed=seed)
        super().__init__(columns, river, offset=offset, splits_on=splits_on, prior_strength=prior_strength)
