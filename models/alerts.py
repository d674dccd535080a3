"""Churn alerts: what the `churn-alerts` topic carries, and how an alert gets its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import xxhash

from features.feature import Theme
from features.fields import EARLIEST, LATEST
from features.rejection import Rejected
from models.marks import Mark

if TYPE_CHECKING:
    from models.episodes import Thresholds

#: The alert's place in its life. Triggers are opened and never resolved.
Status = Literal["opened", "escalated", "resolved"]

#: What raised it: the decision grid (an episode) or an event that speaks for itself.
Kind = Literal["episode", "trigger"]

#: Risk tiers in rising order; `none` is below the alert threshold and never leaves the partition.
Tier = Literal["none", "medium", "high", "critical"]

#: Where a customer stands: a tier, or `unknown` while the models have not seen enough to call anybody safe or
#: at risk.
Standing = Literal["unknown", "none", "medium", "high", "critical"]


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why the customer is likely to leave, in words for people; of a resolved alert, why it ended.

    Features of one theme say nearly the same, so their shares are added up, and the theme is told by the
    feature with the largest share among those whose value speaks for leaving by common sense.
    """

    #: Name of a feature; or `trigger`, an event by which the customer showed dissatisfaction; or `forecast`,
    #: the forecast itself.
    feature: str
    #: The feature's raw value in its catalogue unit; null when the customer has none. Days since it for
    #: `trigger`, the probability for `forecast`.
    value: float | None
    #: What the features of the theme add together to the model's log-odds, relative to the average customer;
    #: 0 for `trigger` and `forecast`. Above 0, unless it is the only reason and no theme that the model goes
    #: by can be told by a value that speaks for leaving.
    contribution: float
    #: The reason as a sentence, in the first of the configured languages (`alerting.languages`).
    text: str
    #: What it is about.
    theme: Theme | None = None
    #: The same sentence in the other configured languages, by BCP 47 tag; absent when there are none.
    texts: dict[str, str] = {}


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which model spoke; `version` counts from 0, the return probability before any label."""

    name: str
    version: int


class TierLevels(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities at which the tiers begin, as they were in force."""

    medium: float
    high: float
    critical: float

    @classmethod
    def of(cls, thresholds: Thresholds | None) -> TierLevels | None:
        """As published; None where none are in force."""
        if thresholds is None:
            return None
        return cls(medium=thresholds.medium, high=thresholds.high, critical=thresholds.critical)


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A customer is likely not to buy again within the horizon, and why.

    `ts` is the decision time (or the trigger event's time) in epoch milliseconds.
    `segment` and `expected_value` are absent until something fills them.
    """

    alert_id: str
    kind: Kind
    status: Status
    user_id: str
    ts: int
    probability: float
    tier: Tier
    reasons: tuple[Reason, ...]
    model: ModelRef
    horizon_days: int
    #: Where the tiers began by then; absent in alerts of older releases.
    thresholds: TierLevels | None = None
    #: What may follow from it: only a live alert is meant.
    mark: Mark
    segment: str | None = None
    expected_value: float | None = None


#: Bytes of an alert: ten languages take five thousand. What is decided about it repeats parts of it.
_LONGEST_ALERT: Final = 32 * 1024
_LONGEST_ID: Final = 256
_decode: Final = msgspec.json.Decoder(Alert).decode


def read_alert(value: bytes | None) -> Alert:
    """The alert that a record of `churn-alerts` holds.

    Raises Rejected for what no partition of ours would have said, and nothing else.
    """
    if value is not None and len(value) > _LONGEST_ALERT:
        raise Rejected("oversize", f"{len(value)} bytes are more than {_LONGEST_ALERT}")
    try:
        alert = _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed_json", str(error)) from None
    if not all(0 < len(name) <= _LONGEST_ID for name in (alert.user_id, alert.alert_id)):
        raise Rejected("bad_id", f"the customer's or the alert's id is empty or longer than {_LONGEST_ID}")
    if not EARLIEST <= alert.ts < LATEST:
        raise Rejected("bad_timestamp", "`ts` lies outside 1990 to 2100")
    if not 0 <= alert.probability <= 1:
        raise Rejected("bad_value", "`probability` lies outside 0 to 1")
    return alert


def alert_id(user_id: str, kind: Kind, origin: str, mark: Mark = "live") -> str:
    """Identity of an alert: 128-bit hash of customer, kind, origin and mark (unless live) as 32 hex digits.

    `origin` is the episode's start (decision time, epoch ms) or the trigger's `event_id`. An
    episode keeps its id when it escalates and resolves, and it may escalate more than once: what is unique
    is (`alert_id`, `status`, `tier`).

    >>> alert_id("u1", "episode", "852076800000")
    '717600f142a4b8ce9fadee77ce88383a'
    """
    parts = (user_id, kind, origin) if mark == "live" else (user_id, kind, origin, mark)
    framed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return xxhash.xxh3_128_hexdigest(framed)
