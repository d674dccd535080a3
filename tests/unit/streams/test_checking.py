"""`worker --check` shows the settings, masks secrets and says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from streams import checking
from streams.settings import load
from streams.topic_admin import Findings

if TYPE_CHECKING:
    from pathlib import Path


COMMANDS = ", ".join(f"eu.commands.{channel}" for channel in ("coupon", "email", "sms", "call"))
SHADOWS = ", ".join(f"eu.commands.{channel}.shadow" for channel in ("coupon", "email", "sms", "call"))


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch):
    """What the broker's topics are found to be."""
    found = Findings([], [])

    async def check(*_: object) -> Findings:
        return found

    monkeypatch.setattr(checking, "check", check)
    return found


async def check(folder: Path, **sections: Any) -> tuple[bool, list[str]]:
    said: list[str] = []
    settings = load(None, worker={"state_dir": folder / "state"}, **sections)
    return await checking.check_worker(settings, said.append), said


async def test_a_worker_that_can_run_says_so(topics: Findings, tmp_path: Path):
    wrong, said = await check(tmp_path)

    assert not wrong
    assert said[-1] == "this worker can run"
    assert '"horizon_days": 60' in said[0]


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("off", "sends nothing: mode off; alerts are raised, nothing is decided"),
        ("shadow", f"sends nothing: mode shadow; commands for coupon, e-mail, SMS, call stand on {SHADOWS}"),
        ("live", f"SENDS REAL COMMANDS: mode live; coupon, e-mail, SMS, call, on {COMMANDS}"),
    ],
)
async def test_one_line_says_what_this_worker_will_really_send(
    topics: Findings, tmp_path: Path, mode: str, line: str
):
    _, said = await check(tmp_path, interventions={"mode": mode}, kafka={"topic_prefix": "eu."})

    assert line in said


async def test_what_else_decides_who_is_reached_is_noted(topics: Findings, tmp_path: Path):
    _, said = await check(tmp_path, interventions={"mode": "live", "assume_consent": ["onsite"]})
    _, careful = await check(tmp_path, interventions={"mode": "live", "timezone": "Europe/Berlin"})

    notes = [line for line in said if line.startswith(("note: interventions", "note: consent"))]
    assert ["timezone is not set" in notes[0], "assumed" in notes[1]] == [True, True]
    assert not [line for line in careful if line.startswith(("note: interventions", "note: consent"))]


async def test_secrets_are_masked(topics: Findings, tmp_path: Path):
    _, said = await check(tmp_path, kafka={"sasl_password": "hunter2"}, salt="pepper", signing_key="thyme")

    text = "\n".join(said)
    for secret in ("hunter2", "pepper", "thyme"):
        assert secret not in text
    assert '"sasl_password": "**********"' in text


async def test_defaults_that_are_no_secrets_are_noted(topics: Findings, tmp_path: Path):
    _, said = await check(tmp_path)
    _, quiet = await check(tmp_path, salt="pepper", signing_key="thyme")

    notes = [line for line in said if line.startswith("note: CHURNWATCH_")]
    assert [line.split()[1] for line in notes] == ["CHURNWATCH_SIGNING_KEY", "CHURNWATCH_SALT"]
    assert not [line for line in quiet if line.startswith("note: CHURNWATCH_")]


async def test_problems_of_the_topics_are_told_and_the_worker_cannot_run(topics: Findings, tmp_path: Path):
    topics.problems.append("orders has 3 partitions")
    topics.notes.append("retention is short")

    wrong, said = await check(tmp_path)

    assert wrong
    assert said[-2:] == ["note: retention is short", "problem: orders has 3 partitions"]


async def test_a_state_directory_that_cannot_be_written_is_a_problem(topics: Findings, tmp_path: Path):
    (tmp_path / "state").write_text("a file stands here")

    wrong, said = await check(tmp_path)

    assert wrong
    assert said[-1].startswith(f"problem: the state directory {tmp_path}/state cannot be written")
