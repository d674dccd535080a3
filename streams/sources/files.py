"""A shop's own log files as a source: JSON Lines, CSV and Parquet, the first two gzipped or not."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from features.fields import EARLIEST, LATEST, Timestamp, epoch_ms
from features.inputs import EVENT_TYPES, TOPIC_OF
from features.mapping import FieldMapping
from features.rejection import Rejected, Undecodable
from streams.logs import logger
from streams.sources import SourceError, SourceEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedIOBase
    from pathlib import Path

Row = TypeVar("Row")

log = logger(__name__)

#: Where a line goes whose type tells no topic. Any input would do: it ends in the dead letters.
_UNKNOWN: Final = "orders"
#: Unreadable bytes of a CSV file become U+FFFD in their cell; only the event of that row suffers.
_REPLACE: Final = "replace"
_BROKEN: Final = (OSError, EOFError, zlib.error, csv.Error, pa.ArrowException)


@dataclass(frozen=True, kw_only=True)
class _Log:
    """What files do not tell of themselves; see `streams.sources.Source`."""

    currency: str = "XXX"
    horizon_days: int = 60
    every_days: int = 7
    active_within_days: int = 120

    total = None
    ordered = False


@dataclass(frozen=True)
class FileSource(_Log):
    """Events of some files, file after file, each in its own order. See `streams.sources.Source`.

    Without `mapping` the files are JSON Lines of our envelope; the topic follows from `type`, or from a
    field `topic` where there is one. With it every record goes through the mapping, and CSV (first line:
    names of the columns) and Parquet are possible. A record that cannot be read or mapped is passed on
    as it is. Raises `SourceError` for a file that cannot be read at all, also in the middle of it.
    """

    paths: tuple[Path, ...]
    mapping: FieldMapping | None = None

    def __post_init__(self) -> None:
        _require_different_names(self.paths)

    @property
    def name(self) -> str:
        """The file names."""
        return ",".join(path.name for path in self.paths)

    @property
    def description(self) -> str:
        """Files and whether they are mapped."""
        return f"events of {self.name}" + (f", mapped to {self.mapping.topic}" if self.mapping else "")

    def __iter__(self) -> Iterator[SourceEvent]:
        """Events as they stand in the files; blank lines are left out."""
        for path in self.paths:
            try:
                yield from _with_neighbours_time(map(self._event, self._messages(path)))
            except _BROKEN as error:
                raise SourceError(f"{path} cannot be read: {_one_line(error)}") from error

    def where(self, event: SourceEvent) -> str:
        """File and number of the first record that is `event`, "" if none is; blank lines do not count."""
        for path in self.paths:
            for number, message in enumerate(self._messages(path), start=1):
                if self._event(message) == event:
                    return f"record {number:,} of {path.name}"
        return ""

    def _event(self, message: bytes) -> SourceEvent | bytes:
        return _event(message, self.mapping.topic if self.mapping else None)

    def _messages(self, path: Path) -> Iterator[bytes]:
        kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
        if kind in {"jsonl", "ndjson"}:
            lines = _lines(path)
            return lines if self.mapping is None else _rewritten(path, lines, self.mapping)
        if kind not in {"csv", "parquet"}:
            raise SourceError(f"{path}: the name must end in .jsonl, .csv (both also .gz) or .parquet")
        if self.mapping is None:
            raise SourceError(f"{path}: {kind} files need a mapping of their columns (--mapping FILE.toml)")
        return _translated(path, _csv_rows(path) if kind == "csv" else _parquet_rows(path), self.mapping)


@dataclass(frozen=True)
class SeveralFiles(_Log):
    """Files of which each has a mapping of its own, or none, as one log. See `FileSource`."""

    parts: tuple[FileSource, ...]

    def __post_init__(self) -> None:
        _require_different_names([path for part in self.parts for path in part.paths])

    @property
    def name(self) -> str:
        """The file names."""
        return ",".join(part.name for part in self.parts)

    @property
    def description(self) -> str:
        """Files and how they are mapped."""
        return "; ".join(part.description for part in self.parts)

    def __iter__(self) -> Iterator[SourceEvent]:
        """Events as they stand in the files, file after file."""
        return chain.from_iterable(self.parts)

    def where(self, event: SourceEvent) -> str:
        """See `FileSource`."""
        found = (part.where(event) for part in self.parts)
        return next((place for place in found if place), "")


def _require_different_names(paths: Iterable[Path]) -> None:
    """An event without own id is known by file name and line: raises `SourceError`."""
    names = Counter(path.name for path in paths)
    if twice := [name for name, uses in names.items() if uses > 1]:
        raise SourceError(f"several files are called {twice[0]}: their events could not be told apart")


def load_mapping(path: Path) -> FieldMapping:
    """The field mapping in a TOML file. Raises `SourceError` that says what is wrong with it."""
    try:
        return FieldMapping.from_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"mapping file {path}: {_one_line(error)}") from error


class _Envelope(msgspec.Struct):
    """As much of an event as its place in the replay depends on."""

    user_id: str
    ts: Timestamp
    type: str = ""
    topic: str = ""


_envelope = msgspec.json.Decoder(_Envelope).decode


def _event(message: bytes, topic: str | None) -> SourceEvent | bytes:
    """The message with its place in the replay, or the bare message when it does not tell."""
    try:
        envelope = _envelope(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return message
    ts: Any = envelope.ts
    if not isinstance(ts, int) and not EARLIEST <= (ts := epoch_ms(ts)) < LATEST:
        # It will be refused, and its time must not be the first or the last of the log.
        return message
    return SourceEvent(topic or _topic(envelope), envelope.user_id, ts, message)


def _topic(envelope: _Envelope) -> str:
    if envelope.topic in EVENT_TYPES:
        return envelope.topic
    return TOPIC_OF.get(envelope.type, _UNKNOWN)


def _with_neighbours_time(events: Iterator[SourceEvent | bytes]) -> Iterator[SourceEvent]:
    """Give unreadable messages topic and time of the event before them, the first ones of the event after."""
    last: SourceEvent | None = None
    leading: list[bytes] = []
    for event in events:
        if isinstance(event, SourceEvent):
            yield from _unreadable(leading, event)
            leading, last = [], event
            yield event
        elif last is None:
            leading.append(event)
        else:
            yield from _unreadable([event], last)
    yield from _unreadable(leading, SourceEvent(_UNKNOWN, "", EARLIEST, b""))


def _unreadable(messages: list[bytes], neighbour: SourceEvent) -> Iterator[SourceEvent]:
    return (SourceEvent(neighbour.topic, "", neighbour.ts, message) for message in messages)


def _opened(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _lines(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        for line in file:
            if bare := line.strip():
                yield bare


def _rewritten(path: Path, lines: Iterator[bytes], mapping: FieldMapping) -> Iterator[bytes]:
    return _mapped(path, lines, mapping.rewrite, lambda line: line)


def _translated(path: Path, rows: Iterator[dict[str, Any]], mapping: FieldMapping) -> Iterator[bytes]:
    return _mapped(path, rows, mapping.translate, _as_it_is)


def _mapped(
    path: Path, rows: Iterator[Row], to_message: Callable[[Row, str], bytes], as_it_is: Callable[[Row], bytes]
) -> Iterator[bytes]:
    """Messages of the input contract; a row that cannot become one as it is, to be refused behind this."""
    told = False
    for number, row in enumerate(rows, start=1):
        try:
            message = to_message(row, f"{path.name}:{number}")
        except Rejected:
            message = as_it_is(row)
        except Exception as error:  # noqa: BLE001 - a row that is refused is better than a file that is
            message = as_it_is(row)
            if not told:
                # Once a file: where one row has it, a million may.
                why = Undecodable(error).detail
                log.error(
                    "a row cannot be mapped, a fault of churnwatch", file=path.name, row=number, why=why
                )
                told = True
        yield message


def _as_it_is(row: dict[str, Any]) -> bytes:
    """JSON of a row, whatever its cells hold: large numbers and halves of characters too."""
    return json.dumps(row, default=str, skipkeys=True).encode()


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    open_text = gzip.open if path.suffix.lower() == ".gz" else open
    with open_text(path, "rt", encoding="utf-8-sig", errors=_REPLACE, newline="") as file:
        # Cells beyond the header are nobody's; missing ones are empty.
        yield from csv.DictReader(file, restkey="", restval="")


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
