"""Simulated shops with seasons: what time of year means is known, because it was put in.

No public log shows the same customers over several years of a shop that hardly sells outside its season.
Each customer buys at a rate of their own and may leave for good after any purchase. Half of them follow the
season more than the others do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from streams.sources import SourceEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_DAY_MS: Final = 86_400_000
_YEAR: Final = 365.25


@dataclass(frozen=True)
class Seasonal:
    """`customers` of a shop over `years`, of whom two fifths are there from the beginning and others join.

    The season is the `months` (1 to 12); outside it customers buy at `off` times its rate, or at a quarter of
    that.
    """

    name: str
    months: tuple[int, ...]
    off: float
    customers: int = 800
    years: int = 4
    seed: int = 1

    currency = "XXX"
    total = None
    horizon_days = 60
    every_days = 7
    active_within_days = 120
    ordered = True

    @property
    def description(self) -> str:
        """One sentence for people."""
        months = ", ".join(str(month) for month in self.months)
        return f"a simulated shop of {self.customers:,} customers that sells in the months {months}"

    def __iter__(self) -> Iterator[SourceEvent]:
        """Purchases in order of time."""
        rng = np.random.default_rng(self.seed)
        days = np.arange(int(self.years * _YEAR))
        first = datetime(2019, 1, 1, tzinfo=UTC)
        start = int(first.timestamp()) * 1000
        dates = np.datetime64(first.date(), "D") + days
        season = np.isin(dates.astype("datetime64[M]").astype(int) % 12 + 1, self.months)
        found = [event for user in range(self.customers) for event in self._purchases(user, season, rng)]
        for day, second, user, value in sorted(found):
            yield _purchase(user, start + day * _DAY_MS + second * 1000, value)

    def _purchases(
        self, user: int, season: NDArray[np.bool_], rng: np.random.Generator
    ) -> list[tuple[int, int, int, float]]:
        off = self.off * (1.0 if user % 2 else 0.25)
        # Purchases a day in season: 2 in two months are usual, and customers differ.
        rate = rng.gamma(2.0, 1 / 60)
        joined = 0 if rng.random() < 0.4 else int(rng.integers(0, len(season)))
        bought = np.flatnonzero(rng.random(len(season)) < rate * np.where(season, 1.0, off))
        bought = bought[bought >= joined]
        gone = np.flatnonzero(rng.random(len(bought)) < 0.08)
        bought = bought[: gone[0] + 1] if len(gone) else bought
        times, values = rng.integers(0, 86_400, len(bought)), rng.gamma(4.0, 10.0, len(bought))
        return [
            (int(day), int(second), user, round(float(value), 2))
            for day, second, value in zip(bought, times, values, strict=True)
        ]


def _purchase(user: int, ts: int, value: float) -> SourceEvent:
    name = f"s{user:05d}"
    event = {
        "type": "purchase",
        "event_id": f"{name}-{ts}",
        "user_id": name,
        "ts": ts,
        "transaction_id": f"{name}-{ts}",
        "value": value,
        "currency": Seasonal.currency,
        "items": [],
    }
    return SourceEvent("orders", name, ts, orjson.dumps(event))
