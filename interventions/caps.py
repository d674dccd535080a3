"""Contact caps: how often one customer may be contacted, whatever order alerts arrive in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from features.fields import Channel
from models.marks import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY_MS = 86_400_000

CapReason = Literal["cool_down", "channel_cap", "global_cap", "out_of_order"]


class Contact(msgspec.Struct, frozen=True, array_like=True):
    """A contact planned for `at` (epoch ms): a command's `not_before`.

    A held-out customer's contacts were never commanded (`command_id` is empty); they are kept so that
    both arms run into the same caps and stay comparable. Append fields, never remove any.
    """

    at: int
    channel: Channel
    command_id: str
    mark: Mark


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on the contacts of one customer; contact times are compared, not alert times.

    Any two contacts lie at least `cool_down_days` apart, and any span shorter than `window_days`
    holds at most `total` of them. Raises ValueError for negative limits.
    """

    cool_down_days: int = 14
    window_days: int = 30
    total: int = 2

    def __post_init__(self) -> None:
        if min(self.cool_down_days, self.window_days, self.total) < 0:
            raise ValueError("caps: limits must not be negative")

    @property
    def span_ms(self) -> int:
        """How far apart two contacts may lie and still concern each other."""
        return DAY_MS * max(self.cool_down_days, self.window_days)

    def refusal(
        self, contacts: Iterable[Contact], channel: Channel, channel_cap: int, at: int
    ) -> CapReason | None:
        """Why a contact at `at` is refused beside `contacts` of the same book, or None.

        Looks to both sides of `at`: for contacts in order that is the rolling window exactly, for
        others it is the safe side of it.
        """
        times = [(contact.at, contact.channel) for contact in contacts]
        if any(at < other - self.span_ms for other, _ in times):
            return "out_of_order"
        if any(abs(other - at) < DAY_MS * self.cool_down_days for other, _ in times):
            return "cool_down"
        near = [used for other, used in times if abs(other - at) < DAY_MS * self.window_days]
        if near.count(channel) >= channel_cap:
            return "channel_cap"
        return "global_cap" if len(near) >= self.total else None

    def relevant(self, contacts: list[Contact]) -> list[Contact]:
        """The contacts that can still refuse an admissible one, those of each mark judged apart.

        A new contact lies at most one span before the newest, and sees one span further back.
        """
        newest = {contact.mark: contact.at for contact in sorted(contacts, key=lambda c: c.at)}
        return [c for c in contacts if c.at > newest[c.mark] - 2 * self.span_ms]
