"""Local checkpoints: a partition's state in one file, so that recovery reads only the changelog's tail.

    magic 4 | xxh3-64 of the rest 8 | msgpack header | msgpack rows

Written aside, flushed and renamed, so a crash leaves the old file or the new one. A file that is torn,
foreign or made for another partition count is not used; the changelog has it all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec
import xxhash

from models.storage import Row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAGIC: Final = b"CWC1"


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why."""


class Identity(msgspec.Struct, frozen=True):
    """What a checkpoint belongs to: it fits no other topic, partition or partition count."""

    topic: str
    partition: int
    partitions: int


class Checkpoint(msgspec.Struct):
    """State as of changelog `offset`: everything before it is in `rows`, nothing behind it."""

    identity: Identity
    offset: int
    rows: list[Row]


def write(path: Path, identity: Identity, offset: int, rows: Iterable[Row]) -> int:
    """Replace the checkpoint at `path`; returns its size in bytes. Raises OSError."""
    body = msgspec.msgpack.encode(Checkpoint(identity, offset, list(rows)))
    data = _MAGIC + xxhash.xxh3_64_digest(body) + body
    replace(path, data)
    return len(data)


def replace(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def read(path: Path, identity: Identity) -> Checkpoint | None:
    """The checkpoint at `path`, None if there is none; raises CheckpointError when it cannot be used."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    body = data[12:]
    if data[:4] != _MAGIC or xxhash.xxh3_64_digest(body) != data[4:12]:
        raise CheckpointError(f"{path} is torn or no checkpoint")
    try:
        found = msgspec.msgpack.decode(body, type=Checkpoint)
    except msgspec.MsgspecError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if found.identity != identity:
        raise CheckpointError(f"{path} belongs to {found.identity}")
    return found
