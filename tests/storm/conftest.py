"""A Kafka for each storm of its own: what a storm does to it must not trouble other tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import real_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of real Kafka; skips where there is none, and says why."""
    source = real_kafka.found()
    if isinstance(source, str):
        pytest.skip(f"no real Kafka: {source}")
    with source.running(tmp_path_factory.mktemp("kafka")) as address:
        yield address
