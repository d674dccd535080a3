"""Who leads: a contender takes over when it was better than the champion for long enough, and by enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from models.progressive import ScoreCounts


class Lead(msgspec.Struct):
    """By how many nats of log loss a contender was better than the champion while that one reigns."""

    nats: float = 0.0
    labels: int = 0

    @property
    def mean(self) -> float:
        """The lead for each label."""
        return self.nats / self.labels


class Leads(msgspec.Struct):
    """Everybody's lead over the champion since it reigns, by name."""

    by_name: dict[str, Lead] = {}

    def see(self, champion: str, names: Iterable[str], counts: Mapping[str, ScoreCounts]) -> None:
        """Take one decision time: those of `names` who were judged on the champion's own labels."""
        if (reigning := counts.get(champion)) is None:
            return
        for name in names:
            if name in counts and counts[name].labels == reigning.labels:
                lead = self.by_name.setdefault(name, Lead())
                lead.labels += reigning.labels
                lead.nats += reigning.labels * (reigning.log_loss - counts[name].log_loss)

    def challenger(self, champion: str, labels: int, margin: float) -> str | None:
        """Who was best over `labels` or more, unless it is the champion or leads by less than `margin`."""
        eligible = [name for name, lead in self.by_name.items() if lead.labels >= labels]
        best = max(eligible, key=lambda name: self.by_name[name].mean, default=champion)
        return best if best != champion and self.by_name[best].mean > margin else None
