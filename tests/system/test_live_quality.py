"""`python -m benchmarks.quality --live`: broker and worker tell the backtest's figures, to the last bit."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from benchmarks.quality.__main__ import main
from tests.building import START

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.broker

CUSTOMERS, DAYS = 60, 120


def purchases() -> str:
    """A log of customers with rhythms of their own, half of whom leave on the way."""
    rng = random.Random(1)
    lines = []
    for user in range(CUSTOMERS):
        every, last = rng.uniform(3, 20), DAYS if user % 2 else rng.uniform(20, DAYS)
        at = rng.uniform(0, 20)
        while at < last:
            name, item = f"{user}-{len(lines)}", {"item_id": "i", "price": 9.0, "quantity": 1}
            event = {"type": "purchase", "event_id": name, "transaction_id": name, "user_id": f"u{user}"}
            lines.append(
                (
                    at,
                    event
                    | {"ts": START + int(at * 86_400_000), "value": 9.0, "currency": "EUR", "items": [item]},
                )
            )
            at += rng.expovariate(1 / every)
    return "".join(json.dumps(event) + "\n" for _, event in sorted(lines, key=lambda line: line[0]))


def test_the_live_system_measures_of_itself_what_the_backtest_says(tmp_path: Path):
    log, out = tmp_path / "shop.jsonl", tmp_path / "quality"
    log.write_text(purchases())
    days = ["--horizon", "14d", "--active-within", "40d", "--test-from", "2022-03-09"]

    done = CliRunner().invoke(main, [str(log), "--live", *days, "--out", str(out)])

    assert done.exit_code == 0, done.output
    (found,) = json.loads(out.with_name("quality-live.json").read_text())
    assert found["differing"] == []
    assert found["live"] == found["backtest"]
    assert {name.split()[0] for name in found["live"]} == {"all", "evaluated"}
    assert 0 < found["live"]["all champion log_loss"] < 1
