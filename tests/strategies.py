"""Messages of the input topics: strategies for valid ones, and a corpus with hostile ones between."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from features.decoding import EventDecoder
from features.inputs import EVENT_TYPES, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.events import Event

START_MS = 1_577_836_800_000  # 2020-01-01
SPAN_MS = 400 * 86_400_000

ids = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
times = st.integers(START_MS, START_MS + SPAN_MS)
amounts = st.floats(0, 1e6)
_words = st.text(max_size=20)
_consent = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("email", "sms", "call", "onsite"), st.sampled_from([True, False, None]))
)
_item = st.fixed_dictionaries(
    {"item_id": ids, "price": amounts, "quantity": st.floats(0, 100)}, optional={"item_category": _words}
)

_REQUIRED: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "search": {"query": _words},
    "purchase": {"transaction_id": ids, "value": amounts, "currency": st.sampled_from(["EUR", "XXX"])},
    "refund": {"transaction_id": ids, "value": amounts, "currency": st.sampled_from(["EUR", "XXX"])},
    "cancel": {"transaction_id": ids},
    "delivery": {"transaction_id": ids},
    "survey": {"score": st.floats(0, 10)},
    "support": {"text": _words, "channel": st.sampled_from(["ticket", "chat", "call"])},
}
_OPTIONAL: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "purchase": {"coupon": _words, "items": st.lists(_item, max_size=4)},
    "delivery": {"late_days": st.floats(-30, 30)},
    "review": {"rating": st.floats(0, 5), "text": _words, "item_id": ids, "language": st.just("en")},
    "survey": {"text": _words},
    "profile": {
        "consent": _consent,
        "timezone": st.sampled_from(["Europe/Berlin", "Asia/Shanghai", None]),
        "locale": st.sampled_from(["de-DE", "zh-CN", None]),
        "tier": st.sampled_from(["gold", "silver", None]),
        "attributes": st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y", None])),
    },
}
_BROWSING: dict[str, st.SearchStrategy[Any]] = {
    "session_id": ids,
    "item_id": ids,
    "item_category": _words,
    "price": amounts,
    "quantity": st.floats(0, 100),
    "dwell_ms": st.floats(0, 1e6),
    "device": _words,
}


def payloads(topic: str, user_ids: st.SearchStrategy[str] = ids) -> st.SearchStrategy[dict[str, Any]]:
    """Valid messages of `topic` as JSON objects."""
    return st.one_of(_payload(topic, type_name(kind), user_ids) for kind in EVENT_TYPES[topic])


def _payload(topic: str, name: str, user_ids: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    envelope = {"type": st.just(name), "event_id": ids, "user_id": user_ids, "ts": times}
    if topic == "outcomes":
        envelope["command_id"] = ids
        optional = {"channel": st.sampled_from(["coupon", "email", "sms", "call"])}
    else:
        optional = _BROWSING if topic == "clickstream" else _OPTIONAL.get(name, {})
    return st.fixed_dictionaries(envelope | _REQUIRED.get(name, {}), optional=optional)


def events(topic: str, user_ids: st.SearchStrategy[str] = ids) -> st.SearchStrategy[Event]:
    """Valid events of `topic`, decoded."""
    decode = EventDecoder(topic).decode
    return payloads(topic, user_ids).map(lambda payload: decode(json.dumps(payload).encode()))


class Fuzzed(NamedTuple):
    """One record to produce to `topic`, and whether it is to be taken as an event."""

    topic: str
    key: bytes | None
    value: bytes | None
    expected_valid: bool


Payload = dict[str, Any]
Record = tuple[bytes | None, bytes | None]


def fuzz_corpus(seed: int, n: int) -> Iterator[Fuzzed]:
    """`n` records, half of them hostile, the same for the same `seed`.

    Valid ones have event and transaction ids of their own and rising times, one second apart, so all of them
    count; none is an erasure. About one record in 600 is a megabyte long.
    """
    rng = random.Random(seed)
    topics = list(EVENT_TYPES)
    for number in range(n):
        topic = rng.choice(topics)
        payload = _valid(rng, topic, number)
        if rng.random() < 0.5:
            yield Fuzzed(topic, *_record(payload), expected_valid=True)
        else:
            yield Fuzzed(topic, *rng.choice(HOSTILE)(rng, payload), expected_valid=False)


_EXTRAS: dict[str, Callable[[random.Random, int], Payload]] = {
    "search": lambda rng, _: {
        "query": rng.choice(["红色连衣裙", "'; DROP TABLE users;--", "\u202egnp.exe", ""])
    },
    "purchase": lambda rng, i: {
        "transaction_id": f"t{i}",
        "value": round(rng.uniform(0, 500), 2),
        "currency": "EUR",
        "items": [{"item_id": f"sku-{j}", "price": 9.5, "quantity": 1} for j in range(rng.randrange(4))],
    },
    "refund": lambda rng, i: {"transaction_id": f"t{i}", "value": rng.randrange(100), "currency": "EUR"},
    "cancel": lambda _, i: {"transaction_id": f"t{i}"},
    "delivery": lambda rng, i: {"transaction_id": f"t{i}", "late_days": rng.randrange(-2, 9)},
    "review": lambda rng, _: {"rating": rng.randrange(6), "text": 'line\nline \u0000 "quoted" \\ 差评'},
    "survey": lambda rng, _: {"score": rng.randrange(11)},
    "support": lambda *_: {"text": "\ufeffwhere is it?", "channel": "chat"},
    "profile": lambda rng, _: {"consent": {"email": rng.choice([True, False, None])}, "attributes": {"": ""}},
}

#: Strange, and yet allowed.
_USERS = [
    *(f"u{i}" for i in range(40)),
    "__proto__",
    "😀" * 64,
    "x" * 256,
    "null",
    "../../etc",
    "a b",
    "%00",
    '"',
]


def _valid(rng: random.Random, topic: str, number: int) -> Payload:
    name = rng.choice([name for kind in EVENT_TYPES[topic] if (name := type_name(kind)) != "erasure"])
    payload: Payload = {
        "type": name,
        "event_id": f"e{number}",
        "user_id": rng.choice(_USERS),
        "ts": START_MS + 1000 * number,
    }
    if topic == "outcomes":
        payload["command_id"] = f"c{number}"
    if rng.random() < 0.1:
        payload["nobody_asked"] = {"deep": [[[[1e300, None, "\ud83d\ude00"]]]], "": True}
    return payload | _EXTRAS.get(name, lambda *_: {})(rng, number)


def _record(payload: Payload, key: bytes | None = None) -> Record:
    return key or payload["user_id"].encode(), json.dumps(payload).encode()


def _text(payload: Payload, **raw: str) -> Record:
    """The record with fields replaced by raw JSON, which need not be JSON."""
    holes = {field: f"@{field}@" for field in raw}
    text = json.dumps(payload | holes)
    for field, value in raw.items():
        text = text.replace(f'"@{field}@"', value)
    return payload["user_id"].encode(), text.encode()


def _ending(payload: Payload, end: bytes) -> Record:
    """The record with its closing brace replaced."""
    key, value = _record(payload)
    assert value is not None
    return key, value[:-1] + end


def _truncated(rng: random.Random, payload: Payload) -> Record:
    key, value = _record(payload)
    assert value is not None
    return key, value[: rng.randrange(len(value))]


def _without(rng: random.Random, payload: Payload) -> Record:
    del payload[rng.choice(["type", "event_id", "ts"])]
    return _record(payload)


def _spoiled(rng: random.Random, payload: Payload) -> dict[str, str]:
    """A field of its own that the event has, with a value that it must not have."""
    field = rng.choice([field for field in _SPOILED if field in payload] or ["user_id"])
    return {field: rng.choice(_SPOILED.get(field, _WRONG_TYPES))}


_MEGABYTE = b'{"' + b"x" * 1_000_000 + b'":0}'
_WRONG_TYPES = ["{}", "[]", "true", "null", "1.5", '"\\u0000"', '[{"a":1}]', "-1"]
_TIMES = [
    "1" * 5000,
    "-1",
    "0",
    "1e12",
    "1.7e999",
    '"yesterday"',
    '"2020-01-01T00:00:00"',
    '"9999-12-31T23:59:59Z"',
]
_NUMBERS = ["NaN", "Infinity", "-Infinity", "0x10", "+1", "01", "1_000", ".5"]
_IDS = [
    '""',
    '"a\\u0000b"',
    '"\\ud800"',
    '"' + "x" * 257 + '"',
    '"' + "é" * 129 + '"',
    "7",
    '"a\\nb"',
    '"\x7f"',
]
_WHOLE = [
    b"",
    b"null",
    b"[]",
    b'"a"',
    b"0",
    b"\x00" * 64,
    b"\xef\xbb\xbf{}",
    b"{}{}",
    b"{'a': 1}",
    b"\x1f\x8b\x08",
    None,
]

_SPOILED = {
    "value": ["-1", "1e13", "1e999", "NaN", '"12.50"', "null", "true", "1" * 4000],
    "currency": ['""', "978", "null"],
    "items": ["{}", "[1]", '[{"item_id":"a","price":1}]', '[{"item_id":"a","price":-1,"quantity":1}]'],
    "transaction_id": _IDS,
    "command_id": _IDS,
    "query": ["1", "null", "[]"],
    "rating": ["6", "-0.1", '"good"', "1e400"],
    "score": ["10.01", "-1", "null"],
    "consent": ['{"email":"yes"}', '{"sms":1}', "null", "[]"],
}

#: Every one is refused, whatever the event it is made from.
HOSTILE: list[Callable[[random.Random, Payload], Record]] = [
    _truncated,
    _without,
    lambda rng, p: (p["user_id"].encode(), rng.choice(_WHOLE)),
    lambda rng, p: (b"u", b"\xff" + rng.randbytes(rng.randrange(200))),
    lambda rng, p: _ending(p, b',"note":"' + rng.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"]) + b'"}'),
    lambda rng, p: _ending(p, b"," + rng.choice([b"", b'"a"', b'"a":', b'"a":1']) + b"}}"),
    lambda rng, p: _ending(p, b',"deep":' + b"[" * (n := rng.choice([201, 900, 30_000])) + b"]" * n + b"}"),
    lambda rng, p: _ending(p, b',"deep":' + b'{"a":' * rng.choice([500, 10_000])),
    lambda rng, p: _ending(p, b',"number":' + rng.choice(_NUMBERS).encode() + b"}"),
    lambda rng, p: _text(p, **{rng.choice(["event_id", "user_id"]): rng.choice(_WRONG_TYPES)}),
    lambda rng, p: _text(p, **{rng.choice(["event_id", "user_id"]): rng.choice(_IDS)}),
    lambda rng, p: _text(p, ts=rng.choice(_TIMES)),
    lambda rng, p: _text(p, **_spoiled(rng, p)),
    lambda rng, p: _text(
        p, type=rng.choice(['"PURCHASE"', '"purchase "', '""', "9", "null", '"' + "t" * 9000 + '"'])
    ),
    lambda rng, p: _record(p, key=rng.choice([b"somebody else", p["user_id"].encode() + b"\x00", b"\xff"])),
    lambda rng, p: (None, _record(p)[1]),
    lambda rng, p: (b"u", _MEGABYTE) if rng.random() < 0.05 else _record(p | {"ts": [p["ts"]]}),
]
