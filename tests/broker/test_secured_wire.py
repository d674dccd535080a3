"""Encryption and identity on the wire: every client of a process uses them, and what fails is one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from streams.greeting import RefusedError, greet
from streams.rights import BY_NAME, WORKER, Right
from streams.settings import load
from tests.broker.cluster import WorkerProcess
from tests.broker.secured import ANONYMOUS, PASSWORDS, SecuredKafka, churnwatch
from tests.broker.shop import shop_log

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.broker, pytest.mark.kafka]

#: (listener, SASL mechanism): every way that settings can name.
WAYS = [
    ("SSL", ""),
    ("MUTUAL", ""),
    ("SASL_SSL", "SCRAM-SHA-512"),
    ("SASL_SSL", "SCRAM-SHA-256"),
    ("SASL_SSL", "PLAIN"),
    ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
]
LISTENERS = ["SSL", "MUTUAL", "SASL_SSL", "SASL_PLAINTEXT"]


async def test_a_worker_with_the_rights_of_its_role_runs_on_a_secured_kafka_and_one_without_does_not_start(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    settings = secured.settings(tmp_path, secured.access("SASL_SSL", "worker"))
    topics = await secured.topics_of(settings)
    *kept, last = WORKER.rights(topics)
    assert last == Right("group", topics.group, ("Read",))

    secured.grant("worker", kept)
    refused = await churnwatch(settings, "worker")
    secured.grant("worker", [last])
    worker = WorkerProcess(settings, tmp_path)
    await worker.start()
    await worker.ready(90)

    assert await worker.stop() == 0
    assert refused.code == 1
    why = f"this user lacks the right Read on group {topics.group}: docs/rights.md says who needs what"
    assert refused.last_line == f"Error: {why}"
    assert PASSWORDS["worker"] not in worker.said() + refused.said


@pytest.mark.slow
@pytest.mark.parametrize(("listener", "mechanism"), WAYS)
async def test_every_command_and_every_client_of_a_worker_comes_in_this_way(
    secured: SecuredKafka, tmp_path: Path, listener: str, mechanism: str
) -> None:
    access = secured.access(listener, "operator", mechanism)
    settings = secured.settings(tmp_path, access, log_level="debug")
    topics = settings.kafka.topics()
    user = ANONYMOUS if listener == "SSL" else "operator"
    for role in ("operator", "worker", "replayer"):
        secured.grant(user, BY_NAME[role].rights(topics))
    history = tmp_path / "history.jsonl"
    events = shop_log(40, 8)
    history.write_bytes(b"".join(event.value + b"\n" for event in events))

    made = await churnwatch(settings, "topics", "create")
    checked = await churnwatch(settings, "topics", "check")
    able = await churnwatch(settings, "worker", "--check")
    worker = WorkerProcess(settings, tmp_path)
    await worker.start()
    await worker.ready(90)
    replayed = await churnwatch(settings, "replay", str(history))
    seen = await churnwatch(settings, "inspect", events[0].user_id)

    assert await worker.stop() == 0
    commands = (made, checked, able, replayed, seen)
    assert [command.code for command in commands] == [0] * 5, [command.said for command in commands]
    assert checked.out.endswith("topics are right\n")
    assert "this worker can run" in able.out
    assert f"{len(events):,} events in" in replayed.out
    assert "alerts and decisions" in seen.out
    printed = "".join(command.said for command in commands) + worker.said()
    assert PASSWORDS["operator"] not in printed
    assert "key-word" not in printed


#: (listener, what is wrong with the settings, what is said).
FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("SASL_SSL", {"sasl_password": "wrong-word"}, "does not accept user 'worker' with this password"),
    (
        "SASL_SSL",
        {"sasl_password": "wrong-word", "sasl_mechanism": "PLAIN"},
        "does not accept user 'worker' with this password",
    ),
    ("SASL_PLAINTEXT", {"sasl_username": "nobody"}, "does not accept user 'nobody' with this password"),
    ("SSL", {"ssl_ca_file": None}, "shows a certificate that is not to be trusted: "),
    ("SSL", {"listener": "EXPIRED"}, "is not to be trusted: certificate has expired"),
    ("SSL", {"listener": "ELSEWHERE"}, "is not to be trusted: IP address mismatch"),
    ("SSL", {"listener": "MUTUAL"}, "refuses this client's certificate, or that there is none"),
    ("SASL_SSL", {"listener": "SASL_PLAINTEXT"}, "speaks no TLS there: kafka.security_protocol is SASL_SSL"),
    ("SASL_PLAINTEXT", {"listener": "SASL_SSL"}, "speaks TLS: kafka.security_protocol is SASL_PLAINTEXT"),
    ("SASL_SSL", {"listener": "SSL"}, "takes no users there: kafka.security_protocol is SASL_SSL"),
    ("SSL", {"listener": "SASL_SSL"}, "hangs up on a client without user: kafka.security_protocol is SSL"),
]


def faulty(secured: SecuredKafka, listener: str, fault: dict[str, Any]) -> dict[str, Any]:
    access = secured.access(listener, "worker") | fault
    if (other := access.pop("listener", None)) is not None:
        access["bootstrap_servers"] = secured.cluster.at(other)
    return access


@pytest.mark.slow
@pytest.mark.parametrize(("listener", "fault", "why"), FAULTS)
async def test_what_keeps_a_client_out_is_named_with_the_broker(
    secured: SecuredKafka, listener: str, fault: dict[str, Any], why: str
) -> None:
    kafka = load(None, kafka=faulty(secured, listener, fault)).kafka

    with pytest.raises(RefusedError) as caught:
        await greet(kafka.client_options())

    assert str(caught.value).startswith(f"the broker at {kafka.bootstrap_servers} ")
    assert why in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("authority", ["stranger", "authority"])
async def test_a_client_shows_the_certificate_that_its_settings_name(
    secured: SecuredKafka, authority: str
) -> None:
    shown = getattr(secured, authority).issue("shown")
    access = secured.access("SSL", "") | {
        "bootstrap_servers": secured.cluster.at("MUTUAL"),
        "ssl_cert_file": shown.cert_file,
        "ssl_key_file": shown.key_file,
    }
    options = load(None, kafka=access).kafka.client_options()

    if authority == "authority":
        await greet(options)
    else:
        with pytest.raises(RefusedError, match="refuses this client's certificate"):
            await greet(options)


async def test_a_broker_that_is_not_there_or_says_nothing_refuses_nobody(
    secured: SecuredKafka, unused_tcp_port: int
) -> None:
    access = secured.access("SASL_SSL", "worker")
    nobody = f"127.0.0.1:{unused_tcp_port}"
    both = f"{nobody},{access['bootstrap_servers']}"

    for servers in (nobody, both):
        await greet(load(None, kafka=access | {"bootstrap_servers": servers}).kafka.client_options())


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [("worker",), ("worker", "--check"), ("topics", "check"), ("inspect", "u")]
)
@pytest.mark.parametrize("fault", [FAULTS[0], FAULTS[4], FAULTS[8]], ids=["password", "expired", "no TLS"])
async def test_a_command_that_is_kept_out_ends_with_one_line(
    secured: SecuredKafka, tmp_path: Path, command: tuple[str, ...], fault: tuple[str, dict[str, Any], str]
) -> None:
    listener, wrong, why = fault
    settings = secured.settings(tmp_path, faulty(secured, listener, wrong))

    ended = await churnwatch(settings, *command)

    (line,) = ended.said.splitlines()
    assert ended.code == 1
    assert line.startswith("Error: the broker at 127.0.0.1:")
    assert why in line
    assert "wrong-word" not in line


@pytest.mark.slow
async def test_a_worker_whose_password_is_changed_while_it_runs_stops_with_one_line(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    secured.set_password("leaver", "first-word")
    settings = secured.settings(tmp_path, secured.access("SASL_SSL", "leaver"))
    secured.grant("leaver", WORKER.rights(await secured.topics_of(settings)))
    worker = WorkerProcess(settings, tmp_path)
    await worker.start()
    await worker.ready(90)

    secured.set_password("leaver", "second-word")

    assert await worker.ended(120) == 1, worker.said()
    line = worker.said().splitlines()[-1]
    assert line.startswith("Error: the broker at ")
    assert line.endswith(" does not accept user 'leaver' with this password")
    assert "first-word" not in worker.said()
