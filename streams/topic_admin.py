"""Making the topics on a broker, checking that those which are there are right, throwing them away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from streams.authorisation import missing_rights, sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from streams.rights import Role
    from streams.topics import Topic, Topics

#: Options that every aiokafka client takes: bootstrap_servers, security_protocol, ssl_context, sasl_….
ClientOptions = dict[str, Any]

_REPLICAS = 3  # Kafka's usual choice; fewer when there are fewer brokers
_LOOKS, _LOOK_S = 100, 0.1


class TopicsError(RuntimeError):
    """The broker did not do what was asked of it; the message says why in one line."""


class Findings(NamedTuple):
    """What a check found. `problems` must be mended before a worker starts; `notes` need not."""

    problems: list[str]
    notes: list[str]


async def create(
    topics: Topics, client_options: ClientOptions, *, replication_factor: int | None = None
) -> list[str]:
    """Create every topic that is missing, with its partitions and settings, and wait for them; their names.

    `replication_factor` is three by default, or the number of brokers if that is less. Raises
    `TopicsError` when the broker cannot (the embedded one is started with its topics) or will not.
    """
    async with _admin(client_options) as admin:
        present = await _partition_counts(admin)
        counts = topics.partition_counts()
        replicas = replication_factor or min(_REPLICAS, len((await admin.describe_cluster())["brokers"]))
        missing = [
            NewTopic(name, counts[name], replicas, topic_configs=topic.configs())
            for name, topic in topics
            if name not in present
        ]
        created = await _create(admin, missing) if missing else []
        await _until_listed(admin, created, there=True)
        return created


async def delete(topics: Topics, client_options: ClientOptions) -> list[str]:
    """Delete every topic of the catalogue that is there, with all it holds; their names.

    For topics that were made to be thrown away. Raises `TopicsError` when the broker will not.
    """
    async with _admin(client_options) as admin:
        present = await _partition_counts(admin)
        names = [name for name, _ in topics if name in present]
        answered = (await admin.delete_topics(names)).topic_error_codes if names else ()
        for name, code in answered:
            if code not in {NoError.errno, UnknownTopicOrPartitionError.errno}:  # the latter: gone already
                raise TopicsError(f"topic {name} was not deleted: {for_code(code).__name__}")
        await _until_listed(admin, names, there=False)
        return names


async def check(topics: Topics, client_options: ClientOptions, role: Role | None = None) -> Findings:
    """Compare the broker's topics with the catalogue, without creating any by asking for it.

    Looks at existence, partition counts, cleanup policies, and at the rights of `role`, or without one at
    that to use the group. A broker without DescribeConfigs (the embedded one) gets a note instead of the
    policies, one that tells no rights another. Raises `TopicsError` when no broker answers.
    """
    findings = Findings([], [])
    async with _admin(client_options) as admin:
        present = await _partition_counts(admin)
        denied = await _compare_rights(admin, role, topics, findings) if role is not None else set()
        _compare_counts(topics, present, findings, besides=denied)
        wanted = {name: topic for name, topic in topics if name in present}
        _compare_configs(wanted, await _configs(admin, list(wanted)), findings)
        if topics.group not in denied:
            await _try_group(admin, topics.group, findings)
    return findings


async def require_topics(topics: Topics, client_options: ClientOptions) -> None:
    """Raise `TopicsError` unless every topic is there and right.

    With static membership an assignment made before a topic existed lasts for ever: do not join without.
    """
    if problems := (await check(topics, client_options)).problems:
        more = f" (and {len(problems) - 1} more: churnwatch topics check)" if problems[1:] else ""
        raise TopicsError(problems[0] + more)


async def require_partitions(topics: Topics, client_options: ClientOptions) -> None:
    """Raise `TopicsError` unless every topic is there with its partitions: reading others would hang."""
    findings = Findings([], [])
    async with _admin(client_options) as admin:
        _compare_counts(topics, await _partition_counts(admin), findings)
    if findings.problems:
        raise TopicsError(findings.problems[0])


async def _compare_rights(
    admin: AIOKafkaAdminClient, role: Role, topics: Topics, findings: Findings
) -> set[str]:
    """The topics and groups on which something is not allowed."""
    missing = await missing_rights(admin, role, topics)
    if missing is None:
        findings.notes.append("this broker tells no rights: they are unchecked")
    findings.problems.extend(sentence([right]) for right in missing or ())
    return {right.name for right in missing or ()}


def _compare_counts(
    topics: Topics, present: Mapping[str, int | str], findings: Findings, besides: Collection[str] = ()
) -> None:
    for name, wanted in topics.partition_counts().items():
        found = present.get(name)
        if found is None and name in besides:
            continue  # the reason has been told
        if found is None:
            findings.problems.append(
                f"topic {name} is missing, or this user may not see it: churnwatch topics create"
            )
        elif isinstance(found, str):
            findings.problems.append(f"topic {name} cannot be described: {found}")
        elif found != wanted:
            way_out = "recreate it" if wanted == 1 else f"set kafka.partitions to {found}, or recreate it"
            findings.problems.append(f"topic {name} has {found} partitions instead of {wanted}: {way_out}")


def _compare_configs(
    wanted: Mapping[str, Topic], found: dict[str, dict[str, str] | str] | None, findings: Findings
) -> None:
    if found is None:
        findings.notes.append("this broker tells no topic settings (no DescribeConfigs): policies unchecked")
        return
    for name, topic in wanted.items():
        configs = found[name]
        if isinstance(configs, str):
            findings.notes.append(f"the settings of topic {name} are unchecked: {configs}")
            continue
        if (policy := configs["cleanup.policy"]) != topic.cleanup:
            # compact,delete is wrong as well: recovery of a changelog hangs on it.
            findings.problems.append(f"topic {name} has cleanup.policy={policy} instead of {topic.cleanup}")
        if topic.stamped_by_broker and (stamped := configs["message.timestamp.type"]) != "LogAppendTime":
            findings.notes.append(
                f"topic {name} has message.timestamp.type={stamped} instead of LogAppendTime: records whose "
                "producer's clock runs more than ten minutes ahead are refused"
            )
        if topic.least_retention_ms and 0 <= int(configs["retention.ms"]) < topic.least_retention_ms:
            findings.problems.append(
                f"topic {name} has retention.ms={configs['retention.ms']}, and its messages are valid for "
                f"{topic.least_retention_ms}: set {topic.retention_ms}"
            )
        if int(configs["min.compaction.lag.ms"]) < topic.min_compaction_lag_ms:
            findings.problems.append(
                f"topic {name} has min.compaction.lag.ms={configs['min.compaction.lag.ms']}, "
                f"less than {topic.min_compaction_lag_ms}"
            )


@asynccontextmanager
async def _admin(client_options: ClientOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options)
    try:
        await admin.start()
        yield admin
    except KafkaError as error:
        servers = client_options.get("bootstrap_servers")
        raise TopicsError(f"the broker at {servers} does not answer as asked: {error}") from error
    finally:
        await admin.close()


async def _partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int | str]:
    """Partition count of every topic on the broker, or what hinders describing it.

    Asks for all topics: asking for one by name can create it.
    """
    return {
        entry["topic"]: (
            for_code(entry["error_code"]).__name__ if entry["error_code"] else len(entry["partitions"])
        )
        for entry in await admin.describe_topics()
    }


async def _configs(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, dict[str, str] | str] | None:
    """Settings of each topic, or what hinders reading them; None from a broker without DescribeConfigs."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        answers = await admin.describe_configs(resources)
    except IncompatibleBrokerVersion:
        return None
    return {
        name: for_code(code).__name__ if code else {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for code, _, _, name, entries in answer.resources
    }


async def _create(admin: AIOKafkaAdminClient, missing: list[NewTopic]) -> list[str]:
    # aiokafka fails obscurely where CreateTopics does not exist; DescribeConfigs is absent there too.
    if await _configs(admin, [missing[0].name]) is None:
        raise TopicsError(
            f"this broker cannot create topics ({len(missing)} are missing, the first is {missing[0].name}): "
            "the embedded broker gets them when it starts"
        )
    created = []
    for name, code, *message in (await admin.create_topics(missing)).topic_errors:
        if code in {NoError.errno, TopicAlreadyExistsError.errno}:  # the latter: somebody was faster
            created.append(name)
        else:
            raise TopicsError(f"topic {name} was not created: {for_code(code).__name__} {' '.join(message)}")
    return created


async def _until_listed(admin: AIOKafkaAdminClient, names: Sequence[str], *, there: bool) -> None:
    """Wait until the broker lists all of `names`, or none: it answers before its own metadata know."""
    for _ in range(_LOOKS):
        listed = (await _partition_counts(admin)).keys()
        if all((name in listed) == there for name in names):
            return
        await asyncio.sleep(_LOOK_S)
    done = "created but not" if there else "deleted but still"
    raise TopicsError(f"the topics were {done} listed after {_LOOKS * _LOOK_S:.0f} s: check again")


async def _try_group(admin: AIOKafkaAdminClient, group: str, findings: Findings) -> None:
    try:
        await admin.find_coordinator(group)
    except GroupCoordinatorNotAvailableError:
        findings.notes.append("the broker has no group coordinator yet, as is normal before its first group")
    except GroupAuthorizationFailedError:
        findings.problems.append(
            f"this user may not use the consumer group {group} (rights DESCRIBE and READ)"
        )
