"""All that is known of one customer, for a person who looks: every value as of the one time it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from features.catalogue import NAMES, raw_features
from features.profile import Value
from features.view import View
from interventions.commands import Action, Withheld
from models import known
from models.alerts import Standing, Status, Tier
from models.episodes import TIERS, tiers_by
from models.judging import inputs_of, judge
from models.marks import CODES, PUBLISHED_AS, Mark
from models.reasons import shares

if TYPE_CHECKING:
    from features.table import Slots
    from interventions.ledger import LedgerPartition
    from models.core import PartitionCore
    from models.versions import ModelSet

#: The mark of an open episode, by the code of the operation that opened it.
_MARKS: Final = {CODES[operation]: mark for operation, mark in PUBLISHED_AS.items()}
#: Contacts that are told, the newest ones.
MAX_CONTACTS: Final = 8


class UnknownCustomerError(LookupError):
    """Nothing is known of a customer: no event arrived, or they were evicted or erased."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered decision: about which stage of which alert, and what came of it."""

    alert_id: str
    #: Decision time, or the trigger's time, epoch ms.
    ts: int
    status: Status
    tier: Tier
    action: Action
    withheld: Withheld | None = None
    mark: Mark


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command."""

    ts: int
    command_id: str
    kind: str


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """A probability not to buy within the horizon, and its tier: unknown while models have seen little."""

    probability: float
    tier: Standing


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """What the last decision time said: in force until the next one. None for who was not judged."""

    ts: int
    probability: float | None


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """The alert that is open, the highest tier that it came to, and under which mark it was opened."""

    since: int
    tier: Tier
    mark: Mark | None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The newest decisions about a customer and outcomes, oldest first.

    `contacts` are (time, channel, mark) of what was or is planned.
    """

    decisions: tuple[Decision, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    contacts: tuple[tuple[int, str, Mark], ...] = ()


class CustomerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One customer. Times are epoch ms.

    `features` (raw values by name, None = missing), `shares` and `risk` are as of `as_of`: they hold every
    event before it. `shares` is what each feature adds to the champion's log-odds, relative to the average
    customer, also against common sense; a worker of an older release sends none. `last_event` is the newest
    event of theirs that features are made of. `risk` is None for who is not judged: nobody without a purchase
    within `active_within_days`.
    """

    user_id: str
    partition: int
    as_of: int
    #: Whether `as_of` is now, and not a time that was asked for.
    live: bool
    last_event: int | None
    features: dict[str, float | None]
    shares: dict[str, float] = {}
    risk: Risk | None
    model: str
    version: int
    horizon_days: int
    active_within_days: int
    decided: Issued | None = None
    episode: Episode | None = None
    profile: dict[str, Value] = {}
    history: History = History()


#: As of when a customer is asked for: epoch ms, the last decision time, or now.
AsOf = int | Literal["decision"] | None


def report(
    core: PartitionCore, ledger: LedgerPartition | None, models: ModelSet, user: str, as_of: AsOf = None
) -> CustomerReport:
    """Tell of `user`, now or `as_of` a time. Raises UnknownCustomerError and NotKeptError.

    What is `decided`, the `episode`, profile, decisions and contacts are the newest in either case.
    """
    slot = core.table.slot(user)
    if slot is None:
        raise UnknownCustomerError(f"nothing is known of customer {user!r} (partition {core.partition})")
    ts = _time(core, slot, as_of)
    record = np.array([slot if as_of is None else known.record_as_of(core, slot, ts)])
    rows, horizon = core.table.rows, core.config.horizon_days
    found = raw_features(View(rows, ts, horizon, models.returns, slots=record))
    raw = found[0].tolist()
    # People go by the calendar, the model by the days on which the shop was open.
    added = shares(inputs_of(rows, record, ts, horizon, models), models)[0].tolist()
    last = int(rows["last_ts"][slot])
    profile = core.table.profiles.get(slot)
    return CustomerReport(
        user_id=user,
        partition=core.partition,
        as_of=ts,
        live=as_of is None,
        last_event=last or None,
        features={
            name: value if np.isfinite(value) else None for name, value in zip(NAMES, raw, strict=True)
        },
        shares=dict(zip(NAMES, added, strict=True)),
        risk=_risk(core, record, ts, models),
        model=models.champion,
        version=models.number,
        horizon_days=horizon,
        active_within_days=core.config.active_within_days,
        decided=_issued(core, slot),
        episode=_episode(core, slot),
        profile=profile.said if profile else {},
        history=_history(ledger, user),
    )


def _time(core: PartitionCore, slot: int, as_of: AsOf) -> int:
    if as_of is None:
        return int(known.now(core, np.array([slot]))[0])
    if isinstance(as_of, int):
        return as_of
    if (ts := known.decided(core)) is None:
        raise known.NotKeptError("there was no decision time yet")
    return ts


def _risk(core: PartitionCore, record: Slots, ts: int, models: ModelSet) -> Risk | None:
    if not known.active(core, record, np.array([ts]))[0]:
        return None
    found = judge(core.table.rows, record, ts, core.config.horizon_days, models).probabilities
    tier = core.standing(int(tiers_by(core.thresholds(models), found)[0]), models)
    return Risk(probability=float(found[0]), tier=tier)


def _issued(core: PartitionCore, slot: int) -> Issued | None:
    if (ts := known.decided(core)) is None:
        return None
    found = known.issued(core, slot)
    return Issued(ts=ts, probability=None if found is None else found.probability)


def _episode(core: PartitionCore, slot: int) -> Episode | None:
    row = core.table.rows[slot]
    since = int(row["episode_start"])
    if not since:
        return None
    return Episode(since=since, tier=TIERS[int(row["tier"])], mark=_MARKS.get(int(row["episode_mark"])))


def _history(ledger: LedgerPartition | None, user: str) -> History:
    row = None if ledger is None else ledger.history(user)
    if row is None:
        return History()
    decisions = (
        Decision(
            alert_id=each.alert_id,
            ts=each.ts,
            status=each.status,
            tier=each.tier,
            action=each.action,
            withheld=each.withheld,
            mark=each.mark,
        )
        for each in row.decided
    )
    contacts = sorted((each.at, each.channel, each.mark) for each in row.contacts if each.command_id)
    return History(
        decisions=tuple(decisions),
        outcomes=tuple(Outcome(ts=o.ts, command_id=o.command_id, kind=o.kind) for o in row.outcomes),
        contacts=tuple(contacts[-MAX_CONTACTS:]),
    )
