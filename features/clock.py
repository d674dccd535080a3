"""Event time of one topic partition: what is late, and how far the past is settled."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

#: The bound before any event: nothing is late, nothing is settled.
BEGINNING: Final = -(2**62)


class TopicClock(msgspec.Struct):
    """How far one topic partition was read, and its watermark: both functions of its log alone.

    `bound` is the greatest of min(ts, time of its record) - allowed lateness over all valid events so far and
    the ts of the ticks followed (epoch ms): nobody's clock moves it beyond the present of those who wrote the
    log. An event is late when its ts lies below the bound at its place.
    """

    offset: int = -1
    bound: int = BEGINNING
    #: Which log `offset` counts in, as the shell names it; empty if that is not known.
    log: str = ""

    def pass_over(self, promises: Times) -> Times:
        """The bound in force before each entry, shape (n,), in log order; moves the clock behind the last.

        `promises` (n,) is what each entry promises: min(ts, its record's time) - lateness, or a tick's ts.
        """
        bounds = np.maximum.accumulate(np.concatenate([[self.bound], promises]))
        self.bound = int(bounds[-1])
        return bounds[:-1]
