"""Model versions: what the trainer publishes as of a decision time and workers score with.

One record per contender (`version/<name>/<number>`) and then one for all, which names who leads: under
`champion/<number>`, by which the set can be brought back, and under `champion`, the newest. So a worker that
has read such a record has read every version it names. JSON throughout; scorers refuse non-finite numbers
while decoding, so a broken version never reaches a customer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from scipy.special import expit

from features.catalogue import NAMES, OFFSET
from features.returns import UNSEEN, ReturnModel
from models.closings import Run
from models.episodes import Thresholds
from models.guard import Hold
from models.overrides import Promotion
from models.rhythm import ShopRhythm
from models.scorers import LinearScorer, PoolScorer, Scorer
from models.seasons import Seasons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Columns of the model inputs behind the catalogue: what the time of year did to the shop (`models.seasons`),
#: and 1 where a command really reached the customer.
SEASON: Final = "season"
TREATED: Final = "treated"
#: All columns a learner sees, in order.
COLUMNS: Final = (*NAMES, SEASON, TREATED)
#: What is the same for all customers of a decision time.
SHOP_WIDE: Final = frozenset({SEASON})
#: Columns that came after the first release, in the order of `COLUMNS`: in vectors stored before they are 0.
ADDED: Final = (SEASON,)
CHAMPION_KEY: Final = b"champion"


def filled(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stored vectors (n, d) as this release has them: what an older one lacked is 0; others as they are."""
    if inputs.shape[1] != len(COLUMNS) - len(ADDED):
        return inputs
    return np.insert(inputs, [COLUMNS.index(name) - i for i, name in enumerate(ADDED)], 0, axis=1)


class VersionRecord(msgspec.Struct, kw_only=True):
    """One contender's model as of `as_of` (epoch ms). `state` is its learner's portable state, if any.

    Raises ValueError for a scorer of other columns than this code computes.
    """

    name: str
    number: int
    as_of: int
    labels: int
    scorer: Scorer
    state: str | None = None

    def __post_init__(self) -> None:
        if self.scorer.columns != COLUMNS:
            raise ValueError("the version was learned from another catalogue of features")


class ChampionRecord(msgspec.Struct, kw_only=True):
    """Which versions belong together as of a decision time, and who of them raises alerts.

    `promoted` is the last promotion by then, if there was one; `tiers` to `seasons` as in `ModelSet`.
    Raises ValueError when the champion does not contend.
    """

    champion: str
    number: int
    as_of: int
    labels: int
    contenders: tuple[str, ...]
    returns: ReturnModel
    promoted: Promotion | None = None
    tiers: dict[str, Thresholds] = {}
    panel: float = 1.0
    rhythm: ShopRhythm | None = None
    closed: tuple[Run, ...] = ()
    hold: Hold | None = None
    seasons: Seasons = Seasons()

    def __post_init__(self) -> None:
        if self.champion not in self.contenders:
            raise ValueError(f"the champion {self.champion!r} is not among the contenders")


class ModelSet(msgspec.Struct, frozen=True, kw_only=True):
    """The models in force as of a decision time: everything a sweep needs.

    Raises ValueError when the champion does not contend.
    """

    as_of: int
    number: int
    champion: str
    labels: int
    scorers: dict[str, Scorer]
    returns: ReturnModel
    #: Who took the lead last, if anybody did.
    promoted: Promotion | None = None
    #: Where each contender's risk tiers begin by the capacity; empty before anybody was active, and where
    #: they are fixed.
    tiers: dict[str, Thresholds] = {}
    #: From which share of the customers the next panel is drawn.
    panel: float = 1.0
    #: How often customers of the shop order, over all partitions; None while nobody came a second time.
    rhythm: ShopRhythm | None = None
    #: When the shop was closed, or will be, as far as is known: silence then is no evidence.
    closed: tuple[Run, ...] = ()
    #: Why nobody new is alarmed, while the last step is not believable.
    hold: Hold | None = None
    #: What the time of year did to the shop.
    seasons: Seasons = Seasons()

    def __post_init__(self) -> None:
        if self.champion not in self.scorers:
            raise ValueError(f"the champion {self.champion!r} is not among the contenders")

    @property
    def thresholds(self) -> Thresholds | None:
        """Where the champion's risk tiers begin, if `tiers` say it."""
        return self.tiers.get(self.champion)

    @property
    def contenders(self) -> tuple[str, ...]:
        """Names of all scorers, in the order of issued probabilities."""
        return tuple(self.scorers)

    def probabilities(self, X: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
        """P(churn) (n,) of the rows of `X` by every contender; what pools need of their members is kept."""
        known: dict[str, NDArray[np.float64]] = {}
        for name, scorer in self.scorers.items():
            if isinstance(scorer, PoolScorer) and known.keys() >= set(scorer.names):
                known[name] = scorer.pooled(known)
            else:
                known[name] = scorer.log_odds(X)
            yield expit(known[name])


def version_key(name: str, number: int) -> bytes:
    """Kafka key of a version."""
    return f"version/{name}/{number}".encode()


def champion_key(number: int) -> bytes:
    """Kafka key under which the champion of a version set is kept."""
    return f"champion/{number}".encode()


def return_scorer() -> Scorer:
    """What speaks before the first label: the log-odds of the return probability as they are."""
    return LinearScorer(
        columns=COLUMNS,
        intercept=0.0,
        weights=tuple(float(name == OFFSET) for name in COLUMNS),
        mean=(0.0,) * len(COLUMNS),
        scale=(0.0,) * len(COLUMNS),
        raw=frozenset({OFFSET, TREATED}),
    )


def initial_models(champion: str, contenders: tuple[str, ...], as_of: int) -> ModelSet:
    """Version 0: before any part was received nothing is known, and one in two is said of everybody."""
    return ModelSet(
        as_of=as_of,
        number=0,
        champion=champion,
        labels=0,
        scorers=dict.fromkeys(contenders, return_scorer()),
        returns=UNSEEN,
    )


def records(models: ModelSet, states: dict[str, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The `models` records that publish a set, in the order in which they must stand there."""
    for name, scorer in models.scorers.items():
        state = states.get(name)
        version = VersionRecord(
            name=name,
            number=models.number,
            as_of=models.as_of,
            labels=models.labels,
            scorer=scorer,
            state=state.decode() if state is not None else None,
        )
        yield version_key(name, models.number), msgspec.json.encode(version, order="deterministic")
    champion = msgspec.json.encode(
        ChampionRecord(
            champion=models.champion,
            number=models.number,
            as_of=models.as_of,
            labels=models.labels,
            contenders=models.contenders,
            returns=models.returns,
            promoted=models.promoted,
            tiers=models.tiers,
            panel=models.panel,
            rhythm=models.rhythm,
            closed=models.closed,
            hold=models.hold,
            seasons=models.seasons,
        )
    )
    yield champion_key(models.number), champion
    yield CHAMPION_KEY, champion
