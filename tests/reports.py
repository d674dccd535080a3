"""Reports on small hand-made figures, for tests of what is counted and of how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from features.catalogue import NAMES
from features.layout import DAY_MS
from models.calibration import Calibrator
from models.drift.told import Drift
from models.episodes import TIERS, Thresholds
from models.fairness import MINIMUM
from models.hindsight import Hindsight, Moment, Warned
from models.journal import Journal
from models.outlook import Outlook
from models.pool import Pool
from models.progressive import ScoreCounts
from models.record import CHAMPION, RECENCY_RULE, CohortQuality, Record
from models.report import Report, build
from models.rhythm import ShopRhythm
from models.trainer_config import TrainerConfig
from models.versions import COLUMNS
from tests.building import config, day, models_by

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Four days of horizon and a threshold of 0.6, as `tests.building.config` has them.
CONFIG = config()
TIMES = tuple(day(4 * i) for i in range(12))


#: Half of the customers usually order every nine days, and the horizon is four.
SLOW = ShopRhythm(customers=1_234, usual_gap=9.2, beyond_horizon=0.46, suggested_horizon=21)


@dataclass
class KnowingTrainer:
    """As much of a trainer as a report reads."""

    config: TrainerConfig = field(default_factory=lambda: TrainerConfig(partitions=1, horizon_days=4))
    record: Record = field(default_factory=Record)
    record_from: Record = field(default_factory=Record)
    quality: list[CohortQuality] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)
    stability: dict[str, float] = field(default_factory=dict)
    groups: dict[str, dict[str, ScoreCounts]] = field(default_factory=dict)
    hindsight: Hindsight = field(default_factory=Hindsight)
    labels: int = 0
    as_of: int | None = None
    champion: str = "pool"
    pool: Pool = field(default_factory=lambda: Pool(("additive", "second_order")))
    calibrator: Calibrator = field(default_factory=lambda: Calibrator("pool", 60))
    outlook: Outlook = field(default_factory=lambda: Outlook(TrainerConfig(partitions=1, horizon_days=4)))


def counts(outcomes: Mapping[float, tuple[int, int]]) -> ScoreCounts:
    """Issued probability → (who left, who stayed)."""
    points = sorted(outcomes)
    left, stayed = (np.array([outcomes[p][i] for p in points]) for i in (0, 1))
    return ScoreCounts(np.rint(np.array(points) * 1e6).astype(np.int64), left, stayed)


def warned(judged: ScoreCounts, thresholds: Thresholds | None = None) -> Warned:
    """Everybody at or above a threshold stands in an alert of the tier that begins there."""
    tiers = (thresholds or CONFIG.thresholds or Thresholds()).tiers(judged.probabilities)
    customers = judged.positives + judged.negatives
    columns = (customers, customers * judged.points, judged.positives)
    return Warned(*(np.bincount(tiers, each, len(TIERS)).astype(np.int64) for each in columns))


def looking_back(judged: ScoreCounts) -> Hindsight:
    """One decision time whose labels are known, with these."""
    return Hindsight([Moment(TIMES[9], warned(judged), judged)])


#: 1,000 labels of which 440 left; 400 were warned about, of whom 300 left.
JUDGED = counts({0.1: (40, 260), 0.4: (100, 200), 0.7: (200, 80), 0.9: (100, 20)})


def quality(ts: int, **by_name: tuple[float, float]) -> CohortQuality:
    champion = by_name.get(CHAMPION, (0.8, 0.5))
    return CohortQuality(ts, 100, 44, *champion, by_name)


def trainer(**changes: Any) -> KnowingTrainer:
    """A trainer that has learned 1,000 labels of two contenders, with drift and two groups."""
    names = ("additive", "second_order", "pool", CHAMPION, RECENCY_RULE)
    large = JUDGED.merge(JUDGED)
    known: dict[str, Any] = {
        "record": Record(dict.fromkeys(names, JUDGED)),
        "hindsight": looking_back(JUDGED),
        "quality": [quality(ts, **dict.fromkeys(names, (0.8, 0.5))) for ts in TIMES[:10]],
        "drifts": [
            Drift(
                at=TIMES[9], since=TIMES[5], what="loss", measure="page_hinkley", strength=0.1, level="large"
            ),
            Drift(
                at=TIMES[8], since=TIMES[7], what="gap_mean", measure="psi", strength=0.2, level="moderate"
            ),
        ],
        "stability": {"gap_mean": 0.2, "orders": 0.01, "spend_7d": 3.0},
        "groups": {"region": {"north": large, "<south> & $x$": JUDGED, "west": counts({0.5: (1, 1)})}},
        "labels": 1000,
    }
    return KnowingTrainer(**known | changes)


def journal(knowing: KnowingTrainer, shares: tuple[float, ...] = (0.2, 0.3)) -> Journal:
    """Ten customers at each decision time, of whom those of the first half were at risk by `shares[0]`."""
    found = Journal(CONFIG.thresholds)
    for i, ts in enumerate(TIMES):
        risky = round(10 * shares[i * len(shares) // len(TIMES)])
        found.issued(ts, np.array([0.85] * risky + [0.2] * (10 - risky)))
        if knowing.labels:
            knowing.as_of, knowing.champion = ts, "pool" if i < 6 else "additive"
            found.learned(knowing)  # type: ignore[arg-type]
    return found


def report(
    knowing: KnowingTrainer | None = None,
    shares: tuple[float, ...] = (0.2, 0.3),
    rhythm: ShopRhythm | None = SLOW,
    **changes: Any,
) -> Report:
    """A report on it; `shares` at risk over time, see `journal`."""
    knowing = trainer() if knowing is None else knowing
    vectors = np.zeros((3, len(COLUMNS)), np.float32)
    vectors[:, NAMES.index("days_since_purchase")] = [0, 1, 2]
    known: dict[str, Any] = {
        "journal": journal(knowing, shares),
        "probabilities": np.array([0.85] * 3 + [0.2] * 7),
        "inputs": vectors,
        "live": False,
    }
    models = msgspec.structs.replace(models_by({1: 0.2, 30: 0.8}), rhythm=rhythm)
    return build("shop", CONFIG, knowing, models=models, **known | changes)  # type: ignore[arg-type]


def nothing_yet() -> Report:
    """Before the first decision time."""
    return report(
        KnowingTrainer(),
        journal=Journal(CONFIG.thresholds),
        probabilities=np.zeros(0),
        inputs=np.zeros((0, len(COLUMNS)), np.float32),
    )


def warming_up() -> Report:
    """Customers were judged, and no outcome is known."""
    return report(KnowingTrainer())


#: Only there so that the groups above have their sizes for a reason.
assert MINIMUM == 100
assert (TIMES[1] - TIMES[0]) // DAY_MS == 4
