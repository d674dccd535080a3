"""What a watch tells: when, what, how strong."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

#: What drifted if it was the loss, and no column.
LOSS: Final = "loss"


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Something changed, noticed at decision time `at` against what was at `since` (both epoch ms).

    `what` is a column of the model inputs, or `loss`. `strength` of `psi` is the population stability index;
    of `page_hinkley` the estimated rise of the excess log loss in nats, `since` then being when it began.
    """

    at: int
    since: int
    what: str
    measure: Literal["psi", "page_hinkley"]
    strength: float
    level: Literal["moderate", "large"]
