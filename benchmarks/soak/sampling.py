"""What is looked at every few seconds: the worker's memory and metrics, and how late its alerts came."""

from __future__ import annotations

import statistics
import threading
import time
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks import latency
from benchmarks.engines import EngineError
from streams.processes import is_ready, read_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.latency import Due
    from benchmarks.service import Worker

EVERY_S: Final = 5.0
#: Latencies are those of the alerts that came within so many seconds before a sample.
WINDOW_S: Final = 30.0
#: An alert that has not come after so many seconds is missing.
_GIVEN_UP_S: Final = 120.0


@dataclass(frozen=True)
class Sample:
    """One look. Counters count from the start, `missing` those triggers whose alert never came."""

    seconds: float
    rss_bytes: int
    cpu_s: float
    p50_s: float
    p99_s: float
    missing: int
    customers: float
    evicted: float
    ledger_rows: float
    forks: float
    cohorts: float
    labels: float
    alerts: float
    decisions: float
    table_bytes: float
    checkpoint_bytes: float
    lag: float
    dead_letters: float
    ready: bool
    live: bool


@dataclass
class Reactions:
    """Triggers on their way to becoming alerts: `sent` by the load, noted by `alerts` when they are back."""

    alerts: latency.Alerts
    sent: dict[str, float] = field(default_factory=dict)
    missing: int = 0
    _recent: deque[tuple[float, float]] = field(default_factory=deque)

    def percentiles(self) -> tuple[float, float]:
        """(median, 99th percentile) of the seconds they took in the last `WINDOW_S`; nan where none came."""
        now = time.perf_counter()
        for user in list(self.alerts.seen):
            seen = self.alerts.seen.pop(user)
            if (sent := self.sent.pop(user, None)) is not None:
                self._recent.append((seen, seen - sent))
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        for user in [user for user, sent in list(self.sent.items()) if sent < now - _GIVEN_UP_S]:
            del self.sent[user]
            self.missing += 1
        if len(self._recent) < 2:
            return float("nan"), float("nan")
        found = statistics.quantiles([took for _, took in self._recent], n=100, method="inclusive")
        return found[49], found[98]


def watched(
    worker: Worker, bootstrap: str, prefix: str, alerts_topic: str, schedule: Iterator[Due]
) -> Iterator[Sample]:
    """Send `schedule` and look at the ready `worker` meanwhile; raises `EngineError` if it ends."""
    page = worker.page
    assert page is not None, "not ready"
    reactions = Reactions(latency.Alerts(bootstrap, alerts_topic))
    reactions.alerts.start()
    reactions.alerts.listening.wait(30)
    arguments = (bootstrap, prefix, schedule, reactions.sent)
    sending = threading.Thread(target=latency.send, args=arguments, name="shop", daemon=True)
    sending.start()
    started = time.perf_counter()
    while sending.is_alive():
        sending.join(EVERY_S)
        yield _sample(time.perf_counter() - started, worker, page, reactions)
    reactions.alerts.stopping.set()
    reactions.alerts.join()


def _sample(seconds: float, worker: Worker, page: str, reactions: Reactions) -> Sample:
    rss = worker.resident_bytes()
    p50, p99 = reactions.percentiles()
    metrics = _metrics(page)

    def total(name: str) -> float:
        return sum(value for key, value in metrics.items() if key.startswith(f"churnwatch_{name}{{"))

    return Sample(
        seconds=seconds,
        rss_bytes=rss,
        cpu_s=worker.cpu_s(),
        p50_s=p50,
        p99_s=p99,
        missing=reactions.missing,
        customers=total("customers"),
        evicted=total("customers_evicted_total"),
        ledger_rows=total("ledger_rows"),
        forks=total("forks"),
        cohorts=total("cohorts_pending"),
        labels=total("labels_total"),
        alerts=total("alerts_total"),
        decisions=total("decisions_total"),
        table_bytes=total("table_bytes"),
        checkpoint_bytes=total("checkpoint_bytes"),
        lag=total("consumer_lag_records"),
        dead_letters=total("dead_letters_total"),
        ready=is_ready(page),
        live=_is_live(page),
    )


def _is_live(page: str) -> bool:
    """As an orchestrator sees it: no answer in time is a bad one."""
    try:
        with urllib.request.urlopen(f"{page}health/live", timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _metrics(page: str) -> dict[str, float]:
    try:
        return read_metrics(page)
    except OSError as error:
        raise EngineError(f"the worker's page does not answer: {error}") from error
