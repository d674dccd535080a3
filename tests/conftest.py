"""What all tests share: a word about the brokers they run on; Hypothesis without a clock, and how much of it.

A deadline fails tests on a busy machine, and shrinking a log of events takes minutes that a red run does not
need; HYPOTHESIS_PROFILE=shrink brings it back for whoever hunts the cause. `quick` is what `make unit` takes
between two edits: a tenth of the examples, others every time.
"""

from __future__ import annotations

import gc
import os

from hypothesis import Phase, settings

UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]

settings.register_profile("quick", deadline=None, phases=UNSHRUNK, max_examples=10)
settings.register_profile("steady", deadline=None, phases=UNSHRUNK, max_examples=100)
settings.register_profile("shrink", deadline=None, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_report_header() -> str:
    """Which real Kafka the contract suite runs on besides the embedded broker."""
    from tests.real_kafka import found  # a tenth of a second, which a quiet run need not spend

    kafka = found()
    return f"real Kafka: {f'none ({kafka})' if isinstance(kafka, str) else kafka.name}"


def pytest_collection_finish() -> None:
    """Modules and tests stay until the end: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()
