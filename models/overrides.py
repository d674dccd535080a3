"""Who leads, and since when: promotions that a contender earned, and an operator's word against it.

An override stands on the `models` topic under its own key until a tombstone releases it. The trainer learns
and publishes meanwhile as if there were none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from models.versions import ModelSet

OVERRIDE_KEY: Final = b"override"


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """`champion` took the lead from `over` as of `as_of` (epoch ms).

    Its log loss was lower by `lead` nats per label, over `labels` labels by which both were judged.
    """

    champion: str
    over: str
    as_of: int
    lead: float
    labels: int

    @property
    def in_words(self) -> str:
        """Who, over whom, and by what merit."""
        merit = f"{self.lead:.4f} nats a label better over {self.labels:,} labels"
        return f"{self.champion} over {self.over}, {merit}"


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operator said at `said_at` (epoch ms): who leads, which version speaks, or both.

    Raises ValueError when it says neither.
    """

    said_at: int
    champion: str | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        if self.champion is None and self.number is None:
            raise ValueError("an override names a champion, a version or both")


def overridden(override: Override, newest: ModelSet, pinned: ModelSet | None) -> tuple[ModelSet, str]:
    """The models in force under `override`, and what of it cannot be followed; empty if all can.

    `pinned` is the set of its number, if that is kept; what is known of the shop is the newest. What cannot
    be followed is left to the trainer: there are always models in force.
    """
    models, unheeded = pinned or newest, []
    known = {"panel": newest.panel, "closed": newest.closed, "hold": newest.hold, "seasons": newest.seasons}
    models = msgspec.structs.replace(models, **known)
    if override.number is not None and pinned is None:
        unheeded.append(f"version {override.number} is not kept")
    if override.champion in models.contenders:
        models = msgspec.structs.replace(models, champion=override.champion)
    elif override.champion is not None:
        unheeded.append(f"{override.champion!r} does not contend in version {models.number}")
    return models, ", ".join(unheeded)
