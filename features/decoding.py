"""From bytes to a valid event, or to the reason why not: the gate every input message passes.

The verdict is a function of the message and of its record's timestamp alone. No clock takes part and no
limit that depends on the state of the interpreter, so a log read twice is judged twice the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Union, cast

import msgspec

from features.cloudevents import fill_envelope
from features.events import Event, Purchase, Refund, Tick
from features.fields import EARLIEST, LATEST, epoch_ms
from features.inputs import TOPIC_OF, wire_types
from features.money import Currencies
from features.rejection import Reason, Rejected

if TYPE_CHECKING:
    from datetime import datetime

#: Kafka headers: any name may come more than once, any value may be null.
Headers = Sequence[tuple[str, bytes | None]]

DAY_MS: Final = 86_400_000
#: JSON nested deeper than this is refused. Well below the interpreter's own limit, which depends on how
#: deep its stack is at that moment.
MAX_DEPTH: Final = 200

_LONGEST_ID: Final = 256
_BACKSLASH, _DELETE, _BRACKET, _BRACE = b"\\\x7f[{"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_FAULTY_FIELD: Final = re.compile(r" - at .*\b(\w+)(?:\[\.\.\.\])*`$")
_parse_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
#: The fields of an object as they are spelled: what is not looked at is passed on as it came.
_parse_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_REASON_BY_FIELD: Final[dict[str, Reason]] = {
    "type": "unknown_type",
    "ts": "bad_timestamp",
    "currency": "unknown_currency",
    "value": "bad_money",
    "price": "bad_money",
}


class EventDecoder:
    """Decodes the messages of one input topic.

    `max_bytes` bounds a message; `max_ahead_ms` says how far an event may lie ahead of its record's
    timestamp. Raises KeyError when `topic` is no input topic.
    """

    def __init__(
        self,
        topic: str,
        *,
        max_bytes: int = 65_536,
        max_ahead_ms: int = DAY_MS,
        currencies: Currencies | None = None,
    ) -> None:
        self.topic = topic
        self._max_bytes = max_bytes
        self._max_ahead_ms = max_ahead_ms
        self._has_money = topic == "orders"
        self._money = (currencies or Currencies()).micros
        # A union made at run time is beyond the type checker.
        self._parse = msgspec.json.Decoder(cast("type[Event | Tick]", Union[wire_types(topic)])).decode  # noqa: UP007

    def decode(self, value: bytes | None, record_ts: int = 0, headers: Headers = ()) -> Event | Tick:
        """The event that `value` spells; its `ts` is an int whatever the spelling.

        `record_ts` is the timestamp of the Kafka record, epoch milliseconds; 0 or less if it has none.
        From `headers` CloudEvents attributes fill what the envelope lacks. Raises Rejected whatever the
        bytes, and nothing else.
        """
        if value is None or (size := len(value)) > self._max_bytes:
            raise _unreadable(value, self._max_bytes)
        try:
            # Parsing does not look into ignored strings, so UTF-8 is checked here.
            ascii_only = value.isascii() or not value.decode()
            if size > 2 * MAX_DEPTH:
                _check_depth(value)
            event = self._parse(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejected = _rejection(error)
            if headers and rejected.reason == "missing_field":
                return self.decode(_completed(value, headers), record_ts)
            raise rejected from None
        # In ASCII without escapes and DEL no string can hold a control character, and 256 characters
        # are 256 bytes: most messages need no look at their ids.
        if not ascii_only or _BACKSLASH in value or _DELETE in value:
            _check_ids(event)
        ts = event.ts
        if type(ts) is not int:
            ts = _settle_time(event, cast("datetime", ts))
        if ts > record_ts + self._max_ahead_ms and record_ts > 0 and type(event) is not Tick:
            raise Rejected("bad_timestamp", f"`ts` lies {ts - record_ts} ms ahead of its record")
        if self._has_money and isinstance(event, (Purchase, Refund)):
            self._money(event.value, event.currency)
        return event


def _completed(value: bytes, headers: Headers) -> bytes:
    """`value`, whose text and depth are checked, with what its envelope lacks taken from `headers`."""
    try:
        event: dict[str, Any] = _parse_fields(value)
    except msgspec.DecodeError as error:
        raise _rejection(error) from None
    fill_envelope(event, headers)
    return msgspec.json.encode(event)


def json_object(value: bytes | None, max_bytes: int) -> dict[str, Any]:
    """The JSON object that `value` spells, whatever its fields: the gate for messages yet to be mapped.

    Raises Rejected as `EventDecoder.decode` does, and nothing else.
    """
    if value is None or len(value) > max_bytes:
        raise _unreadable(value, max_bytes)
    try:
        value.decode()
        _check_depth(value)
        return _parse_object(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _rejection(error) from None


def check_key(key: bytes | None, user_id: str) -> None:
    """Raises Rejected("misrouted") unless the record's `key` is the UTF-8 of `user_id`."""
    if key != user_id.encode():
        raise Rejected("misrouted", "the record has no key" if key is None else "the key is not the user id")


def _unreadable(value: bytes | None, max_bytes: int) -> Rejected:
    if value is None:
        return Rejected("malformed_json", "the message is null")
    return Rejected("oversize", f"{len(value)} bytes are more than {max_bytes}")


def _check_depth(value: bytes) -> None:
    """Depth cannot exceed the number of opening brackets, so nearly always counting is enough."""
    if value.count(_BRACKET) + value.count(_BRACE) <= MAX_DEPTH:
        return
    depth = 0
    for byte in _STRINGS.sub(b"", value):
        depth += (byte in b"[{") - (byte in b"]}")
        if depth > MAX_DEPTH:
            raise RecursionError


def _check_ids(event: Event | Tick) -> None:
    for owner in (event, *event.items) if isinstance(event, Purchase) else (event,):
        names = _id_fields(type(owner))
        for name in names:
            text: str | None = getattr(owner, name)
            if text is None or (text.isprintable() and text.isascii()):
                continue
            if len(text.encode()) > _LONGEST_ID:
                raise Rejected("bad_id", f"`{name}` has more than {_LONGEST_ID} bytes")
            if _CONTROL.search(text):
                raise Rejected("bad_id", f"`{name}` holds a control character")


@cache
def _id_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name.endswith("_id"))


def _settle_time(event: Event | Tick, time: datetime) -> int:
    ts = epoch_ms(time)
    if not EARLIEST <= ts < LATEST:
        raise Rejected("bad_timestamp", "`ts` lies outside 1990 to 2100")
    msgspec.structs.force_setattr(event, "ts", ts)
    return ts


def _rejection(error: Exception) -> Rejected:
    """Why parsing failed. msgspec tells field and fault in its message only; tests pin its wording."""
    message = str(error)
    if isinstance(error, RecursionError):
        return Rejected("malformed_json", f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(error, UnicodeDecodeError):
        return Rejected("invalid_utf8", message)
    if not isinstance(error, msgspec.ValidationError):
        return Rejected("malformed_json", message)
    if message.startswith("Object missing required field"):
        return Rejected("missing_field", message)
    found = _FAULTY_FIELD.search(message)
    return _invalid(found[1], message) if found else Rejected("malformed_json", message)


def _invalid(field: str, message: str) -> Rejected:
    if field.endswith("_id"):
        return Rejected("bad_id", message)
    if field == "type" and (name := re.search(r"'(.*)'", message)) and name[1] in TOPIC_OF:
        message = f"{name[0]} belongs to topic {TOPIC_OF[name[1]]}"
    return Rejected(_REASON_BY_FIELD.get(field, "bad_value"), message)
