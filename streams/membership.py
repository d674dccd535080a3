"""What aiokafka's membership of a group lacks: dealing only known topics, being heard of, static members.

A worker with `kafka.instance_id` keeps its partitions while it restarts. aiokafka 0.14 gives that name when
it joins and nowhere else, so a worker whose name was taken by another process would take it back, and the two
would throw each other out without end. And it sends no LeaveGroup for a static member, not even when asked.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.consumer import consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError, NoError, UnknownMemberIdError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

if TYPE_CHECKING:
    from streams.sections import Kafka

#: Kafka's FENCED_INSTANCE_ID, which aiokafka has no class for.
_FENCED: Final = 82
_TEXT: Final = String("utf-8")
#: How long a broker that has come back may take to learn of its topics.
_UNKNOWN_SECONDS: Final = 20.0


class FencedError(KafkaError):  # type: ignore[misc]
    """Another process joined the group under this worker's name; there is room for one."""

    def __str__(self) -> str:
        return str(self.args[0])


class _HeartbeatResponse(Response):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = Schema(("throttle_time_ms", Int32), ("error_code", Int16))


class _HeartbeatStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = _HeartbeatResponse
    SCHEMA = Schema(
        ("group", _TEXT), ("generation_id", Int32), ("member_id", _TEXT), ("group_instance_id", _TEXT)
    )


class _LeaveResponse(Response):  # type: ignore[misc]
    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT), ("error_code", Int16))),
    )


class _LeaveStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = _LeaveResponse
    SCHEMA = Schema(("group", _TEXT), ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT))))


class _StaticHeartbeat(Request[_HeartbeatStruct]):  # type: ignore[misc]
    """A heartbeat that gives the name, so that the answer tells whether another process bears it now."""

    API_KEY = 12

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, struct: type[_HeartbeatStruct]) -> _HeartbeatStruct:
        return struct(*self._fields)


class _StaticLeave(Request[_LeaveStruct]):  # type: ignore[misc]
    API_KEY = 13

    def __init__(self, group: str, instance_id: str) -> None:
        self._fields = group, [("", instance_id)]

    def build(self, struct: type[_LeaveStruct]) -> _LeaveStruct:
        return struct(*self._fields)


class Membership(GroupCoordinator):  # type: ignore[misc]
    """aiokafka's side of a consumer group, which stays out of it once it is fenced."""

    def __init__(self, *args: Any, **options: Any) -> None:
        #: When the group last confirmed this member, by the monotonic clock.
        self.confirmed = -math.inf
        self._joined_as: str | None = None
        super().__init__(*args, **options)

    async def ensure_active_group(self, subscription: Any, prev_assignment: Any) -> Any:
        """Join, for the first time or again; None if that is to be tried once more.

        Raises FencedError rather than take a name back.
        """
        if not await self._may_join():
            await asyncio.sleep(self._retry_backoff_ms / 1000)
            return None
        assignment = await super().ensure_active_group(subscription, prev_assignment)
        if assignment is not None:
            self._joined_as, self.confirmed = self.member_id, time.monotonic()
        return assignment

    async def _may_join(self) -> bool:
        """False if the group cannot be asked now."""
        name = self._group_instance_id
        if name is None or self._joined_as is None:
            return True
        try:
            answer = await self._send_req(
                _StaticHeartbeat(self.group_id, self.generation, self._joined_as, name)
            )
        except KafkaError:
            return False
        if answer.error_code == _FENCED:
            raise FencedError(
                f"another worker joined group {self.group_id} with kafka.instance_id {name}: "
                "each worker needs one of its own"
            )
        return True

    async def _perform_assignment(self, response: Any) -> Any:
        """Deal the partitions as the group's leader, once the broker tells of all topics.

        A broker that has just come back may know none, and Faust's assignor passes over an unknown topic: the
        group would be without partitions until the metadata are asked for again, which takes minutes. That
        topics exist was checked before the first join, so one that stays away has been deleted since.
        """
        topics, end = self._subscription.subscription.topics, time.monotonic() + _UNKNOWN_SECONDS
        while not all(map(self._cluster.partitions_for_topic, topics)) and time.monotonic() < end:
            await self._client.force_metadata_update()
            await asyncio.sleep(self._retry_backoff_ms / 1000)
        return await super()._perform_assignment(response)

    async def _do_heartbeat(self) -> bool:
        # Before it is sent: the answer may have waited for a process that was paused.
        asked = time.monotonic()
        alive: bool = await super()._do_heartbeat()
        if alive:
            self.confirmed = asked
        return alive


# What every consumer of this process has as its coordinator; there is no setting for it.
consumer.GroupCoordinator = Membership


async def leave(kafka: Kafka, instance_id: str) -> bool:
    """Remove a static member from the group, so that its partitions are handed over at once.

    False if the group has no such member. Raises KafkaError if the broker does not answer or refuses.
    """
    client = AIOKafkaClient(**kafka.client_options())
    try:
        await client.bootstrap()
        node = await client.coordinator_lookup(CoordinationType.GROUP, kafka.group)
        answer = await client.send(node, _StaticLeave(kafka.group, instance_id))
    finally:
        await client.close()
    codes = {answer.error_code, *(code for _, _, code in answer.members)} - {NoError.errno}
    for code in codes - {UnknownMemberIdError.errno}:
        raise for_code(code)(f"group {kafka.group} did not let {instance_id} go")
    return not codes
