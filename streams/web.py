"""The worker's own page: metrics, liveness and readiness, on a port of its own.

Faust's web server is off: it binds only after joining the group and shows customers' data.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.health import Health
from streams.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.settings import Settings
    from streams.telemetry import Metrics
    from streams.worker import Worker

log = logger(__name__)

_INDEX = """<!doctype html><title>churnwatch worker</title>
<h1>churnwatch worker</h1>
<ul><li><a href="/metrics">metrics</a> for Prometheus
<li><a href="/health/ready">ready</a>: recovered, assigned, models loaded
<li><a href="/health/live">live</a>: the committed offset moves wherever there is lag</ul>
"""


@asynccontextmanager
async def serve(settings: Settings, metrics: Metrics, worker: Worker, app: Any) -> AsyncIterator[int]:
    """Answer until the block ends; gives the port. Raises OSError when the port is taken."""
    health = Health(settings, metrics, worker, app, time.monotonic)

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=_INDEX, content_type="text/html")

    async def show_metrics(_: web.Request) -> web.Response:
        await health.measure_lag()
        worker.measure()
        page = generate_latest(metrics.registry)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def ready(_: web.Request) -> web.Response:
        await health.measure_lag()
        problems = health.not_ready()
        return web.json_response(
            {"ready": not problems, "problems": problems}, status=503 if problems else 200
        )

    async def live(_: web.Request) -> web.Response:
        await health.measure_lag()
        problems = health.not_alive()
        return web.json_response(
            {"live": not problems, "problems": problems}, status=503 if problems else 200
        )

    pages = web.Application()
    routes = (("/", index), ("/metrics", show_metrics), ("/health/ready", ready), ("/health/live", live))
    pages.add_routes([web.get(path, handler) for path, handler in routes])
    runner = web.AppRunner(pages, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, settings.worker.http_host, settings.worker.http_port)
    await site.start()
    port = int(runner.addresses[0][1])
    log.info("answering", host=settings.worker.http_host, port=port)
    try:
        yield port
    finally:
        await runner.cleanup()
