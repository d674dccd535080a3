"""Worker and broker as processes: what they are told, and that they end."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from streams.processes import environment, is_ready, process, until
from streams.settings import Settings, load

if TYPE_CHECKING:
    from pathlib import Path


def test_a_process_gets_the_same_settings_through_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    settings = load(
        None,
        kafka={
            "bootstrap_servers": "127.0.0.1:1234",
            "topic_names": {"orders": "shop.sales"},
            "sasl_password": "hunter2",
        },
        model={"grid_anchor": "2022-01-08", "contenders": ["logistic"], "evaluate_from": "2022-02-01"},
        alerting={"medium": 0.5},
        worker={"state_dir": tmp_path, "http_port": 0},
        interventions={"mode": "live", "assume_consent": ["onsite"]},
    )

    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    assert load().model_dump() == settings.model_dump()
    assert load().kafka.sasl_password.get_secret_value() == "hunter2"
    assert isinstance(settings, Settings)


async def test_a_process_ends_with_its_block(tmp_path: Path):
    command = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]
    log = tmp_path / "log"

    async with process(command, os.environ, log) as child:
        await until(lambda: b"up" in log.read_bytes(), child, 5, "it", log)

    assert child.returncode == -15


async def test_a_process_that_dies_is_told_with_its_log(tmp_path: Path):
    log = tmp_path / "log"

    async with process([sys.executable, "-c", "raise SystemExit(3)"], os.environ, log) as child:
        with pytest.raises(RuntimeError, match=r"the worker did not come up; see .*log"):
            await until(lambda: False, child, 5, "the worker", log)


async def test_a_page_that_nobody_serves_is_not_ready():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    assert not await asyncio.to_thread(is_ready, f"http://127.0.0.1:{port}/")
