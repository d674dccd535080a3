"""The pool: contenders averaged by what their issued probabilities were worth.

Exponentially weighted average forecasters under log loss with fixed share (Herbster & Warmuth, "Tracking the
best expert", Machine Learning 32, 1998): each decision time multiplies a contender's weight by
exp(-rate · its summed log loss) and then hands a share of all weights out evenly, so that nobody is written
off for good. The forecasts are averaged in log-odds (logarithmic opinion pool): as good here as an average of
probabilities, and its reasons stay additive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
import numpy as np

from models.scorers import PoolScorer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.progressive import ScoreCounts
    from models.scorers import MemberScorer

#: What a label counts for. Much less than one: cohorts overlap, and a customer's silence is judged each time.
RATE: Final = 0.05
#: Share of all weights that each decision time hands out evenly. After a change of regime the labels of a
#: whole horizon judge models as they were before it: the larger the share, the sooner those that have learned
#: it are heard again. On the public logs 0.2 costs nothing against 0.01.
SHARE: Final = 0.2


class Pool:
    """Weights of the `members`, learned from issued probabilities; even before the first label."""

    name: ClassVar[str] = "pool"

    def __init__(self, members: tuple[str, ...]) -> None:
        self.members = members
        self._weights = np.full(len(members), 1 / max(len(members), 1))

    @property
    def weights(self) -> dict[str, float]:
        """The weights by name; they add up to 1."""
        return dict(zip(self.members, self._weights.tolist(), strict=True))

    def learn(self, judged: Mapping[str, ScoreCounts]) -> None:
        """Take one decision time's labels with the probabilities that were issued for them, by contender.

        Where a member is missing (an older release, or other settings, issued them) nothing is learned.
        """
        counts = [judged[name] for name in self.members if name in judged]
        if len(counts) < len(self.members) or len({each.labels for each in counts}) != 1:
            return
        lost = RATE * np.array([each.log_loss * each.labels for each in counts])
        weights = self._weights * np.exp(lost.min() - lost)
        self._weights = (1 - SHARE) * weights / weights.sum() + SHARE / len(weights)

    def scorer(self, members: Mapping[str, MemberScorer]) -> PoolScorer:
        """The members' scorers with the weights of now."""
        return PoolScorer(
            names=self.members,
            members=tuple(members[name] for name in self.members),
            weights=tuple(self._weights.tolist()),
        )

    def state(self) -> bytes:
        """The weights as JSON."""
        return msgspec.json.encode(self.weights)

    def restore(self, state: bytes) -> None:
        """Go on from `state`; raises ValueError for one of other members."""
        kept = msgspec.json.decode(state, type=dict[str, float])
        if tuple(kept) != self.members:
            raise ValueError(f"the pool was of {list(kept)}, not {list(self.members)}")
        self._weights = np.array(list(kept.values()))
