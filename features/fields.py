"""Fields of events: their types and the ranges within which they are believed.

msgspec checks the ranges while it decodes, at next to no cost. The numbers are wide on purpose: they keep
nonsense out of sums and do not judge the shop.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from features.money import MAX_AMOUNT

#: Times are believed from 1990-01-01 up to, not including, 2100-01-01; epoch milliseconds.
EARLIEST: Final = 631_152_000_000
LATEST: Final = 4_102_444_800_000

if TYPE_CHECKING:
    Timestamp = int
else:
    #: Two spellings on the wire; the decoder leaves the first in the event, always an int.
    Timestamp = (
        Annotated[int, Meta(ge=EARLIEST, lt=LATEST, description="epoch milliseconds UTC")]
        | Annotated[datetime, Meta(tz=True, description="RFC 3339")]
    )

#: At most 256 characters here, at most 256 bytes and no control characters by `decoding`.
Id = Annotated[str, Meta(min_length=1, max_length=256)]
Short = Annotated[str, Meta(max_length=64)]
TimeZone = Annotated[str, Meta(max_length=64, description="IANA name, such as `Europe/Berlin`")]
Locale = Annotated[str, Meta(max_length=64, description="BCP 47, such as `de-DE`")]
Loyalty = Annotated[str, Meta(max_length=64, description="loyalty tier, in the shop's words")]
Money = Annotated[float, Meta(ge=0, le=MAX_AMOUNT, description="currency units")]
Price = Annotated[float, Meta(ge=0, le=MAX_AMOUNT, description="per unit, in the order's currency")]
CurrencyCode = Annotated[str, Meta(min_length=1, max_length=16, description="ISO 4217; `XXX` for none")]
Quantity = Annotated[float, Meta(ge=0, le=1e6, description="units, also fractions")]
Dwell = Annotated[float, Meta(ge=0, le=1e9, description="time spent, milliseconds")]
Rating = Annotated[float, Meta(ge=0, le=5, description="stars; 5 is best")]
Score = Annotated[float, Meta(ge=0, le=10, description="satisfaction or NPS; 10 is best")]
LateDays = Annotated[float, Meta(ge=-3650, le=3650, description="days after the promise; early is negative")]

#: The channels of commands. Consent for `coupon` is called `onsite`, because that is where it is shown.
Channel = Literal["coupon", "email", "sms", "call"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def epoch_ms(time: datetime) -> int:
    """Milliseconds from 1970-01-01 UTC to `time`, which must be aware, rounded down.

    Exact, where `timestamp()` goes through a float, and defined for every aware time there is.

    >>> epoch_ms(datetime(1997, 1, 1, 12, tzinfo=UTC))
    852120000000
    """
    return (time - _EPOCH) // _MILLISECOND
