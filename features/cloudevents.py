"""CloudEvents 1.0 on input, in Kafka's binary mode: attributes travel as `ce_` headers beside the JSON.

See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from features.rejection import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENVELOPE: Final = {"event_id": "ce_id", "type": "ce_type", "ts": "ce_time"}


def fill_envelope(event: dict[str, Any], found: Iterable[tuple[str, bytes | None]]) -> None:
    """Take what the envelope of `event` lacks from CloudEvents headers.

    `ce_id`, `ce_type` and `ce_time` stand in for `event_id`, `type` and `ts`; of a type such as
    `com.example.shop.purchase` the last part counts. What the event says itself goes first, and a header
    that is null says nothing. Raises Rejected("invalid_utf8") for one that is not UTF-8.
    """
    attributes = dict(found)
    for field, header in _ENVELOPE.items():
        if field not in event and (value := attributes.get(header)) is not None:
            text = _text(header, value)
            event[field] = text.rpartition(".")[2] if field == "type" else text


def _text(header: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Rejected("invalid_utf8", f"header {header}: {error}") from None
