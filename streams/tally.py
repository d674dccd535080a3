"""What a run put out, counted by a plain consumer as any other subscriber would see it."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from interventions.commands import Command, Decision
from models.alerts import Alert
from models.episodes import TIERS
from streams.readers import polled
from streams.topics import LIVE_COMMANDS, SHADOW_COMMANDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.settings import Settings

OUTPUTS: Final = ("churn-alerts", "decisions", *LIVE_COMMANDS, *SHADOW_COMMANDS, "dead-letters")
_EXAMPLES: Final = 3


class Tally:
    """Counts of outputs, each alert, decision and command once however often it was published."""

    def __init__(self) -> None:
        self.alerts: dict[tuple[str, str, str], str] = {}
        self.tiers: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.commands: dict[str, str] = {}
        self.marks: Counter[str] = Counter()
        self.holdout: set[str] = set()
        self.customers: set[str] = set()
        self.dead_letters: Counter[str] = Counter()
        self.examples: list[Alert] = []
        self._decided: set[tuple[str, str, str]] = set()

    def take(self, topic: str, value: bytes, headers: Any) -> None:
        """Count one record of a logical topic."""
        if topic == "churn-alerts":
            self._alert(msgspec.json.decode(value, type=Alert))
        elif topic == "decisions":
            self._decision(msgspec.json.decode(value, type=Decision))
        elif topic == "dead-letters":
            self.dead_letters[dict(headers)["reason"].decode()] += 1
        else:
            command = msgspec.json.decode(value, type=Command)
            if command.command_id not in self.commands:
                self.commands[command.command_id] = command.channel
                self.marks[command.mark] += 1

    def _alert(self, alert: Alert) -> None:
        key = (alert.alert_id, alert.status, alert.tier)
        if key in self.alerts:
            return
        self.alerts[key] = alert.user_id
        self.customers.add(alert.user_id)
        self.tiers[alert.tier if alert.status != "resolved" else "resolved"] += 1
        if alert.status != "resolved" and alert.reasons:
            self._show(alert)

    def _show(self, alert: Alert) -> None:
        """Keep the strongest as examples, one of each customer; the order of arrival changes nothing."""
        strongest = sorted([*self.examples, alert], key=_strength)
        self.examples = list({each.user_id: each for each in reversed(strongest)}.values())
        self.examples.sort(key=_strength)
        del self.examples[_EXAMPLES:]

    def _decision(self, decision: Decision) -> None:
        key = (decision.alert_id, decision.status, decision.tier)
        if key in self._decided:
            return
        self._decided.add(key)
        if decision.arm == "holdout":
            self.holdout.add(decision.user_id)
        self.decisions[decision.withheld or decision.action] += 1

    @property
    def channels(self) -> Counter[str]:
        """Commands by channel."""
        return Counter(self.commands.values())

    @property
    def alerts_digest(self) -> str:
        """SHA-256 over the sorted ids of all alerts."""
        ids = sorted({alert_id for alert_id, _, _ in self.alerts})
        return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def _strength(alert: Alert) -> tuple[float, float, int, str]:
    """Sorts the strongest alert first, the newest of equals."""
    return -TIERS.index(alert.tier), -alert.probability, -alert.ts, alert.alert_id


class TallyReader:
    """Reads the output topics into a tally."""

    def __init__(self, consumer: AIOKafkaConsumer, names: dict[str, str]) -> None:
        self.tally = Tally()
        self._consumer = consumer
        self._names = names

    async def read(self) -> None:
        """Take everything that is on the output topics by now."""
        tps = list(self._consumer.assignment())
        ends = await self._consumer.end_offsets(tps)
        behind = [tp for tp in tps if await self._consumer.position(tp) < ends[tp]]
        while behind:
            for tp, records in (await polled(self._consumer, *behind, timeout_ms=20)).items():
                for record in records:
                    self.tally.take(self._names[tp.topic], record.value or b"", record.headers)
            behind = [tp for tp in behind if await self._consumer.position(tp) < ends[tp]]


@asynccontextmanager
async def tallying(settings: Settings) -> AsyncIterator[TallyReader]:
    """A tally of everything put out from now on."""
    topics, partitions = settings.kafka.topics(), settings.kafka.partitions
    names = {topics[name]: name for name in OUTPUTS}
    consumer = AIOKafkaConsumer(
        **settings.kafka.client_options(), enable_auto_commit=False, fetch_max_wait_ms=10
    )
    await consumer.start()
    try:
        tps = [TopicPartition(topic, p) for topic in names for p in range(partitions)]
        consumer.assign(tps)
        for tp, end in (await consumer.end_offsets(tps)).items():
            consumer.seek(tp, end)
        yield TallyReader(consumer, names)
    finally:
        await consumer.stop()
