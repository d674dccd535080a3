"""What this user may do, asked of the broker before anything is tried: its answers can carry it (KIP-430).

aiokafka asks without it, so the two requests are told here in the versions that can: Metadata 8 and
DescribeGroups 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.rights import Operation, Right, Role
    from streams.topic_admin import ClientOptions
    from streams.topics import Topics

#: Kafka's numbers of the operations: bits of the answer.
_BITS: Final[Mapping[Operation, int]] = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
#: Said of a topic or group whose operations the broker does not tell.
_UNTOLD: Final = -(2**31)


class RightsError(RuntimeError):
    """The user may not do what must be done; the message names each right that is missing."""


_DENIALS: Final = (RightsError, TopicAuthorizationFailedError, GroupAuthorizationFailedError)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _GroupsStruct(DescribeGroupsRequest_v3):  # type: ignore[misc]
    #: aiokafka reads the answer as that of version 2, which ends before the operations.
    RESPONSE_TYPE = DescribeGroupsResponse_v3


class _TopicsRequest(Request[_MetadataStruct]):  # type: ignore[misc]
    """Topics by name, none of them made by asking."""

    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, struct: type[_MetadataStruct]) -> _MetadataStruct:
        return struct(self._names, False, False, True)


class _GroupRequest(Request[_GroupsStruct]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, struct: type[_GroupsStruct]) -> _GroupsStruct:
        return struct([self._group], True)


async def missing_rights(admin: AIOKafkaAdminClient, role: Role, topics: Topics) -> list[Right] | None:
    """What the user of `admin` lacks of a role's rights, by topic and group; None if the broker cannot tell.

    Topics that do not exist count as allowed. DescribeConfigs is not looked for: nothing fails without it.
    Raises KafkaError.
    """
    wanted = list(role.rights(topics))
    names = [right.name for right in wanted if right.kind == "topic"]
    try:
        allowed = {("topic", name): bits for name, bits in (await _of_topics(admin, names)).items()}
        if role.group:
            allowed["group", topics.group] = await _of_group(admin, topics.group)
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None
    lacking = (_without(right, allowed.get((right.kind, right.name))) for right in wanted)
    return [right for right in lacking if right.operations]


async def require_rights(role: Role, topics: Topics, options: ClientOptions) -> None:
    """Raise RightsError if the user of `options` lacks a right of the role; KafkaError if none answers."""
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        lacking = await missing_rights(admin, role, topics)
    finally:
        await admin.close()
    if lacking:
        raise RightsError(sentence(lacking))


def denied(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is that this user may not do something."""
    while error is not None:
        if isinstance(error, _DENIALS):
            return True
        error = error.__cause__
    return False


async def named(error: BaseException, role: Role, topics: Topics, options: ClientOptions) -> BaseException:
    """`error`, or if the broker denied something, the RightsError that names what this user lacks."""
    if denied(error) and not isinstance(error, RightsError):
        try:
            await require_rights(role, topics, options)
        except RightsError as lacking:
            return lacking
        except KafkaError as unanswered:
            error.add_note(f"which right is missing could not be asked: {unanswered}")
    return error


def sentence(rights: Iterable[Right]) -> str:
    """The missing rights in one line, with the way out."""
    named = "; ".join(f"{' and '.join(right.operations)} on {right.kind} {right.name}" for right in rights)
    return f"this user lacks the right {named}: docs/rights.md says who needs what"


def _without(right: Right, allowed: int | None) -> Right:
    """The part of a right that is not among the allowed operations."""
    missing = tuple(
        operation
        for operation in right.operations
        if operation != "DescribeConfigs" and allowed is not None and not allowed >> _BITS[operation] & 1
    )
    return replace(right, operations=missing)


async def _of_topics(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int | None]:
    answer = await admin._send_request(_TopicsRequest(names))  # noqa: SLF001 - aiokafka has no public way
    found: dict[str, int | None] = {}
    for topic in answer.to_object()["topics"]:
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            found[topic["topic"]] = 0
        elif not topic["error_code"] and topic["authorized_operations"] != _UNTOLD:
            found[topic["topic"]] = topic["authorized_operations"]
    return found


async def _of_group(admin: AIOKafkaAdminClient, group: str) -> int | None:
    try:
        node = await admin.find_coordinator(group)
    except GroupAuthorizationFailedError:
        return 0
    except GroupCoordinatorNotAvailableError:
        return None
    answer: Any = await admin._send_request(_GroupRequest(group), node)  # noqa: SLF001 - as above
    (found,) = answer.to_object()["groups"]
    if found["error_code"] == GroupAuthorizationFailedError.errno:
        return 0
    told: int = found["authorized_operations"]
    return None if told == _UNTOLD else told
