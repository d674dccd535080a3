"""What a broker says of topics beyond their names: ids, which a recreated topic does not keep.

aiokafka speaks Metadata up to version 5, and ids came with 10 (KIP-516), so version 12 is written down here.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BytesIO

_NO_ID: Final = uuid.UUID(int=0)


class TopicFacts(NamedTuple):
    """A topic as the broker has it; `id` is empty where brokers know none."""

    partitions: int
    id: str


async def describe(options: dict[str, Any], names: Sequence[str]) -> dict[str, TopicFacts]:
    """Partition count and id of each of these topics that is there and may be seen; raises KafkaError.

    One request. A broker that does not speak this version tells nothing: an empty answer.
    """
    client = AIOKafkaClient(**options)
    try:
        await client.bootstrap()
        answer: Any = await client.send(client.get_random_node(), _Metadata(names))
    except NotImplementedError:
        return {}
    finally:
        await client.close()
    return {
        name: TopicFacts(len(partitions), "" if topic_id == _NO_ID else str(topic_id))
        for error, name, topic_id, _, partitions, *_ in answer.topics
        if not error
    }


class _Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Metadata(Request[_Question]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = 3

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_Question]) -> _Question:
        # By name: an id is given as well in this version, and none asks by name.
        return request_struct_class([(_NO_ID, name, {}) for name in self._names], False, False, {})
