"""Erasure: a customer is forgotten everywhere, and what happened up to then cannot come back (DESIGN 4.13).

Whatever arrived before the erasure goes, for sums cannot be taken apart; what arrives later counts if it
happened after the erasure. Only the salted hash stays, with the time and the place of the erasure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Erased(NamedTuple):
    """What remains: when (epoch ms), and how far each of TOPICS was read when it was taken.

    `offsets` tell a stored row of the forgotten customer, whose stamps all lie within them, from the row
    of the new customer of that name. In `customers` it is the offset of the erasure itself.
    """

    ts: int
    offsets: tuple[int, ...]

    def covers(self, stamps: NDArray[np.int64]) -> bool:
        """Whether a row with these `stamps` was made of what came before the erasure."""
        return bool((stamps <= np.array(self.offsets)).all())
