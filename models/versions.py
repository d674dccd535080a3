"""Model versions: what the trainer publishes as of a decision time and workers score with.

One record per contender (`version/<name>/<number>`) and then one for all (`champion`), so a worker that
has read a `champion` record has read every version it names. JSON throughout; scorers refuse non-finite
numbers while decoding, so a broken version never reaches a customer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from scipy.special import expit

from features.catalogue import NAMES, OFFSET
from features.returns import PRIOR, ReturnModel
from models.scorers import LinearScorer, PoolScorer, Scorer
from models.signing import check_signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

#: Column of the model inputs behind the catalogue: 1 where a command really reached the customer.
TREATED: Final = "treated"
#: All columns a learner sees, in order.
COLUMNS: Final = (*NAMES, TREATED)
CHAMPION_KEY: Final = b"champion"


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

    Raises ValueError when the champion does not contend.
    """

    champion: str
    number: int
    as_of: int
    labels: int
    contenders: tuple[str, ...]
    returns: ReturnModel

    def __post_init__(self) -> None:
        if self.champion not in self.contenders:
            raise ValueError(f"the champion {self.champion!r} is not among the contenders")


class ModelSet(msgspec.Struct, frozen=True, kw_only=True):
    """The models in force as of a decision time: everything a sweep needs."""

    as_of: int
    number: int
    champion: str
    labels: int
    scorers: dict[str, Scorer]
    returns: ReturnModel

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
    """Version 0: before any part was received the return probability with its published prior speaks."""
    return ModelSet(
        as_of=as_of,
        number=0,
        champion=champion,
        labels=0,
        scorers=dict.fromkeys(contenders, return_scorer()),
        returns=PRIOR,
    )


class VersionReader:
    """Builds model sets from the records of the `models` topic, in log order.

    With a `secret` only what is signed with it is read, tombstones too.
    """

    def __init__(self, secret: bytes = b"") -> None:
        self._secret = secret
        self._versions: dict[bytes, VersionRecord] = {}
        self.latest: ModelSet | None = None

    def read(self, key: bytes, value: bytes | None, signed: bytes | None = None) -> ModelSet | None:
        """Take one record and its signature, if any; returns the new model set when it completes one.

        Raises SignatureError, msgspec.ValidationError or DecodeError for a record that is no sound version
        (the models in force stay), KeyError when a champion names a version that was not read.
        """
        if self._secret:
            check_signature(signed, key, value, self._secret)
        if value is None:
            self._versions.pop(key, None)
            return None
        if key != CHAMPION_KEY:
            self._versions[key] = msgspec.json.decode(value, type=VersionRecord)
            return None
        chosen = msgspec.json.decode(value, type=ChampionRecord)
        versions = {name: self._versions[version_key(name, chosen.number)] for name in chosen.contenders}
        self.latest = ModelSet(
            as_of=chosen.as_of,
            number=chosen.number,
            champion=chosen.champion,
            labels=chosen.labels,
            scorers={name: version.scorer for name, version in versions.items()},
            returns=chosen.returns,
        )
        return self.latest


def records(models: ModelSet, states: dict[str, bytes], keep: int) -> Iterator[tuple[bytes, bytes | None]]:
    """The `models` records that publish a set, tombstones of what falls out of the last `keep` included."""
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
    champion = ChampionRecord(
        champion=models.champion,
        number=models.number,
        as_of=models.as_of,
        labels=models.labels,
        contenders=models.contenders,
        returns=models.returns,
    )
    yield CHAMPION_KEY, msgspec.json.encode(champion)
    if models.number > keep:
        for name in models.scorers:
            yield version_key(name, models.number - keep), None
