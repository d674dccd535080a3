"""A slow wire to a broker: a TCP proxy that lets through so many bytes a second.

Each direction of each connection is slowed on its own, so that a large write does not hold up the heartbeats
of another connection. The proxy reads no faster than it writes: whoever sends feels the wire in their own
socket, as they would a real one.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from deploy.kafka import KafkaCluster, free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_CHUNK: Final = 16 * 1024
_HOST: Final = "127.0.0.1"
_HEAP_MB: Final = 512


@dataclass
class Wire:
    """Bytes per second on their way to the broker and back, None for no limit; may be changed at any time."""

    to_broker: float | None = None
    from_broker: float | None = None


class Ends(NamedTuple):
    """Addresses of one broker: past the wire, and through it."""

    direct: str
    slow: str


@asynccontextmanager
async def kafka_behind(wire: Wire, folder: Path) -> AsyncIterator[Ends]:
    """Apache Kafka of its own with two listeners, one of which advertises the near end of `wire`."""
    direct, far, near, controller = free_ports(4)
    listeners = {"PLAINTEXT": direct, "SLOW": far, "CONTROLLER": controller}
    advertised = {"PLAINTEXT": direct, "SLOW": near}
    properties = {
        "listeners": _listeners(listeners),
        "advertised.listeners": _listeners(advertised),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in listeners),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.voters": f"1@{_HOST}:{controller}",
    }
    with KafkaCluster(folder, port=direct, heap_mb=_HEAP_MB, properties=properties) as cluster:
        async with slow_wire(near, far, wire):
            yield Ends(cluster.bootstrap, f"{_HOST}:{near}")


def _listeners(ports: dict[str, int]) -> str:
    return ",".join(f"{name}://{_HOST}:{port}" for name, port in ports.items())


@asynccontextmanager
async def slow_wire(near: int, far: int, wire: Wire) -> AsyncIterator[None]:
    """Carry what comes to port `near` of this host to port `far`, and the answers back."""
    carried: set[asyncio.Task[None]] = set()

    def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_carry(reader, writer, far, wire))
        carried.add(task)
        task.add_done_callback(carried.discard)

    server = await asyncio.start_server(carry, _HOST, near, limit=_CHUNK)
    try:
        yield
    finally:
        server.close()
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far: int, wire: Wire) -> None:
    """One connection, until either side closes it."""
    far_reader, far_writer = await asyncio.open_connection(_HOST, far, limit=_CHUNK)
    both = (
        _pass(reader, far_writer, lambda: wire.to_broker),
        _pass(far_reader, writer, lambda: wire.from_broker),
    )
    ends = [asyncio.create_task(each) for each in both]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
        writer.close()
        far_writer.close()


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bytes_per_second: Callable[[], float | None]
) -> None:
    free_at = 0.0
    with suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            if (rate := bytes_per_second()) is not None:
                free_at = max(free_at, time.monotonic()) + len(chunk) / rate
                await asyncio.sleep(free_at - time.monotonic())
            writer.write(chunk)
            await writer.drain()
