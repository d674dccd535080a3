"""The worker in whose ledger it is as late as in the shop: a storm's days pass within moments.

By the clock on the wall all contacts of a storm would be planned for the same few minutes, and a customer who
was contacted once would be left alone for the rest of it. So each alert is decided at its own time.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import streams.dispatching
from interventions.ledger import LedgerPartition, StepResult
from streams.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interventions.dispatch import Verdict
    from interventions.policy import CustomerView
    from models.alerts import Alert

#: How such a worker is started, as `tests.broker.cluster.WORKER`.
WORKER: Final = ("-m", "tests.storm.shop_time")


class ShopTimeLedger(LedgerPartition):
    """A ledger that does not ask what time it is."""

    def step(
        self, alerts: Sequence[tuple[int, Alert]], views: Mapping[str, CustomerView], now: int
    ) -> StepResult:
        """See `LedgerPartition`."""
        steps = [super(ShopTimeLedger, self).step([each], views, min(each[1].ts, now)) for each in alerts]
        return StepResult(
            [verdict for step in steps for verdict in step.decided],
            withheld=sum((step.withheld for step in steps), Counter()),
            commands=sum((step.commands for step in steps), Counter()),
            skipped=sum(step.skipped for step in steps),
            crowded=[offset for step in steps for offset in step.crowded],
        )

    def again(self, ts: int, views: Mapping[str, CustomerView], now: int) -> list[Verdict]:
        """See `LedgerPartition`."""
        return super().again(ts, views, min(ts, now))


vars(streams.dispatching)["LedgerPartition"] = ShopTimeLedger

if __name__ == "__main__":
    main(["worker", *sys.argv[1:]])
