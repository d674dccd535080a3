"""One partition is mute: its writes are not confirmed, or its recovery hangs. The others do not notice."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Final

import pytest

from features.layout import DAY_MS, TOPICS
from streams.processes import read_metrics
from streams.sending import Message
from streams.simulated_clock import SimulatedClock
from tests.broker import mute_worker
from tests.broker.bulk_reader import committed
from tests.broker.cluster import Cluster, cluster
from tests.broker.counting import orders
from tests.broker.hands import SECONDS, put, seen, users
from tests.broker.leftovers import Outputs
from tests.broker.shop import complaint, purchase
from tests.broker.trading import EVERYBODY, decided

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

DAYS: Final = 3
CUSTOMERS: Final = 5
#: As much as 130 records: what comes for the mute partition is far more than its share of that.
WINDOW: Final = 256 << 10
CLICKS: Final = 4_000


def click(user: str, ts: int, number: int) -> bytes:
    return json.dumps(
        {"type": "page_view", "event_id": f"{user}-{ts}-{number}", "user_id": user, "ts": ts}
    ).encode()


class Shop:
    """The same on every partition: each customer buys on each day, and complains on the last one."""

    def __init__(self, settings: Settings, clock: SimulatedClock) -> None:
        self._settings = settings
        self._clock = clock
        self._partitions = range(settings.kafka.partitions)
        self.users = [users(partition, len(self._partitions), CUSTOMERS) for partition in self._partitions]
        #: Noon of the last day.
        self.last = int(time.time() * 1000) // DAY_MS * DAY_MS - DAY_MS // 2

    async def day(self, number: int) -> int:
        """Trade for a day, and let it be over; its end."""
        noon = self.last - (DAYS - 1 - number) * DAY_MS
        for partition, names in enumerate(self.users):
            await put(
                self._settings, "orders", partition, [Message(n.encode(), purchase(n, noon)) for n in names]
            )
        end = noon + DAY_MS // 2
        for topic in TOPICS:
            for partition in self._partitions:
                await put(self._settings, topic, partition, [Message(None, self._clock.tick(end))])
        return end

    async def clicks(self, partition: int) -> None:
        user = self.users[partition][0]
        await put(
            self._settings,
            "clickstream",
            partition,
            [Message(user.encode(), click(user, self.last, n)) for n in range(CLICKS)],
        )

    async def complain(self) -> None:
        now = int(time.time() * 1000)
        for partition, names in enumerate(self.users):
            await put(
                self._settings, "reviews", partition, [Message(n.encode(), complaint(n, now)) for n in names]
            )


async def measured(running: Cluster, name: str, **labels: str) -> float:
    """A metric of the last worker; 0 before its page is there."""
    page = running.workers[-1].page()
    assert running.workers[-1].child.returncode is None, running.workers[-1].said()
    if page is None:
        return 0
    found = await asyncio.to_thread(read_metrics, page)
    told = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return found.get(f"churnwatch_{name}{{{told}}}", 0)


def complaints(outputs: Outputs) -> list[str]:
    """Customers about whose complaints something was decided, as often as that was so."""
    found = outputs.values()
    alerts = {each["alert_id"] for each in found["churn-alerts"].values() if each["kind"] == "trigger"}
    return [each["user_id"] for each in found["decisions"].values() if each["alert_id"] in alerts]


async def until_swept(running: Cluster, partition: int, ts: int) -> None:
    async with asyncio.timeout(SECONDS):
        while await measured(running, "swept_timestamp_seconds", partition=str(partition)) < ts / 1000:  # noqa: ASYNC110 - another process has no events
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["write", "recovery"])
async def test_the_others_go_on_and_the_mute_one_catches_up_exactly(
    broker: Broker, how: str, tmp_path: Path
) -> None:
    mute = tmp_path / "mute"
    mute.touch()
    async with cluster(
        broker,
        tmp_path,
        **EVERYBODY
        | {
            "alerting": EVERYBODY["alerting"] | {"act_within_days": DAYS + 2, "guard_wait_seconds": 0.5},
            "worker": {"write_timeout_seconds": 1.0, "in_flight_bytes": WINDOW},
        },
    ) as running:
        settings = running.settings
        outputs = await Outputs.follow(settings)
        with SimulatedClock(settings) as clock:
            shop = Shop(settings, clock)
            await running.start_worker(("-m", mute_worker.__name__, how, str(mute)))
            await shop.clicks(0)
            end = 0
            for number in range(DAYS):
                end = await shop.day(number)
                await until_swept(running, 1, end)
            await shop.complain()
            await seen(outputs, lambda: len(complaints(outputs)) == CUSTOMERS)

            assert await committed(settings, "orders", 1) == DAYS * (CUSTOMERS + 1)
            assert {*complaints(outputs), *decided(outputs)} == {*shop.users[1]}
            assert await committed(settings, "orders", 0) == 0
            assert 0 < await measured(running, "in_flight_bytes") < 3 << 20, "a share, and a poll"

            mute.unlink()
            await until_swept(running, 0, end)
            await running.consumed()
            await seen(outputs, lambda: len(complaints(outputs)) == 2 * CUSTOMERS)
        await running.stop()
        await outputs.read()
        await outputs.consumer.stop()

        everybody = [user for names in shop.users for user in names]
        assert await orders(settings) == dict.fromkeys(everybody, DAYS)
    assert outputs.contradictions() == []
    assert sorted(complaints(outputs)) == sorted(everybody)
