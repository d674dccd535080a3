"""A secured Kafka for tests: users and certificates of each role, and rights that are given and taken."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from deploy.kafka import ADMIN, HOST, Authority, KafkaCluster, Security
from streams.processes import environment
from streams.rights import ROLES, Right
from streams.settings import load
from streams.topic_admin import create
from tests.broker.cluster import shop_settings
from tests.real_kafka import HEAP_MB

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from streams.settings import Settings
    from streams.topics import Topics

#: Who came with neither a name nor a certificate.
ANONYMOUS: Final = "ANONYMOUS"
#: Every role has a user of its name; these are theirs. Nothing else that is ever printed holds such a word.
PASSWORDS: Final = {role.name: f"pw-of-{role.name}-7f3a" for role in ROLES}
_OPERATIONS: Final = {"DescribeConfigs": "DESCRIBE_CONFIGS", "AlterConfigs": "ALTER_CONFIGS"}


class Ended(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.out + self.err

    @property
    def last_line(self) -> str:
        """What the user is told in the end, behind the log of a worker that had begun."""
        return self.err.splitlines()[-1]


class SecuredKafka:
    """A cluster with one listener for each way in, and what tests need of it."""

    def __init__(self, cluster: KafkaCluster, security: Security, folder: Path) -> None:
        self.cluster = cluster
        self.authority = security.authority
        self.stranger = Authority(folder / "stranger", "somebody else's authority")
        self._passwords = security.users
        self._admin = cluster.admin(cluster.bootstrap)

    def access(self, listener: str, user: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, Any]:
        """The section `kafka` of the settings with which `user` comes in at a listener."""
        found: dict[str, Any] = {
            "bootstrap_servers": self.cluster.at(listener),
            "security_protocol": listener if listener.startswith("SASL") else "SSL",
        }
        if listener != "SASL_PLAINTEXT":
            found["ssl_ca_file"] = self.authority.ca_file
        if listener.startswith("SASL"):
            found |= {
                "sasl_mechanism": mechanism,
                "sasl_username": user,
                "sasl_password": self._passwords[user],
            }
        if listener == "MUTUAL":
            shown = self.authority.issue(user, password="key-word")
            found |= {
                "ssl_cert_file": shown.cert_file,
                "ssl_key_file": shown.key_file,
                "ssl_key_password": "key-word",
            }
        return found

    def settings(self, folder: Path, access: dict[str, Any], log_level: str = "info") -> Settings:
        """Settings of a deployment of its own, with `access` to this cluster."""
        found = shop_settings(folder, kafka=access)
        return found.model_copy(update={"worker": found.worker.model_copy(update={"log_level": log_level})})

    def set_password(self, user: str, password: str) -> None:
        """Make a user, or change how they come in from now on."""
        self._passwords[user] = password
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, scram, password.encode())
        for done in self._admin.alter_user_scram_credentials([change]).values():
            done.result(30)

    async def topics_of(self, settings: Settings) -> Topics:
        """Make the topics of these settings, as the super user."""
        topics = settings.kafka.topics()
        await create(topics, load(None, kafka=self.access("SASL_SSL", ADMIN)).kafka.client_options())
        return topics

    def grant(self, user: str, rights: Iterable[Right]) -> None:
        """Give a user these rights."""
        bindings = [_binding(user, right, operation) for right in rights for operation in right.operations]
        for done in self._admin.create_acls(bindings).values():
            done.result(30)

    def revoke(self, user: str, *rights: Right) -> None:
        """Take them away again."""
        filters = [
            _binding(user, right, operation, AclBindingFilter)
            for right in rights
            for operation in right.operations
        ]
        for done in self._admin.delete_acls(filters).values():
            assert len(done.result(30)) == 1


def _binding(user: str, right: Right, operation: str, kind: Any = AclBinding) -> Any:
    pattern = ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL
    resource = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}[right.kind]
    named = AclOperation[_OPERATIONS.get(operation, operation.upper())]
    return kind(resource, right.name, pattern, f"User:{user}", "*", named, AclPermissionType.ALLOW)


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """A secured cluster of one broker, which also shows wrong certificates to whoever asks for them."""
    authority = Authority(folder / "tls")
    last_week = datetime.now(UTC) - timedelta(days=7)
    wrong = {
        "EXPIRED": authority.issue("expired", [HOST], begins=last_week),
        "ELSEWHERE": authority.issue("elsewhere", ["kafka.example"]),
    }
    security = Security(authority, HOST, PASSWORDS, wrong)
    with KafkaCluster(folder / "kafka", heap_mb=HEAP_MB, security=security) as cluster:
        yield SecuredKafka(cluster, security, folder)


async def churnwatch(settings: Settings, *arguments: str, seconds: float = 120.0) -> Ended:
    """Run a command of the command line to its end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streams.cli",
        *arguments,
        env={**environment(settings), "COLUMNS": "300"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), seconds)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None
    return Ended(child.returncode, out.decode(), err.decode())


async def eventually(look: Callable[[], Awaitable[object]], wanted: object, seconds: float = 30.0) -> None:
    """Look until `wanted` is seen: the controller answers before the broker knows."""
    end = time.monotonic() + seconds
    while (seen := await look()) != wanted:
        assert time.monotonic() < end, f"wanted {wanted}, saw {seen}"
        await asyncio.sleep(0.05)
