"""What a run leaves behind, as plain values, and how two runs differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from interventions.rows import STATE_KEY, PartitionRow, decode_row
from models.marks import MARKS
from models.signing import open_signed
from models.trainer import Trainer
from streams.reading import read_core, read_ledger, read_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.settings import Settings
    from tests.broker.cluster import WorkerProcess

#: Runs may differ by this much, relative to the larger of 1 and the value: floats are summed in any order.
TOLERANCE: Final = 1e-9
OUTPUTS: Final = (
    "churn-alerts",
    "decisions",
    "commands.coupon",
    "commands.email",
    "commands.sms",
    "commands.call",
    "commands.coupon.shadow",
    "commands.email.shadow",
    "commands.sms.shadow",
    "commands.call.shadow",
    "dead-letters",
)


@dataclass
class Outputs:
    """Everything that any subscriber sees on the output topics, by logical topic and identity of the record.

    An identity holds every distinct value that was published under it: more than one is a contradiction.
    """

    consumer: AIOKafkaConsumer
    names: dict[str, str]
    seen: dict[str, dict[tuple[str, ...], set[bytes]]] = field(
        default_factory=lambda: {topic: {} for topic in OUTPUTS}
    )
    #: Records that repeated an earlier one.
    repeated: int = 0
    letters: list[Any] = field(default_factory=list)

    @classmethod
    async def follow(cls, settings: Settings) -> Outputs:
        """Read from the beginning; call `read` often: the embedded broker keeps 5 MB of each partition."""
        topics = settings.kafka.topics()
        names = {topics[name]: name for name in OUTPUTS}
        consumer = AIOKafkaConsumer(
            **settings.kafka.client_options(), enable_auto_commit=False, fetch_max_wait_ms=10
        )
        await consumer.start()
        tps = [TopicPartition(topic, p) for topic in names for p in range(settings.kafka.partitions)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        return cls(consumer, names)

    async def read(self) -> None:
        """Take all there is by now."""
        tps = list(self.consumer.assignment())
        ends = await self.consumer.end_offsets(tps)
        while behind := [tp for tp in tps if await self.consumer.position(tp) < ends[tp]]:
            for tp, records in (await self.consumer.getmany(*behind, timeout_ms=20)).items():
                for record in records:
                    self._take(self.names[tp.topic], record)

    def _take(self, topic: str, record: Any) -> None:
        if topic == "dead-letters":
            self.letters.append(record)
            return
        value = msgspec.json.decode(record.value)
        if topic.startswith("commands."):
            identity: tuple[str, ...] = (value["command_id"],)
        else:
            identity = (value["alert_id"], value["status"], value["tier"])
        known = self.seen[topic].setdefault(identity, set())
        self.repeated += bool(known)
        known.add(record.value)

    def contradictions(self) -> list[str]:
        """Identities under which different values were published."""
        return [
            f"{topic} {identity}: {values}"
            for topic, found in self.seen.items()
            for identity, values in found.items()
            if len(values) > 1
        ]

    def commands(self) -> dict[tuple[str, ...], set[bytes]]:
        """Commands byte for byte."""
        return {
            key: found
            for topic in OUTPUTS
            if topic.startswith("commands.")
            for key, found in self.seen[topic].items()
        }

    def values(self) -> dict[str, dict[str, Any]]:
        """Each output once, decoded."""
        return {
            topic: {"/".join(key): msgspec.json.decode(min(values)) for key, values in found.items()}
            for topic, found in self.seen.items()
        }


@dataclass(frozen=True)
class Left:
    """What a run has left behind."""

    state: dict[str, Any]
    outputs: Outputs
    workers: list[WorkerProcess]


async def state_of(settings: Settings) -> dict[str, Any]:
    """The state that stands on changelogs and checkpoints after every worker has stopped."""
    found: dict[str, Any] = {"customers": {}, "cohorts": {}, "places": {}, "ledger": {}, "books": {}}
    for partition in range(settings.kafka.partitions):
        await _customers(settings, partition, found)
        await _ledger(settings, partition, found)
    found["models"] = msgspec.to_builtins(await read_models(settings), order="deterministic")
    found["trainer"] = trainer_of(settings)
    return found


async def _customers(settings: Settings, partition: int, found: dict[str, Any]) -> None:
    core = await read_core(settings, partition)
    for user, slot in core.table.index.items():
        row = core.table.rows[slot]
        profile = core.table.profiles.get(slot)
        found["customers"][user] = {name: row[name].tolist() for name in row.dtype.names} | {
            "profile": None if profile is None else profile.packed,
            "forks": len(core.table.forks(slot)),
            "pending": [pending.value for pending in core.pending.get(user, [])],
        }
    for ts, cohort in core.cohorts.items():
        found["cohorts"][partition, ts] = {
            "hashes": cohort.hashes.tolist(),
            "inputs": cohort.inputs.tolist(),
            "issued": cohort.issued.tolist(),
            "recency": cohort.recency.tolist(),
        }
    erased = {code: each.ts for code, each in core.erased.items()}
    found["places"][partition] = {"swept": core.swept, "matured": core.matured, "erased": erased}


async def _ledger(settings: Settings, partition: int, found: dict[str, Any]) -> None:
    ledger = await read_ledger(settings, partition)
    for user in (user for user in found["customers"] if user not in found["ledger"]):
        if (row := ledger.history(user)) is not None:
            # Stamps are left out: an alert that was published twice moves the offsets of those behind it.
            found["ledger"][user] = {
                "episode": msgspec.to_builtins(row.episode),
                "decided": msgspec.to_builtins(row.decided),
                "contacts": msgspec.to_builtins(row.contacts),
            }
    value = ledger.value_of(STATE_KEY)
    state = PartitionRow() if value is None else decode_row(value, PartitionRow)
    found["books"][partition] = msgspec.to_builtins({mark: state.book(mark) for mark in MARKS})


def trainer_of(settings: Settings) -> dict[str, Any]:
    """What the trainer's own checkpoint says it has learned."""
    folder = settings.worker.state_dir
    blob = (folder / "trainer.checkpoint").read_bytes()
    kept = msgspec.msgpack.decode(open_signed(blob, settings.secret or (folder / "signing.key").read_bytes()))
    trainer = Trainer(settings.trainer())
    trainer.restore(kept["trainer"])
    return learned(trainer)


def learned(trainer: Trainer) -> dict[str, Any]:
    """Labels, decision times and every progressive metric of a trainer."""
    return {
        "labels": trainer.labels,
        "as_of": trainer.as_of,
        "metrics": {
            name: {
                "labels": counts.labels,
                "base_rate": counts.base_rate,
                "auc": counts.auc,
                "pr_auc": counts.pr_auc,
                "log_loss": counts.log_loss,
                "brier": counts.brier,
            }
            for name, counts in trainer.record.all().items()
        },
    }


def assert_same(expected: Left, found: Left) -> None:
    """Table, cohorts, models, labels, metrics, ledger, budgets and everything published are the same."""
    _none(found.outputs.contradictions())
    _none(differences(expected.state, found.state))
    _none(differences(expected.outputs.values(), found.outputs.values()))
    _none(differences(expected.outputs.commands(), found.outputs.commands()))


def _none(faults: list[str]) -> None:
    # Said in full, because pytest explains assertions of test files only.
    assert not faults, "\n".join(map(str, faults[:20]))


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Where two nested values differ, one line each; numbers by TOLERANCE, everything else exactly."""
    return list(_differences(expected, found, path))


def _differences(expected: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}, key=str):
            if key not in expected or key not in found:
                yield f"{path}/{key}: only {'found' if key in found else 'expected'}"
            else:
                yield from _differences(expected[key], found[key], f"{path}/{key}")
    elif (
        isinstance(expected, list | tuple) and isinstance(found, list | tuple) and len(expected) == len(found)
    ):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _differences(one, other, f"{path}/{number}")
    elif isinstance(expected, float) and isinstance(found, float):
        close = math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        if not close and not (math.isnan(expected) and math.isnan(found)):
            yield f"{path}: {expected!r} expected, {found!r} found"
    elif expected != found:
        yield f"{path}: {expected!r} expected, {found!r} found"
