"""What all tests share: a word about the brokers they run on, and which examples Hypothesis tries.

`make test` gives the same verdict every time: in the profile `steady` a property meets the same hundred
examples in every run, in `quick` (`make unit`, between two edits) ten of its own. New ones are looked for by
`search` (`make prove`), which shrinks what it finds; a find becomes an `@example` of its test.
HYPOTHESIS_PROFILE=shrink makes the smallest example of what fails in `steady`, which takes minutes where
examples are logs of events.
"""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, Phase, settings

from tests.examples import draw_the_same_in_every_run

UNSHRUNK = [Phase.explicit, Phase.generate]
# Neither a deadline nor the check of how long examples take to draw: both fail tests on a busy machine.
BASE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("quick", BASE, derandomize=True, phases=UNSHRUNK, max_examples=10)
settings.register_profile("steady", BASE, derandomize=True, phases=UNSHRUNK, max_examples=100)
settings.register_profile("shrink", BASE, derandomize=True, max_examples=100)
# What it finds is tried first the next time (.hypothesis), except in CI, where Hypothesis keeps nothing.
settings.register_profile("search", BASE, derandomize=False, max_examples=500, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
if settings.default.derandomize:
    draw_the_same_in_every_run()


def pytest_report_header() -> str:
    """Which real Kafka the contract suite runs on besides the embedded broker."""
    from tests.real_kafka import found  # a tenth of a second, which a quiet run need not spend

    kafka = found()
    return f"real Kafka: {f'none ({kafka})' if isinstance(kafka, str) else kafka.name}"


def pytest_collection_finish() -> None:
    """Modules and tests stay until the end: the garbage collector need not look at them again and again."""
    gc.collect()
    gc.freeze()
