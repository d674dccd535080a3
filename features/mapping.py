"""A shop's own records become events: which of their columns is which of our fields.

A mapping is data (TOML), not code. What it makes is the JSON of the input contract, which then passes the
same gate as everybody's messages: a cell that cannot be understood is left as it is and refused there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from features.decoding import DAY_MS, EventDecoder, Headers, json_object
from features.events import Consent, Event, Item, Tick
from features.fields import epoch_ms
from features.hashing import id_hash
from features.inputs import EVENT_TYPES, TOPIC_OF
from features.rejection import Rejected

_NUMBERS: Final = frozenset({"value", "price", "quantity", "dwell_ms", "rating", "score", "late_days"})
_FLAGS: Final = tuple(f"consent.{channel}" for channel in Consent.__struct_fields__)
_FLAG_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_PER_MS: Final = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_NOON: Final = DAY_MS // 2
#: Later than 2100 in each of our units. A float far beyond it is infinite in another unit.
_BEYOND_ALL_TIME: Final = 1e19
#: How our own replayer and simulator begin a tick.
_TICK: Final = re.compile(rb'\{"type":"tick",')


class FieldMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows of one foreign source (a file, a topic) become events of `topic`.

    - `columns`: our field -> their column. Ours may reach inwards, `items.price` (an order of one line),
      `consent.email`, `attributes.gender`; theirs too, `properties.product_id`.
    - `constants`: our field -> the value it has where no column gives one.
    - `types`: their name of an event type -> ours; empty if they use ours. A name without entry is refused.
    - `ts_unit`: unit of times that are numbers. `ts_format`: strptime format of times that are text; without
      it ISO 8601 is read. A time without zone is UTC.
    - `day_resolution`: their times are days. Events are stamped 12:00 UTC, so that none falls on a
      decision time.

    Empty cells (None, "", NaN) count as absent. Numbers may come as text with a decimal point. An event
    without own id is known by its place in the source, an order without own number by its event id.

    Raises ValueError for a topic, field or type that the contract does not have.
    """

    topic: str
    columns: dict[str, str]
    constants: dict[str, str | float | bool] = {}
    types: dict[str, str] = {}
    ts_unit: Literal["s", "ms", "us", "ns"] = "ms"
    ts_format: str = ""
    day_resolution: bool = False

    def __post_init__(self) -> None:
        if self.topic not in EVENT_TYPES:
            raise ValueError(f"{self.topic!r} is no input topic; those are {', '.join(EVENT_TYPES)}")
        known = _fields(self.topic)
        for field in (*self.columns, *self.constants):
            if field not in known and not field.startswith("attributes."):
                raise ValueError(
                    f"events of {self.topic} have no field {field!r}; they have {', '.join(known)}"
                )
        for name in self.types.values():
            if TOPIC_OF.get(name) != self.topic:
                raise ValueError(f"{self.topic} has no event type {name!r}")

    @classmethod
    def from_toml(cls, text: str) -> FieldMapping:
        """The mapping that a TOML document describes. Raises ValueError if it describes none."""
        try:
            return msgspec.convert(tomllib.loads(text), cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    def translate(self, row: Mapping[str, Any], place: str) -> bytes:
        """`row` as an input message (JSON) for `EventDecoder`; `place` names the row within its source.

        Raises Rejected("unknown_type") for a type that `types` does not name, Rejected("bad_timestamp") for a
        number that is no time in any unit, Rejected("invalid_utf8") for text that is not Unicode and
        Rejected("malformed_json") for cells nested too deeply. Whatever else is wrong is found when the
        message is decoded.
        """
        event: dict[str, Any] = {}
        for field, constant in self.constants.items():
            _put(event, field, constant)
        for field, column in self.columns.items():
            cell = _lookup(row, column)
            if not _is_empty(cell):
                _put(event, field, self._understood(field, cell))
        event.setdefault("event_id", place)
        if self.topic == "orders":
            event.setdefault("transaction_id", event["event_id"])
        if isinstance(event.get("items"), dict):
            event["items"] = [event["items"]]
        try:
            return msgspec.json.encode(event, enc_hook=str)
        except UnicodeEncodeError as error:
            raise Rejected("invalid_utf8", str(error)) from None
        except RecursionError:
            raise Rejected("malformed_json", "nested too deeply") from None

    def rewrite(self, value: bytes | None, place: str, max_bytes: int = 65_536) -> bytes:
        """A foreign JSON message as an input message: `translate` for live topics.

        Raises Rejected when `value` is no JSON object of at most `max_bytes`, or as `translate` does.
        """
        return self.translate(json_object(value, max_bytes), place)

    def decoder(self, decoder: EventDecoder, max_bytes: int) -> MappedDecoder:
        """`decoder` for a live topic whose messages are theirs."""
        return MappedDecoder(decoder, self, max_bytes)

    def _understood(self, field: str, cell: Any) -> Any:
        if field == "ts":
            ts = self._time(cell)
            return ts // DAY_MS * DAY_MS + _NOON if self.day_resolution and isinstance(ts, int) else ts
        if field == "type" and self.types:
            return self._type(str(cell))
        name = field.rpartition(".")[2]
        if name in _NUMBERS:
            return _number(cell)
        return _flag(cell) if field in _FLAGS else _text(cell)

    def _type(self, theirs: str) -> str:
        ours = self.types.get(theirs)
        if ours is None:
            raise Rejected("unknown_type", f"the mapping has no entry for type {theirs!r}")
        return ours

    def _time(self, cell: Any) -> Any:
        if isinstance(cell, str):
            cell = self._parsed(cell)
        if isinstance(cell, datetime):
            return epoch_ms(cell if cell.tzinfo else cell.replace(tzinfo=UTC))
        if isinstance(cell, date):
            return epoch_ms(datetime(cell.year, cell.month, cell.day, tzinfo=UTC))
        if isinstance(cell, int | float):
            return self._milliseconds(cell)
        return cell

    def _milliseconds(self, number: float) -> int:
        if not abs(number) < _BEYOND_ALL_TIME:  # also what is not finite
            raise Rejected("bad_timestamp", "the time lies outside 1990 to 2100")
        if isinstance(number, int):
            return number * 1000 if self.ts_unit == "s" else number // _PER_MS[self.ts_unit]
        return round(number * 1000 if self.ts_unit == "s" else number / _PER_MS[self.ts_unit])

    def _parsed(self, text: str) -> datetime | int | str:
        try:
            if self.ts_format:
                return datetime.strptime(text, self.ts_format)  # noqa: DTZ007 - a missing zone is UTC
            return int(text) if text.isdecimal() else datetime.fromisoformat(text)
        except ValueError:
            return text


class MappedDecoder(EventDecoder):
    """Decodes a live topic through a mapping; ticks stand in it in our own form."""

    def __init__(self, decoder: EventDecoder, mapping: FieldMapping, max_bytes: int) -> None:
        self.topic = decoder.topic
        self._inner = decoder
        self._mapping = mapping
        self._most = max_bytes

    def decode(self, value: bytes | None, record_ts: int = 0, headers: Headers = ()) -> Event | Tick:
        """As `EventDecoder.decode`. A message without id is known by its bytes, so a retry is a retry."""
        if value is not None and _TICK.match(value):
            return self._inner.decode(value, record_ts, headers)
        place = f"{self.topic}-{id_hash(value.hex() if value else ''):016x}"
        return self._inner.decode(self._mapping.rewrite(value, place, self._most), record_ts, headers)


def _fields(topic: str) -> dict[str, None]:
    """Names of the fields that events of `topic` may have, in the order of their types."""
    fields: dict[str, None] = {"type": None}
    for kind in EVENT_TYPES[topic]:
        fields |= dict.fromkeys(kind.__struct_fields__)
    if "items" in fields:
        fields |= dict.fromkeys(f"items.{name}" for name in Item.__struct_fields__)
    if "consent" in fields:
        fields |= dict.fromkeys(_FLAGS)
    return fields


def _put(event: dict[str, Any], field: str, value: Any) -> None:
    """`event["a"]["b"] = value` for the field `a.b`."""
    outer, _, inner = field.partition(".")
    if not inner:
        event[field] = value
    elif isinstance(event.setdefault(outer, {}), dict):
        event[outer][inner] = value


def _lookup(row: Mapping[str, Any], column: str) -> Any:
    """The cell named `column`, or the one its dotted path leads to; None if there is neither."""
    if column in row or "." not in column:
        return row.get(column)
    cell: Any = row
    for name in column.split("."):
        cell = cell.get(name) if isinstance(cell, Mapping) else None
    return cell


def _is_empty(cell: Any) -> bool:
    if isinstance(cell, Decimal):
        return cell.is_nan()  # comparing a signalling one raises
    # NaN and NaT, whatever library they come from, are what differs from itself.
    return cell is None or (isinstance(cell, str) and not cell) or bool(cell != cell)  # noqa: PLR0124


def _number(cell: Any) -> Any:
    if isinstance(cell, str | Decimal):
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell


def _flag(cell: Any) -> Any:
    return cell if isinstance(cell, bool) else _FLAG_WORDS.get(str(cell).lower(), cell)


def _text(cell: Any) -> Any:
    """Ids are often numbers in tables, and whole floats where some are missing."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell if isinstance(cell, str | list | dict) else str(cell)
