"""On which logs and with which horizon quality is measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import orjson

from benchmarks.quality.seasonal import Seasonal
from benchmarks.quality.tmall import Tmall
from streams.sources import SourceEvent
from streams.sources.cdnow import Cdnow
from streams.sources.completejourney import CompleteJourney

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.sources import Source

_NOON: Final = 12 * 3_600_000


@dataclass(frozen=True)
class Case:
    """A log with horizon H, active base A and step of the grid in days, and where its test half begins.

    `test_from` None: in the middle of the decision times that have labels. Cohorts before `judged_from` are
    learned from and not judged.
    """

    name: str
    source: Source
    horizon_days: int
    active_within_days: int
    every_days: int = 7
    test_from: date | None = None
    judged_from: date | None = None

    @property
    def title(self) -> str:
        """Name, horizon and active base."""
        return f"{self.name}, {self.horizon_days}d / {self.active_within_days}d"


class ClassicCdnow(Cdnow):
    """The CDNOW log framed by two page views of a visitor who never buys.

    The first puts 1998-01-01 on the weekly grid, which begins on the day of the first event; the second says
    that the log is complete to the end of June. Nobody who never bought is judged or counted by a model.
    """

    name = "cdnow-classic"
    total = Cdnow.total + 2

    def __iter__(self) -> Iterator[SourceEvent]:
        """The purchases between the two."""
        yield _page_view(date(1996, 12, 26))
        yield from super().__iter__()
        yield _page_view(date(1998, 7, 2))


def _page_view(day: date) -> SourceEvent:
    ts, visitor = epoch_ms(day) + _NOON, "visitor-who-never-buys"
    event = {"type": "page_view", "event_id": f"frame-{day}", "user_id": visitor, "ts": ts}
    return SourceEvent("clickstream", visitor, ts, orjson.dumps(event))


def epoch_ms(day: date) -> int:
    """00:00 UTC of `day`."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def simulated() -> dict[str, Case]:
    """Shops whose seasons are known because they were put in; judged when they are asked for by name."""
    shops = (Seasonal("two-months", (11, 12), 0.02), Seasonal("summer", (5, 6, 7, 8), 0.3))
    return {shop.name: Case(shop.name, shop, shop.horizon_days, shop.active_within_days) for shop in shops}


def known(shared: Path) -> dict[str, Case]:
    """The public logs; those that no package carries lie in `shared`."""
    tmall = Tmall(shared / "data" / "tmall_clicks" / "t_alibaba_data.csv.gz")
    new_year = date(1998, 1, 1)
    cases = (
        Case("cdnow", Cdnow(), 90, 180, test_from=date(1997, 10, 8)),
        Case("completejourney", CompleteJourney(), 14, 60, test_from=date(2017, 7, 9)),
        Case("tmall", tmall, 21, 60, test_from=date(2013, 6, 17)),
        # All 23,570 bought in 1997. No purchase in the first half of 1998: 181 days.
        Case("cdnow-classic", ClassicCdnow(), 181, 366, test_from=new_year, judged_from=new_year),
    )
    return {case.name: case for case in cases}
