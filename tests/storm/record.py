"""`run/prove.json`: the figures of the last storms, each under its name, and what they come to together."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from tests.storm.outcome import Outcome

FILE: Final = Path("run/prove.json")
_ADDED: Final = (
    "events",
    "kills",
    "kills_while_processing",
    "pauses",
    "restarts",
    "lost",
    "doubled",
    "labels_lost",
    "labels_doubled",
    "alerts_missing",
    "triggers_missing",
    "decisions_doubled",
    "commands_doubled",
    "commands_forbidden",
)


def record(name: str, outcome: Outcome) -> dict[str, Any]:
    """Write a storm's figures down beside those of the others; returns them."""
    storms = orjson.loads(FILE.read_bytes())["storms"] if FILE.exists() else {}
    figures = outcome.figures() | {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}"}
    storms[name] = figures | {"recovery_seconds": [round(s, 2) for s in outcome.chronicle.recoveries]}
    recoveries = [seconds for storm in storms.values() for seconds in storm["recovery_seconds"]]
    total = {count: sum(storm[count] for storm in storms.values()) for count in _ADDED}
    total["recovery_seconds_p50"] = round(statistics.median(recoveries), 2)
    total["recovery_seconds_max"] = max(recoveries)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(orjson.dumps({**total, "storms": storms}, option=orjson.OPT_INDENT_2))
    return figures
