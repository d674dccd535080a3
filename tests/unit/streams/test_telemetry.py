"""The metric catalogue keeps to its own rules."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics import MetricWrapperBase

from streams.telemetry import Metrics

METRICS = Metrics()
CATALOGUE = [each for each in vars(METRICS).values() if isinstance(each, MetricWrapperBase)]
#: Nothing here grows with customers, and nothing tells one.
LABELS = {
    "topic",
    "partition",
    "action",
    "reason",
    "model",
    "table",
    "source",
    "fate",
    "kind",
    "status",
    "result",
    "record",
    "channel",
    "mark",
    "mode",
    "tier",
    "feature",
    "measure",
    "state",
}


def family(metric: MetricWrapperBase) -> str:
    (found,) = metric.describe()
    return str(found.name)


def test_the_catalogue_is_complete():
    assert len(CATALOGUE) > 40
    names = [family(metric) for metric in CATALOGUE]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("metric", CATALOGUE, ids=family)
def test_a_metric_has_the_prefix_a_meaning_and_bounded_labels(metric: MetricWrapperBase):
    (found,) = metric.describe()

    assert found.name.startswith("churnwatch_")
    assert found.documentation.endswith(".")
    assert set(metric._labelnames) <= LABELS


@pytest.mark.parametrize("metric", CATALOGUE, ids=family)
def test_times_and_sizes_are_in_base_units_and_say_so(metric: MetricWrapperBase):
    (found,) = metric.describe()
    words = found.name.split("_")

    assert not {"ms", "millis", "milliseconds", "minutes", "kb", "mb", "kilobytes"} & set(words)
    if "Time" in found.documentation.split() or "Duration" in found.documentation.split():
        assert words[-1] == "seconds"
    if "Memory" in found.documentation.split() or "Size" in found.documentation.split():
        assert words[-1] == "bytes"


def test_counters_end_in_total():
    page = generate_latest(METRICS.registry).decode()
    counters = [line.split()[2] for line in page.splitlines() if line.endswith(" counter")]

    assert counters
    assert all(name.endswith("_total") for name in counters)


def test_two_processes_worth_of_metrics_can_live_in_one():
    one, other = Metrics(), Metrics()
    one.scored.inc(3)

    assert b"churnwatch_customers_scored_total 0.0" in generate_latest(other.registry)


def test_what_is_said_of_a_partition_goes_with_it():
    metrics = Metrics()
    for partition in ("1", "2"):
        metrics.customers.labels(partition).set(5)
        metrics.checkpoint_age.labels("ledger", partition).set(1)

    metrics.forget(1)
    metrics.forget(7)

    page = generate_latest(metrics.registry).decode()
    assert 'partition="1"' not in page
    assert page.count('partition="2"') == 2
