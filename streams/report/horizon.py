"""Whether the horizon suits the shop, in sentences: on the report's page, and behind a backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from models.rhythm import ShopRhythm
    from streams.report.words import Words

#: Of the customers whose rhythm is known, so many may be slower than a horizon that suits.
_SLOW: Final = 0.2


def advice(rhythm: ShopRhythm | None, horizon_days: int, say: Words) -> tuple[str, ...]:
    """How customers' usual gaps compare with the horizon, and which would suit; nothing without a rhythm."""
    if rhythm is None:
        return ()
    compared = say(
        "horizon.plain",
        customers=f"{rhythm.customers:,}",
        gap=f"{rhythm.usual_gap:.0f}",
        beyond=say.of_100(rhythm.beyond_horizon),
        horizon=horizon_days,
    )
    if rhythm.beyond_horizon <= _SLOW:
        return compared, say("horizon.suits")
    return compared, say("horizon.longer", days=rhythm.suggested_horizon)
