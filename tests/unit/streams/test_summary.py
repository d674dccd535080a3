"""The demo's summary: the figures a machine reads and the words a person reads agree."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from models.alerts import Alert, ModelRef, Reason
from models.record import RECENCY_RULE
from streams.settings import load
from streams.summary import render, summarise
from streams.tally import Tally

METRICS = {
    "churnwatch_labels_total{}": 830.0,
    "churnwatch_progressive_auc{model=champion,record=all}": 0.73,
    f"churnwatch_progressive_auc{{model={RECENCY_RULE},record=all}}": 0.65,
    "churnwatch_progressive_log_loss{model=champion,record=all}": 0.5,
    "churnwatch_progressive_brier{model=champion,record=all}": 0.16,
    "churnwatch_base_rate_log_loss{record=all}": 0.57,
    "churnwatch_progressive_auc{model=return_probability,record=all}": 0.7,
    "churnwatch_progressive_log_loss{model=return_probability,record=all}": 0.55,
    "churnwatch_progressive_auc{model=hoeffding_tree,record=all}": 0.71,
    "churnwatch_progressive_log_loss{model=hoeffding_tree,record=all}": 0.52,
    "churnwatch_champion{model=hoeffding_tree}": 1.0,
    "churnwatch_champion{model=return_probability}": 0.0,
}


class Source:
    """As much of a source as the summary names."""

    horizon_days = 90


@pytest.fixture
def tally():
    found = Tally()
    found.alerts[("01", "opened", "high")] = "ada"
    found.tiers["high"] += 1
    found.commands["c1"] = "email"
    found.marks.update(["rehearsal"])
    found.decisions.update(["email", "holdout"])
    found.holdout.add("bob")
    found.examples.append(
        Alert(
            alert_id="01",
            kind="episode",
            status="opened",
            user_id="ada",
            ts=0,
            probability=0.91,
            tier="high",
            reasons=(Reason(feature="f", value=1.0, contribution=0.5, text="bought long ago"),),
            model=ModelRef(name="logistic", version=1),
            horizon_days=90,
            mark="rehearsal",
        )
    )
    return found


def summary(tally: Tally, metrics: dict[str, float]) -> dict[str, Any]:
    return summarise("cdnow", Source(), customers=3, events=100, seconds=4.0, tally=tally, metrics=metrics)


def words(found: dict[str, Any], tally: Tally, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(found, tally, load(), Path("run")))
    return console.file.getvalue()


def test_the_figures_are_json_and_add_up(tally: Tally):
    found = summary(tally, METRICS)

    assert orjson.loads(orjson.dumps(found)) == found
    assert (found["labels"], found["auc"], found["recency_auc"]) == (830, 0.73, 0.65)
    assert found["events_per_second"] == 25.0
    assert found["commands_by_channel"] == {"email": 1}
    assert found["alerts_digest"] == tally.alerts_digest
    assert found["evaluated"]["auc"] is None


def test_the_words_say_what_happened_and_that_consents_are_simulated(tally: Tally):
    text = words(summary(tally, METRICS), tally)

    for said in (
        "AUC 0.7300",
        "1 high",
        "1 email",
        "customer ada: 91.0%",
        "bought long ago",
        "simulated",
        "1 rehearsal",
    ):
        assert said in text


def test_everybody_who_contended_stands_there_whole_the_best_first_on_a_narrow_terminal(tally: Tally):
    evaluated = {
        name.replace("record=all", "record=evaluated"): value - 0.01 for name, value in METRICS.items()
    }
    found = summary(tally, evaluated | METRICS)
    text = words(found, tally, width=80)

    assert found["champion"] == "hoeffding_tree"
    assert found["contenders"]["hoeffding_tree"]["all"] == {"auc": 0.71, "log_loss": 0.52}
    assert set(found["contenders"]) == {"hoeffding_tree", "return_probability"}
    assert "hoeffding_tree raises the alerts" in text
    rows = [line.split() for line in text.splitlines() if line.endswith("│") and line.split()[1:2]]
    named = [row[1:-1] for row in rows if row[1] in found["contenders"]]
    assert named == [
        ["hoeffding_tree", "0.7100", "0.5200", "0.7000", "0.5100"],
        ["return_probability", "0.7000", "0.5500", "0.6900", "0.5400"],
    ]


def test_a_run_too_short_for_labels_says_so(tally: Tally):
    text = words(summary(tally, {}), tally)

    assert "no labels have matured yet" in text
