"""The metric catalogue: every name, its labels and its meaning, in one place.

Base units (`_seconds`, `_bytes`), counters end in `_total`. Labels are topics, partitions, reasons,
actions and models: never a customer, so the number of series is bounded.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PREFIX: Final = "churnwatch"
_SIZES: Final = (1, 10, 100, 300, 1_000, 3_000, 10_000)
_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # -- input
        self.records = self._counter("records", "Records read from input topics.", "topic")
        self.events = self._counter(
            "events",
            "Events by fate: accepted, duplicate, late, erased, skipped (redelivered).",
            "topic",
            "fate",
        )
        self.dead_letters = self._counter("dead_letters", "Records sent to dead letters.", "topic", "reason")
        self._add_unreadable()
        self.batch_records = self._histogram(
            "batch_records", "Records in one poll of a partition.", _SIZES, "topic"
        )
        self.batch_seconds = self._histogram(
            "batch_seconds", "Time to decode and apply one poll of a partition.", _FAST, "topic"
        )
        self.event_delay = self._gauge(
            "event_delay_seconds", "Wall clock minus the newest event time of the last poll.", "topic"
        )
        self.lag = self._gauge(
            "consumer_lag_records", "Broker-side lag: log end minus committed offset.", "topic", "partition"
        )
        self.watermark_delay = self._gauge(
            "watermark_delay_seconds", "Wall clock minus the watermark of a partition.", "partition"
        )
        self.holes = self._gauge(
            "holes_mended", "Gaps that Faust left around rebalances, read again since the start."
        )
        self.in_flight = self._gauge(
            "in_flight_bytes", "Memory of what was read and is not acknowledged yet, as it is reckoned."
        )
        self._add_sessions()
        # -- state
        self.customers = self._gauge("customers", "Customers in the table.", "partition")
        self.table_bytes = self._gauge("table_bytes", "Memory of the table's records.", "partition")
        self.forks = self._gauge("forks", "Records kept as of a decision time not yet swept.", "partition")
        self.ledger_rows = self._gauge("ledger_rows", "Customers in the ledger.", "partition")
        self.rows_written = self._counter("changelog_rows", "Rows written to a changelog.", "table")
        self.write_seconds = self._histogram(
            "changelog_write_seconds", "Time until a write to a changelog was confirmed.", _FAST, "table"
        )
        self.foreign_writes = self._counter(
            "foreign_writes", "Changelog rows of another owner found behind ours.", "table"
        )
        self.void_rows = self._counter(
            "void_rows",
            "Changelog rows whose writer was late: left out by recoveries, written over.",
            "table",
        )
        self.recovery_seconds = self._gauge(
            "recovery_seconds", "Duration of the last recovery.", "table", "partition"
        )
        self.recovery_rows = self._counter("recovery_rows", "Rows read by recoveries.", "table", "source")
        self.broken_rows = self._counter("broken_rows", "Stored rows that could not be read.", "table")
        self.checkpoint_bytes = self._gauge(
            "checkpoint_bytes", "Size of the last checkpoint.", "table", "partition"
        )
        self.checkpoint_age = self._gauge(
            "checkpoint_timestamp_seconds", "When the last checkpoint was written.", "table", "partition"
        )
        # -- deciding
        self.swept = self._gauge("swept_timestamp_seconds", "The last decision time swept.", "partition")
        self.sweep_seconds = self._histogram(
            "sweep_seconds", "Time to judge all active customers of a partition.", _FAST
        )
        self.scored = self._counter("customers_scored", "Customers judged by sweeps.")
        self.evicted = self._counter("customers_evicted", "Customers forgotten after a long silence.")
        self.cohorts = self._gauge("cohorts_pending", "Cohorts that wait for their labels.", "partition")
        self.matured = self._counter("cohorts_matured", "Cohorts sent to the trainer with their labels.")
        self.alerts = self._counter("alerts", "Alerts raised.", "kind", "status")
        self.silent = self._counter(
            "silent_sweeps", "Sweeps that raised no alert: warming_up or stale.", "reason"
        )
        self.withheld = self._counter(
            "alerts_withheld",
            "Customers above the threshold who got no episode, at each decision time: not_overdue.",
            "reason",
        )
        self.triggers = self._counter("triggers", "Trigger events by what became of them.", "result")
        self._add_guard()
        self._add_learning()
        # -- acting
        self.mode = self._gauge(
            "interventions_mode", "1 for the mode of this worker, 0 for the others.", "mode"
        )
        self.outcomes = self._counter(
            "outcomes",
            "Outcomes taken, by the mark of their commands: none but live ones count as treatment.",
            "mark",
        )
        self.handed_over = self._counter(
            "episodes_handed_over", "Episodes of another mode, or of a replay, that ended without an alert."
        )
        self.decisions = self._counter(
            "decisions", "Decisions by action and, if nothing was done, why.", "action", "reason"
        )
        self.commands = self._counter(
            "commands", "Commands that stand on their topics, repetitions included.", "channel", "mark"
        )
        self.waiting = self._gauge(
            "alerts_waiting",
            "Alerts without budget so far, to be decided again later.",
            "partition",
        )
        self.send_seconds = self._histogram(
            "send_seconds", "Time until outputs were confirmed.", _FAST, "topic"
        )
        self.alert_delay = self._histogram(
            "alert_delay_seconds", "From reading a record to its alert being confirmed on its topic.", _FAST
        )
        # -- answering
        self.queries = self._counter("queries", "Queries by kind and what became of them.", "kind", "result")
        self.query_seconds = self._histogram(
            "query_seconds",
            "Time to look an answer up, or to see that another worker has it.",
            _FAST,
        )
        # -- the process
        self.ready = self._gauge("ready", "1 when everything is recovered and assigned.")
        self.assigned = self._gauge("assigned_partitions", "Partitions of per-user topics this worker owns.")

    def _add_sessions(self) -> None:
        self.replaying = self._gauge(
            "replaying", "1 while an open replay session says that what is read is history."
        )
        self.refused_announcements = self._counter(
            "refused_announcements", "Records of `control` that could not be read."
        )

    def _add_unreadable(self) -> None:
        self.broken_batch = self._gauge(
            "unreadable_batch_offset",
            "Offset before which a partition stands still: the record batch there cannot be unpacked.",
            "topic",
            "partition",
        )
        self.skipped_batches = self._counter(
            "skipped_batches", "Record batches that operators passed over.", "topic"
        )
        self.lost_batches = self._counter(
            "lost_batches",
            "Record batches of internal topics that cannot be unpacked and were passed over.",
            "topic",
        )
        self.undecodable = self._counter(
            "undecodable_records",
            "Dead letters whose decoding ended in an error that no rule foresees, by class of the error.",
            "topic",
            "kind",
        )

    def _add_guard(self) -> None:
        self.threshold = self._gauge(
            "alert_threshold_ratio", "Probability at which the tier begins, as the last sweep had it.", "tier"
        )
        self.held = self._counter(
            "alerts_held", "Alerts that the guard kept from being raised, at each decision time anew."
        )
        self.unguarded = self._counter(
            "unguarded_sweeps",
            "Live sweeps without the trainer's word as of their decision time.",
        )
        self.mass_alarm = self._gauge(
            "mass_alarm", "1 while a step is not believable: alerts are held, released or dropped.", "state"
        )
        self.step = self._gauge(
            "step_ratio",
            "What the guard saw last: crossing, of the active customers; orders, of the usual buyers.",
            "kind",
        )
        self.left_out = self._counter(
            "labels_left_out", "Labels not learned: the shop was mostly closed in their horizon."
        )
        self.closed_days = self._gauge(
            "closed_days", "Days on which the shop was closed, as far as the trainer can tell."
        )

    def _add_learning(self) -> None:
        self.labels = self._counter("labels", "Labels learned.")
        self.model_version = self._gauge("model_version", "Version in force.", "model")
        self.model_as_of = self._gauge(
            "model_as_of_timestamp_seconds", "Decision time the trainer's newest version has learned up to."
        )
        self.champion = self._gauge(
            "champion", "1 for the contender that raises alerts, 0 for the others.", "model"
        )
        self.cold = self._gauge(
            "cold", "1 for a contender that began anew beside others, for want of its state.", "model"
        )
        self.trainer_waiting = self._gauge(
            "trainer_waiting",
            "Decision times that are not learned, because this partition has not sent its part of them.",
            "partition",
        )
        self.promotions = self._counter("promotions", "Changes of champion that were earned and published.")
        self.model_override = self._gauge(
            "model_override", "1 while an operator's override of the trainer stands, else 0."
        )
        self.learn_seconds = self._histogram("learn_seconds", "Time to learn one decision time.", _FAST)
        self.auc = self._gauge(
            "progressive_auc", "Progressive AUC of issued probabilities.", "model", "record"
        )
        self.log_loss = self._gauge(
            "progressive_log_loss", "Progressive log loss of issued probabilities, nats.", "model", "record"
        )
        self.brier = self._gauge(
            "progressive_brier", "Progressive Brier score of issued probabilities.", "model", "record"
        )
        self.base_log_loss = self._gauge(
            "base_rate_log_loss", "Log loss of the base rate in hindsight, nats.", "record"
        )
        self.pr_auc = self._gauge(
            "progressive_pr_auc", "Progressive average precision of issued probabilities.", "model", "record"
        )
        self.ece = self._gauge(
            "progressive_ece",
            "Progressive expected calibration error, 15 equal-mass bins.",
            "model",
            "record",
        )
        self.calibration_gap = self._gauge(
            "calibration_gap", "Mean forecast of the champion minus the churn rate that followed.", "tier"
        )
        self.pool_weight = self._gauge("pool_weight", "Share of each contender in the pool.", "model")
        self.input_stability = self._gauge(
            "input_stability", "Population stability index against a horizon ago.", "feature"
        )
        self.drifts = self._counter(
            "drifts", "Drifts told: psi (of an input), page_hinkley (of the loss).", "measure"
        )
        self.refused_versions = self._counter("refused_versions", "Model versions that were refused.")

    def forget(self, partition: int) -> None:
        """Drop the gauges of a partition that is another worker's now: a frozen value would be a lie."""
        for gauge in vars(self).values():
            if isinstance(gauge, Gauge) and "partition" in gauge._labelnames:  # noqa: SLF001 - no public way
                gauge.remove_by_labels({"partition": str(partition)})

    def _name(self, name: str) -> str:
        return f"{_PREFIX}_{name}"

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(self._name(name), text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(self._name(name), text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(self._name(name), text, labels, buckets=buckets, registry=self.registry)
