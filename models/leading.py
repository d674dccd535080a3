"""Who leads: a contender takes over when it has been better than the champion for long enough, and by enough.

Labels come a horizon late, and so does all evidence about who is best. After a change of regime the labels
of one whole horizon judge models as they were before they could learn of it: the one that was least wrong in
the shock (mostly the return probability, which needs no labels) seems to lead by far when the others have
long learned better. Hence three rules:

- Evidence ages, with a time constant of one horizon: what was won in a shock does not count for ever.
- A challenger must lead over the newest labels, too, and must have done so for three horizons of decision
  times. A shock misleads for almost two: one passes before anybody can learn of it, and another until those
  who were late to learn it are judged no more.
- The pool may come back at once, on the newest labels alone or as soon as the lead over it has aged away: it
  weighs its members again at every decision time, so it is the safe place in a change and in doubt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from features.layout import DAY_MS
from models.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from models.progressive import ScoreCounts

#: What the newest labels are: evidence that ages four times as fast.
_NEWEST: Final = 0.25
#: Horizons of decision times for which a challenger other than the pool must have led.
_HELD: Final = 3
#: Share of the evidence that the newest labels must give.
_NEWEST_SHARE: Final = 0.5


class Lead(msgspec.Struct):
    """By how many nats of log loss a contender was better than the champion, over how many labels: both age.

    `newest_nats` and `newest_labels` age faster; `last` is the lead over the last labels alone. `as_of` is
    their decision time (epoch ms), `since` the one from which on the newest labels have said that it leads,
    None if they do not.
    """

    nats: float = 0.0
    labels: float = 0.0
    newest_nats: float = 0.0
    newest_labels: float = 0.0
    last: float = 0.0
    as_of: int = 0
    since: int | None = None

    @property
    def mean(self) -> float:
        """The lead for each label."""
        return self.nats / self.labels

    def age(self, ts: int, horizon_days: float) -> None:
        """Let the time pass from the last labels to those of decision time `ts`."""
        passed = (ts - self.as_of) / (horizon_days * DAY_MS)
        kept, newest = math.exp(-passed), math.exp(-passed / _NEWEST)
        self.nats, self.labels = self.nats * kept, self.labels * kept
        self.newest_nats, self.newest_labels = self.newest_nats * newest, self.newest_labels * newest
        self.as_of = ts

    def add(self, nats: float, labels: int, margin: float) -> None:
        """Take the labels of one decision time; a lead of less than `margin` a label is none."""
        self.nats, self.newest_nats = self.nats + nats, self.newest_nats + nats
        self.labels, self.newest_labels = self.labels + labels, self.newest_labels + labels
        self.last = nats
        if self.newest_nats <= margin * self.newest_labels:
            self.since = None
        elif self.since is None:
            self.since = self.as_of

    def over(self, other: Lead) -> Lead:
        """The lead over another contender, from both leads over the champion on the same labels."""
        return msgspec.structs.replace(
            self,
            nats=self.nats - other.nats,
            newest_nats=self.newest_nats - other.newest_nats,
            last=self.last - other.last,
            since=None,
        )


class Leads:
    """Everybody's lead over the champion, by name.

    `nats` is what a lead must amount to before anybody takes over, `margin` the least of it a label.
    """

    def __init__(
        self, horizon_days: float, nats: float, margin: float, by_name: Mapping[str, Lead] | None = None
    ) -> None:
        self.horizon_days = horizon_days
        self.nats = nats
        self.margin = margin
        self.by_name = dict(by_name or {})

    def see(self, champion: str, names: Iterable[str], counts: Mapping[str, ScoreCounts], ts: int) -> None:
        """Take the labels of decision time `ts`; who was not judged on the champion's own begins again."""
        if (reigning := counts.get(champion)) is None:
            return
        for name in names:
            if name not in counts or counts[name].labels != reigning.labels:
                self.by_name.pop(name, None)
                continue
            lead = self.by_name.setdefault(name, Lead(as_of=ts))
            lead.age(ts, self.horizon_days)
            nats = reigning.labels * (reigning.log_loss - counts[name].log_loss)
            lead.add(nats, reigning.labels, self.margin)

    def challenger(self, champion: str) -> str | None:
        """Who is to take over from `champion`, if anybody: of all that may, the one that leads by most."""
        eligible = [name for name in self.by_name if name != champion and self._may_lead(name)]
        return max(eligible, key=lambda name: self.by_name[name].nats, default=None)

    def _may_lead(self, name: str) -> bool:
        lead = self.by_name[name]
        newest = lead.since is not None and lead.newest_nats >= _NEWEST_SHARE * self.nats
        if lead.last <= 0:
            return False
        if name == Pool.name:
            return newest or lead.nats > 0
        held = lead.since is not None and lead.as_of - lead.since >= _HELD * self.horizon_days * DAY_MS
        return newest and held and lead.nats >= self.nats and lead.nats > self.margin * lead.labels

    def promote(self, name: str) -> None:
        """Make `name` the champion: all leads are over it from now on."""
        ahead = self.by_name[name]
        self.by_name = {
            each: lead.over(ahead) for each, lead in self.by_name.items() if lead.labels == ahead.labels
        }
