"""The worker's page, asked over HTTP on a port the system chooses."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from streams.settings import load
from streams.web import serve
from tests.health import ORDERS, Part, World


class Page(World):
    """A worker that can be measured."""

    measured = 0

    def measure(self) -> None:
        self.measured += 1


@pytest.fixture
async def page():
    return Page()


async def get(page: Page, *paths: str) -> list[tuple[int, Any]]:
    settings = load(None, worker={"http_port": 0})
    async with serve(settings, page.metrics, page, page.health) as port, aiohttp.ClientSession() as session:
        found = []
        for path in paths:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                body = await (answer.json() if "json" in answer.content_type else answer.text())
                found.append((answer.status, body))
        return found


async def test_a_healthy_worker_answers_200_and_names_no_problem(page: Page):
    assert await get(page, "/health/ready", "/health/live") == [
        (200, {"ready": True, "problems": []}),
        (200, {"live": True, "problems": []}),
    ]


async def test_a_worker_that_recovers_is_alive_and_not_ready(page: Page):
    page.parts = [Part(4, ready=False)]

    ready, live = await get(page, "/health/ready", "/health/live")

    assert ready == (503, {"ready": False, "problems": ["partitions [4] are recovering"]})
    assert live[0] == 200


async def test_a_failed_worker_answers_503(page: Page):
    page.error.set_exception(RuntimeError("gone"))
    page.error.exception()

    assert (await get(page, "/health/live"))[0][0] == 503


async def test_the_metrics_page_is_measured_when_it_is_asked_for(page: Page):
    page.answers[ORDERS] = (5, 9)
    await page.health.look()

    ((status, text),) = await get(page, "/metrics")

    assert status == 200
    assert 'churnwatch_consumer_lag_records{partition="0",topic="orders"} 4.0' in text
    assert "churnwatch_ready 1.0" in text
    assert page.measured == 1


async def test_no_page_waits_for_a_broker_or_a_thread_that_does_not_answer(page: Page):
    page.down = page.deaf = True

    answers = await get(page, "/metrics", "/health/ready", "/health/live")

    assert [status for status, _ in answers] == [200, 200, 200]


async def test_the_index_links_to_what_there_is_and_nothing_else_is_served(page: Page):
    index, tables, *_ = await get(page, "/", "/table/")

    assert index[0] == 200
    for path in ("/metrics", "/health/ready", "/health/live"):
        assert f'href="{path}"' in index[1]
    assert tables[0] == 404
