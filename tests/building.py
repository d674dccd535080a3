"""Small builders for tests of the pure core: messages, cores, models that say what they are told."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from features.catalogue import OFFSET
from features.decoding import EventDecoder
from features.grid import DecisionGrid
from features.inputs import TOPIC_OF
from features.layout import DAY_MS, TOPICS
from features.money import Currencies
from features.observing import BY_BROKER, REPLAY_HEADER, Record
from features.returns import PRIOR, ReturnHistogram, ReturnModel
from models import sweeping
from models.alerts import Alert
from models.config import CoreConfig
from models.core import PartitionCore
from models.episodes import Thresholds
from models.scorers import LinearScorer
from models.versions import COLUMNS, TREATED, ModelSet, initial_models

if TYPE_CHECKING:
    from models.cohorts import Cohort
    from models.parts import Part
    from models.sweeping import Sweep
    from models.taking import Observed

#: A midnight, and a decision time of every grid in the tests.
START = 19_000 * DAY_MS
HOUR_MS = DAY_MS // 24

#: They keep nothing from one message to the next, and take longer to make than a core.
DECODERS = {topic: EventDecoder(topic) for topic in TOPICS}

_ids = itertools.count()


def day(number: float) -> int:
    """Epoch ms of so many days after START."""
    return START + round(number * DAY_MS)


def config(**changes: Any) -> CoreConfig:
    """A small core: daily grid, four days of horizon, ten of activity, no lateness, no minimum of labels."""
    defaults: dict[str, Any] = {
        "horizon_days": 4,
        "active_within_days": 10,
        "grid": DecisionGrid(1, START),
        "lateness_ms": 0,
        "thresholds": Thresholds(0.6, 0.8, 0.9, 0.1),
        "min_labels": 0,
        "evict_after_days": 30,
        "mode": "live",
    }
    return CoreConfig(**defaults | changes)


#: The replay session of the tests, whose ticks are believed whenever they come.
SESSION = "session"


def core(settings: CoreConfig | None = None, partition: int = 0) -> PartitionCore:
    """An empty core."""
    return PartitionCore(
        partition, settings or config(), DECODERS, Currencies().micros, lambda session, _: session == SESSION
    )


def event(name: str, user: str, ts: int, **fields: Any) -> dict[str, Any]:
    """A message of type `name`; what it needs besides and is not given is filled in."""
    number = next(_ids)
    needed = {
        "purchase": {"transaction_id": f"transaction-{number}", "value": 10.0, "currency": "EUR"},
        "refund": {"transaction_id": f"transaction-{number}", "value": 5.0, "currency": "EUR"},
        "cancel": {"transaction_id": f"transaction-{number}"},
        "survey": {"score": 5.0},
    }
    defaults = needed.get(name, {"command_id": f"c{number}"} if TOPIC_OF[name] == "outcomes" else {})
    return {"type": name, "event_id": f"e{number}", "user_id": user, "ts": ts, **defaults, **fields}


def tick(ts: int, session: str = SESSION) -> dict[str, Any]:
    """A promise that nothing before `ts` follows."""
    return {"type": "tick", "ts": ts, "session": session}


def record(offset: int, payload: dict[str, Any], *, replayed: bool = False) -> Record:
    """A Kafka record of a message, appended when what it tells of happened."""
    user = payload.get("user_id")
    headers = ((REPLAY_HEADER, b"1"),) if replayed else ()
    key = user.encode() if user else None
    return Record(offset, key, msgspec.json.encode(payload), payload.get("ts", START), headers, BY_BROKER)


class Feed:
    """Gives every message the next offset of its topic and shows it to a core."""

    def __init__(self, target: PartitionCore, *, replayed: bool = False) -> None:
        self.core = target
        self.replayed = replayed
        self._offsets: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)

    @property
    def replayed(self) -> bool:
        """Whether what comes is history: its records say so, and a replay session is open."""
        return self._replayed

    @replayed.setter
    def replayed(self, replayed: bool) -> None:
        self._replayed = replayed
        self.core.attend(SESSION if replayed else "")

    def __call__(self, *payloads: dict[str, Any]) -> Observed:
        """One poll; all messages must belong to one topic."""
        (topic,) = {TOPIC_OF[payload["type"]] for payload in payloads}
        return self.poll(topic, *payloads)

    def poll(self, topic: str, *payloads: dict[str, Any]) -> Observed:
        """One poll of `topic`."""
        offsets = self._offsets[topic]
        return self.core.observe(topic, [record(next(offsets), p, replayed=self.replayed) for p in payloads])

    def buys(self, user: str, *days: float) -> Observed:
        """Purchases, `days` after START."""
        return self(*(event("purchase", user, day(number)) for number in days))

    def until(self, ts: int) -> None:
        """Tick on every topic."""
        for topic in TOPICS:
            self.poll(topic, tick(ts))

    def decide(self, ts: int, models: ModelSet, *, act: bool = True) -> list[tuple[Part, Sweep]]:
        """Let time pass until `ts` and take every decision time that is due by then."""
        if self.core.watermark() < ts:
            self.until(ts)
        taken = []
        while (due := self.core.due(ts)) is not None:
            taken.append(
                (sweeping.mature(self.core, due, models), sweeping.sweep(self.core, due, models, act=act))
            )
        return taken


def constant_models(probability: float, *, labels: int = 10_000, number: int = 1) -> ModelSet:
    """Models that give every customer the same probability."""
    return models_of(_linear(float(np.log(probability / (1 - probability)))), labels=labels, number=number)


def models_by(probabilities: dict[float, float]) -> ModelSet:
    """Models that tell customers apart by days since their last purchase: two points make the line."""
    (near, p), (far, q) = sorted(probabilities.items())
    (a, b) = np.log([p / (1 - p), q / (1 - q)])
    x, y = np.log1p([near, far])
    slope = (b - a) / (y - x)
    return models_of(_linear(float(a - slope * x), days_since_purchase=float(slope)))


def _linear(intercept: float, **weights: float) -> LinearScorer:
    ones = tuple(float(name in weights) for name in COLUMNS)
    return LinearScorer(
        columns=COLUMNS,
        intercept=intercept,
        weights=tuple(weights.get(name, 0.0) for name in COLUMNS),
        mean=(0.0,) * len(COLUMNS),
        scale=ones,
        raw=frozenset({OFFSET, TREATED}),
        clip=100.0,
    )


def models_of(scorer: LinearScorer, *, labels: int = 10_000, number: int = 1) -> ModelSet:
    """A model set of one contender."""
    return ModelSet(
        as_of=START,
        number=number,
        champion="logistic",
        labels=labels,
        scorers={"logistic": scorer},
        returns=PRIOR,
    )


def return_models(*contenders: str) -> ModelSet:
    """Before the first label, the return probability speaks: of a shop that is known for long."""
    names = contenders or ("logistic",)
    return msgspec.structs.replace(initial_models(names[0], names, START), returns=PRIOR)


def quick_fit(histogram: ReturnHistogram, _start: ReturnModel) -> ReturnModel:
    """Stands in for the fit: not the best model, but one that differs with every customer in or out."""
    _, x, t_x, age = (histogram.sums.sum(axis=0) / max(histogram.customers, 1)).tolist()
    return ReturnModel(PRIOR.r + x, PRIOR.alpha + age, PRIOR.a, PRIOR.b + t_x)


def alerts(target: PartitionCore) -> list[Alert]:
    """Everything that waits to be published, by customer."""
    return [decoded(each.value) for _, found in sorted(target.pending.items()) for each in found]


def decoded(value: bytes) -> Alert:
    """An alert from its JSON."""
    return msgspec.json.decode(value, type=Alert)


def outputs(target: PartitionCore) -> list[tuple[str, bytes]]:
    """(customer, alert) of everything that the last write allows to publish, as the engine asks for it."""
    return [
        (user, each.value)
        for user, found in sorted(target.pending.items())
        for each in found
        if each.seq <= target.seq
    ]


def members(cohort: Cohort, target: PartitionCore) -> set[str]:
    """User ids of a cohort."""
    return {user for user in target.table.index if np.uint64(target.hash(user)) in cohort.hashes}


def labels(part: Part, target: PartitionCore) -> dict[tuple[int, str], bool]:
    """Labels of a part by (days after START, user id)."""
    users = {target.hash(user): user for user in target.table.index}
    return {
        ((matured.cohort.decision_time - START) // DAY_MS, users[code]): bool(churned)
        for matured in part.matured
        for code, churned in zip(matured.cohort.hashes.tolist(), matured.churned.tolist(), strict=True)
    }
