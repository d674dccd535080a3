"""What tests of the shell share."""

from __future__ import annotations

import pytest

from streams import readers
from streams.telemetry import Metrics
from tests.fakes import FakeBroker


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    """An empty broker, from which every reader reads."""
    broker = FakeBroker()
    monkeypatch.setattr(readers, "AIOKafkaConsumer", broker.consumer)
    return broker


@pytest.fixture
def metrics() -> Metrics:
    """Metrics that nobody else counts in."""
    return Metrics()
