"""Cohorts of the quality comparison are the product's own, with labels only where the log still was."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.quality.cases import ClassicCdnow, epoch_ms, known
from benchmarks.quality.cohorts import collect
from benchmarks.quality.tmall import Tmall
from features.decoding import EventDecoder
from features.hashing import salted_hash
from features.layout import DAY_MS
from streams.settings import load
from streams.sources import SourceError, SourceEvent
from tests.building import START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HORIZON, ACTIVE, DAYS = 10, 30, 60
#: Customers who buy every so many days.
RHYTHM = {"weekly": 7, "monthly": 29, "once": 100}


@dataclass(frozen=True)
class Shop:
    """A log of purchases at noon."""

    days: int = DAYS
    name: str = "shop"
    ordered: bool = True

    def __iter__(self) -> Iterator[SourceEvent]:
        for day in range(self.days):
            for user, every in RHYTHM.items():
                if day % every == 0:
                    yield purchase(user, day)


def purchase(user: str, day: int) -> SourceEvent:
    ts, number = START + day * DAY_MS + DAY_MS // 2, f"{user}-{day}"
    item = {"item_id": "i", "price": 1.0, "quantity": 1}
    event = {"type": "purchase", "event_id": number, "transaction_id": number, "user_id": user, "ts": ts}
    event |= {"value": 1.0, "currency": "EUR", "items": [item]}
    return SourceEvent("orders", user, ts, json.dumps(event).encode())


SETTINGS = load(None, model={"horizon_days": HORIZON, "active_within_days": ACTIVE, "every_days": 7})


def test_every_label_is_what_happened_and_no_window_reaches_behind_the_log():
    cohorts = collect(Shop(), SETTINGS)
    names = {salted_hash(user, SETTINGS.core().salt): user for user in RHYTHM}
    newest = max(event.ts for event in Shop())

    assert [c.decision_time for c in cohorts] == [
        t for t in range(START + 7 * DAY_MS, newest, 7 * DAY_MS) if t + HORIZON * DAY_MS <= newest
    ]
    for each in cohorts:
        day = (each.decision_time - START) // DAY_MS
        for user, churned in zip(each.users.tolist(), each.churned.tolist(), strict=True):
            bought = any(d % RHYTHM[names[user]] == 0 for d in range(day, day + HORIZON))
            assert churned != bought


def test_a_cohort_holds_what_every_contender_said_and_how_its_members_buy():
    last = collect(Shop(), SETTINGS)[-1]
    day = (last.decision_time - START) // DAY_MS
    weekly = last.users.tolist().index(salted_hash("weekly", SETTINGS.core().salt))

    assert tuple(last.issued) == SETTINGS.trainer().names
    assert (last.champion == last.issued[last.leader]).all()
    assert last.rhythm[weekly].tolist() == [(day - 1) // 7, (day - 1) // 7 * 7, day - 1]
    assert last.customers.customers == len(RHYTHM)
    assert (np.diff(last.users.astype(object)) > 0).all()


def test_a_log_shorter_than_its_horizon_cannot_be_judged():
    with pytest.raises(SourceError, match="shorter than the horizon"):
        collect(Shop(days=12), SETTINGS)


def test_the_classic_log_has_new_year_on_its_weekly_grid_and_its_labels_inside(tmp_path: Path):
    log = tmp_path / "cdnow.txt"
    log.write_text("customer_id date quantity value\n 00001 19970101 1 11.77\n 00001 19980630 1 9.00\n")
    case = known(tmp_path)["cdnow-classic"]

    times = [event.ts for event in ClassicCdnow(log)]

    assert case.test_from is not None
    begin = epoch_ms(case.test_from)
    assert (begin - (times[0] - times[0] % DAY_MS)) % (7 * DAY_MS) == 0
    assert (
        times[-2] < begin + case.horizon_days * DAY_MS <= times[-1] < begin + (case.horizon_days + 7) * DAY_MS
    )


def test_the_tmall_log_becomes_events_that_the_product_accepts(tmp_path: Path):
    path = tmp_path / "log.csv.gz"
    rows = ["9,b1,1,6-2", "9,b2,0,4-15", "8,b1,2,5-1", "8,b1,3,5-2"]
    with gzip.open(path, "wt") as file:
        file.write("user_id,brand_id,type,visit_datetime\n" + "\n".join(rows))

    events = list(Tmall(path))
    decoded = [EventDecoder(event.topic).decode(event.value) for event in events]

    assert [type(each).__name__ for each in decoded] == ["ViewItem", "AddToWishlist", "AddToCart", "Purchase"]
    assert [event.ts for event in events] == sorted(event.ts for event in events)
    assert events[-1].ts == 1_370_174_400_000  # 2013-06-02T12:00Z


def test_a_log_that_is_not_there_is_said_so(tmp_path: Path):
    with pytest.raises(SourceError, match=r"there is no t_alibaba_data\.csv\.gz in"):
        list(known(tmp_path)["tmall"].source)
