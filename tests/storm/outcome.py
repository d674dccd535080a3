"""How a storm ended: verdict, figures, and all of the first customer with whom something is wrong."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from streams.settings import Settings
    from tests.storm.counts import Verdict
    from tests.storm.fleet import Chronicle
    from tests.storm.said import Said
    from tests.storm.truth import Truth


@dataclass(frozen=True)
class Outcome:
    """How a storm ended."""

    settings: Settings
    verdict: Verdict
    chronicle: Chronicle
    truth: Truth
    said: Said
    seconds: float

    def figures(self) -> dict[str, Any]:
        """What `run/prove.json` says of it."""
        recoveries = self.chronicle.recoveries or [0.0]
        return {
            **self.verdict.figures(),
            "kills": self.chronicle.kills,
            "kills_while_processing": self.chronicle.kills_while_processing,
            "pauses": self.chronicle.pauses,
            "restarts": self.chronicle.restarts,
            "holes_mended": int(self.chronicle.holes_mended),
            "foreign_writes": int(self.chronicle.foreign_writes),
            "recovery_seconds_p50": round(statistics.median(recoveries), 2),
            "recovery_seconds_max": round(max(recoveries), 2),
            "seconds": round(self.seconds, 1),
        }


def report(outcome: Outcome) -> str:
    """Figures and faults, with all of the first customer with whom something is wrong."""
    lines = [orjson.dumps(outcome.figures(), option=orjson.OPT_INDENT_2).decode(), *outcome.verdict.faults]
    if (user := outcome.verdict.first) is not None:
        lines += [f"history of {user}:", outcome.truth.history(user).to_string(), "what was said of them:"]
        lines += [value.decode() for value in outcome.said.about(user)]
    return "\n".join(lines)
