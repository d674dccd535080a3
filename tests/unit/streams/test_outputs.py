"""Publishing: CloudEvents headers, the right topic, the right partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from interventions.commands import Command
from streams.fencing import known_to_writer
from streams.outputs import Output, Publisher
from streams.sending import Sender, SendError
from streams.topics import Topics
from tests.fakes import FakeBroker, metric

if TYPE_CHECKING:
    from streams.telemetry import Metrics

TOPICS = Topics(prefix="eu.", group="shop", partitions=4)
NOON = 1_700_000_000_123
ALERT = Output("churn-alerts", b"ada", b'{"ts":%d,"user_id":"ada"}' % NOON)


@pytest.fixture
def publisher(broker: FakeBroker, metrics: Metrics):
    return Publisher(Sender(broker, 0.05), TOPICS, metrics)


def test_headers_follow_the_kafka_binding_of_cloudevents_in_binary_mode(publisher: Publisher):
    headers = dict(publisher.headers(ALERT))

    assert headers.pop("ce_id")
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"churnwatch.alert.v2",
        "ce_source": b"/churnwatch/shop",
        "ce_time": b"2023-11-14T22:13:20.123Z",
        "content-type": b"application/json",
    }


def test_the_id_of_an_output_is_its_value_s_so_a_repeated_output_repeats_it(publisher: Publisher):
    again = Output("churn-alerts", b"ada", bytes(ALERT.value))
    other = Output("churn-alerts", b"ada", ALERT.value.replace(b"ada", b"bob"))

    ids = [dict(publisher.headers(output))["ce_id"] for output in (ALERT, again, other)]

    assert ids[0] == ids[1] != ids[2]


def test_a_command_has_a_type_and_the_time_of_its_alert(publisher: Publisher):
    command = Command(
        command_id="c",
        alert_id="a",
        user_id="ada",
        ts=NOON,
        channel="email",
        offer="none",
        template="we-miss-you",
        not_before=NOON,
        expires_at=NOON + 1,
        mark="live",
    )

    headers = dict(publisher.headers(Output("commands.email", b"ada", msgspec.json.encode(command))))

    assert headers["ce_type"] == b"churnwatch.command.v2"
    assert headers["ce_time"] == b"2023-11-14T22:13:20.123Z"


async def test_outputs_go_to_their_topics_in_order_and_the_ends_are_told(
    publisher: Publisher, broker: FakeBroker, metrics: Metrics
):
    decision = Output("decisions", b"ada", b'{"ts":1}')
    later = Output("churn-alerts", b"bob", b'{"ts":2}')

    ends = await publisher.publish(3, [ALERT, decision, later], as_of_row=7)

    assert ends == {"churn-alerts": 2, "decisions": 1}
    assert [r.key for r in broker.logs["eu.churn-alerts", 3].records] == [b"ada", b"bob"]
    assert [known_to_writer(r) for r in broker.logs["eu.churn-alerts", 3].records] == [7, 7]
    assert broker.logs["eu.decisions", 3].records[0].headers == publisher.headers(decision)
    assert metric(metrics.registry, "send_seconds_count", topic="decisions") == 1


async def test_commands_are_counted_by_what_stands_on_their_topics(
    publisher: Publisher, broker: FakeBroker, metrics: Metrics
):
    live, rehearsed = (b'{"ts":1,"mark":"%s"}' % mark for mark in (b"live", b"rehearsal"))
    broker.trouble = lambda topic: "refuse" if topic == "eu.commands.sms" else None

    await publisher.publish(0, [Output("commands.coupon", b"ada", live)] * 2)
    await publisher.publish(0, [Output("commands.email.shadow", b"ada", rehearsed)])
    with pytest.raises(SendError):
        await publisher.publish(0, [Output("commands.sms", b"ada", live)])

    def counted(channel: str, mark: str) -> float | None:
        return metric(metrics.registry, "commands_total", channel=channel, mark=mark)

    assert counted("coupon", "live") == 2
    assert counted("email", "rehearsal") == 1
    assert not counted("sms", "live")


async def test_nothing_is_published_as_nothing(publisher: Publisher, broker: FakeBroker):
    assert await publisher.publish(3, []) == {}
    assert broker.sent == []


async def test_a_topic_that_does_not_confirm_is_a_send_error(publisher: Publisher, broker: FakeBroker):
    broker.trouble = lambda topic: "refuse" if topic == "eu.decisions" else None

    with pytest.raises(SendError, match=r"eu\.decisions/0"):
        await publisher.publish(0, [ALERT, Output("decisions", b"ada", b'{"ts":1}')])
