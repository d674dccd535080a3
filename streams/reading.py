"""Reading a deployment's state from outside, for `inspect` and `features`: nothing is written anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition

from features.clock import BEGINNING
from interventions.ledger import LedgerPartition
from models.core import PartitionCore
from models.signing import HEADER, SignatureError
from models.version_reader import VersionReader
from models.wire import UNREADABLE
from streams.checkpoint import Identity
from streams.following import leave_out
from streams.readers import bounds, read_until, reader
from streams.recovery import recover
from streams.state import CustomersState, LedgerState, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.versions import ModelSet
    from streams.readers import BrokenBatchError
    from streams.settings import Settings


async def read_core(settings: Settings, partition: int) -> PartitionCore:
    """The customers of one partition, from the changelog and a checkpoint if it lies here.

    Raises RecoveryError when the changelog alone does not reach back far enough.
    """
    core = PartitionCore(partition, settings.core(), {}, settings.currencies().micros)
    await _recover(settings, "customers", partition, CustomersState(core))
    return core


async def read_ledger(settings: Settings, partition: int) -> LedgerPartition:
    """The ledger of one partition; as `read_core`."""
    ledger = LedgerPartition(settings.policy(), 0, "off")
    await _recover(settings, "ledger", partition, LedgerState(ledger, sends=False))
    return ledger


async def _recover(settings: Settings, table: str, partition: int, state: State) -> None:
    kafka = settings.kafka
    identity = Identity(kafka.topics()[f"{table}-changelog"], partition, kafka.partitions)
    path = settings.worker.state_dir / f"{table}-{partition}.checkpoint"
    await recover(state, identity, path, kafka.client_options())


class Versions(NamedTuple):
    """What stands on `models`: the sets that can be used, why others cannot, whether anything is signed."""

    reader: VersionReader
    refused: list[str]
    signed: bool


async def read_models(settings: Settings) -> ModelSet:
    """The models in force, or what speaks before there are any."""
    return (await read_versions(settings)).reader.latest or settings.trainer().initial(BEGINNING)


async def read_versions(settings: Settings) -> Versions:
    """The versions as a worker with these settings reads them: what it refuses is not in force."""
    reader, refused, signatures = VersionReader(settings.secret), list[str](), set[bytes | None]()

    def take(record: ConsumerRecord[Any, Any]) -> None:
        signatures.add(signed := dict(record.headers).get(HEADER))
        try:
            reader.read(record.key or b"", record.value, signed)
        except (*UNREADABLE, KeyError, SignatureError) as error:
            refused.append(str(error))

    await scan(settings, "models", 0, take)
    return Versions(reader, refused, bool(signatures - {None}))


async def scan(
    settings: Settings,
    topic: str,
    partition: int,
    take: Callable[[ConsumerRecord[Any, Any]], None],
    lost: Callable[[], None] = lambda: None,
) -> None:
    """Give `take` every record that stands in a partition of a logical topic now.

    A batch that cannot be unpacked is left out: the log says so, and `lost` counts it.
    """

    def pass_over(error: BrokenBatchError) -> None:
        leave_out(error)
        lost()

    kafka = settings.kafka
    tp = TopicPartition(kafka.topics()[topic], partition)
    async with reader(kafka.client_options(), tp) as consumer:
        first, end = await bounds(consumer, tp)
        consumer.seek(tp, first)
        async for records in read_until(consumer, tp, end, leave_out=pass_over):
            for record in records:
                take(record)
