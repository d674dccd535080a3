"""The report as people get it: one page that needs nothing else and names nobody, and PNG files."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from features.layout import DAY_MS
from models.drift.told import Drift
from models.guard import Hold
from models.importance import FeatureWeight, ThemeWeight
from models.journal import Journal
from models.record import CHAMPION, RECENCY_RULE, Record
from models.trainer_config import TrainerConfig
from streams.cli import main
from streams.report import canvas, page
from streams.report.palette import COLOURS
from streams.report.words import WORDS, Words
from tests.building import day, event
from tests.reports import (
    CONFIG,
    JUDGED,
    SLOW,
    TIMES,
    KnowingTrainer,
    counts,
    looking_back,
    nothing_yet,
    quality,
    report,
    trainer,
)
from tests.reports import warming_up as warming

if TYPE_CHECKING:
    from pathlib import Path

    from features.wording import Language
    from models.report import Report


def one_contender() -> Report:
    names = ("logistic", CHAMPION, RECENCY_RULE)
    knowing = trainer(
        config=TrainerConfig(partitions=1, horizon_days=4, contenders=("logistic",)),
        record=Record(dict.fromkeys(names, JUDGED)),
        quality=[quality(ts, **dict.fromkeys(names, (0.8, 0.5))) for ts in TIMES[:10]],
    )
    still = Journal(CONFIG.thresholds)
    for ts in TIMES:
        still.issued(ts, np.array([0.7, 0.2]))
    return report(knowing, journal=still)


def all_left() -> Report:
    """Nobody stayed, so nothing can be ranked; few were warned about."""
    knowing = judged_as({0.2: (950, 0), 0.9: (50, 0)})
    knowing.groups, knowing.drifts = {}, []
    return report(knowing)


def judged_as(outcomes: dict[float, tuple[int, int]]) -> KnowingTrainer:
    judged = counts(outcomes)
    record = Record(dict.fromkeys((CHAMPION, RECENCY_RULE), judged))
    return trainer(record=record, hindsight=looking_back(judged))


#: All but 15 of 100 usually order within the horizon.
FAST = msgspec.structs.replace(SLOW, beyond_horizon=0.15)

#: What works as one would expect, the opposite, and both ways.
SIGNALS = (
    FeatureWeight("spend_7d", 0.2, -0.9),
    FeatureWeight("spend_30d", 0.2, 0.9),
    FeatureWeight("spend_trend", 0.2, 0.1),
    FeatureWeight("discount_share", 0.2, 0.9),
    FeatureWeight("items_per_order", 0.2, -0.9),
)


def much_drift() -> list[Drift]:
    """At more times than are listed, and more inputs at once than are named."""
    names = ("orders", "gap_mean", "spend_7d", "tenure_days", "searches")
    return [
        Drift(at=day(at), since=day(at - 4), what=name, measure="psi", strength=0.3, level="large")
        for at in range(20)
        for name in names
    ]


def closed_and_held_back() -> Report:
    """The shop was closed for five days, two steps were not believable, and one still is not."""
    today = TIMES[-1] // DAY_MS
    held = (
        Hold(since=TIMES[4], why="crossing", value=0.5, limit=0.1),
        Hold(since=TIMES[5], why="orders", value=0.1, limit=0.4),
    )
    return replace(report(), closed=((today - 9, today - 5),), held=held, hold=held[1])


STATES = {
    "full": report,
    "closed and held back": closed_and_held_back,
    "live": lambda: report(live=True),
    "test half": lambda: report(
        trainer(
            config=TrainerConfig(partitions=1, evaluate_from=day(8)),
            record_from=Record({CHAMPION: JUDGED, RECENCY_RULE: JUDGED}),
        )
    ),
    "no groups": lambda: report(trainer(groups={})),
    "lonely group": lambda: report(trainer(groups={"region": {"north": JUDGED}})),
    "one contender": one_contender,
    "all left": all_left,
    "cries wolf": lambda: report(judged_as({0.1: (100, 300), 0.9: (200, 200)})),
    "too calm": lambda: report(judged_as({0.1: (10, 300), 0.65: (380, 20)})),
    "no better": lambda: report(judged_as({0.1: (200, 200), 0.9: (200, 200)})),
    "hardly warns": lambda: report(judged_as({0.3: (30_000, 30_000), 0.9: (200, 20)})),
    "fewer at risk": lambda: report(shares=(0.4, 0.1)),
    "as many at risk": lambda: report(shares=(0.2, 0.2)),
    "no drift": lambda: report(trainer(drifts=[])),
    "much drift": lambda: report(trainer(drifts=much_drift())),
    "signals of all kinds": lambda: replace(report(), importance=(ThemeWeight("spend", 0.5, SIGNALS),)),
    "a horizon that suits": lambda: report(rhythm=FAST),
    "a few warnings": lambda: report(judged_as({0.1: (10, 300), 0.9: (40, 10)})),
    "warming up": warming,
    "nothing yet": nothing_yet,
}


SAID: set[str] = set()


class Listening(Words):
    """Remembers what was said."""

    def __call__(self, key: str, **values: object) -> str:
        SAID.add(key)
        return super().__call__(key, **values)


@cache
def html(state: str, language: Language) -> str:
    return page.html(STATES[state](), Listening(language, WORDS[language].texts))


def text(state: str, language: Language = "en") -> str:
    """What is read on the page."""
    return " ".join("".join(body(state, language).itertext()).split())


def body(state: str, language: Language = "en") -> ET.Element:
    found = tree(html(state, language)).find("body")
    assert found is not None
    return found


def tree(source: str) -> ET.Element:
    """Strict XML: what is not closed or not escaped is an error."""
    return ET.fromstring(source.removeprefix("<!DOCTYPE html>"))


PAGES = [*((state, "en") for state in STATES), ("full", "zh"), ("warming up", "zh")]


@pytest.mark.parametrize(("state", "language"), PAGES)
class TestEveryPage:
    def test_is_well_formed_and_its_references_lead_somewhere(self, state: str, language: Language):
        elements = list(tree(html(state, language)).iter())

        ids = Counter(e.get("id") for e in elements if e.get("id"))
        assert max(ids.values()) == 1
        referred = [e.get("href", "") for e in elements if e.get("href")]
        assert all(each.startswith("#") and each[1:] in ids for each in referred)
        assert all(e.get("aria-labelledby", next(iter(ids))) in ids for e in elements)
        clips = re.findall(r"url\(#([\w-]+)\)", html(state, language))
        assert set(clips) <= set(ids)

    def test_loads_nothing_and_runs_nothing(self, state: str, language: Language):
        source = html(state, language)

        assert "http" not in source
        assert re.findall(r"url\((?!#)", source) == []
        forbidden = {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        assert not forbidden & {e.tag for e in tree(source).iter()}
        assert len(source.encode()) < 3_000_000

    def test_can_be_heard_and_walked_through(self, state: str, language: Language):
        root = tree(html(state, language))

        assert root.get("lang") == WORDS[language]("lang")
        assert len(root.findall(".//h1")) == 1
        for chart in root.iter("svg"):
            assert chart.get("role") == "img"
            assert len(chart.get("aria-label", "")) > 15
        for table in root.iter("table"):
            assert table.find("caption") is not None
            assert all(cell.get("scope") in {"row", "col"} for cell in table.iter("th"))
            assert all(row[0].tag == "th" for row in table.iter("tr"))

    def test_every_colour_of_a_chart_follows_the_page(self, state: str, language: Language):
        charts = "".join(re.findall("<svg.*?</svg>", html(state, language), re.DOTALL))

        assert re.findall(r"#[0-9a-f]{6}\b", charts) == []
        assert set(re.findall(r"var\(--(\w+)\)", charts)) <= set(COLOURS)

    def test_shows_no_number_that_is_none(self, state: str, language: Language):
        assert not re.search(r"\bnan\b|\binf\b|None", "".join(tree(html(state, language)).itertext()))


def test_everything_that_a_language_can_say_is_said_somewhere():
    """Words that nobody can meet are not worth translating."""
    for state in STATES:
        html(state, "en")

    unsaid = set(WORDS["en"].texts) - SAID
    assert {key for key in unsaid if not key.startswith("model.")} == {"months", "more_than_99"}


class TestTheFirstScreen:
    def test_says_how_many_are_at_risk(self):
        said = text("full")

        assert "3 of 10 active customers are at risk: 30 in 100" in said
        assert "we expect about 4 of them (40 in 100) not to buy in the next 4 days" in said

    def test_says_what_became_of_a_hundred_warnings(self):
        said = text("full")

        assert "Of 100 customers we warned about, 75 did not come back; we had said 76." in said
        assert "Of 100 customers picked blindly it would have been 44." in said
        assert "Of 100 customers who left, we had warned about 68." in said

    @pytest.mark.parametrize(
        ("state", "verdict"),
        [
            ("full", "Yes"),
            ("cries wolf", "Yes, but they exaggerate"),
            ("too calm", "Yes, they even understate"),
            ("no better", "Not yet"),
            ("warming up", "Too early to say"),
        ],
    )
    def test_says_whether_they_can_be_trusted(self, state: str, verdict: str):
        assert f"Can the warnings be trusted? {verdict} " in text(state)

    def test_says_how_to_act_where_hardly_anybody_is_warned_about(self):
        assert "contact customers in the order of their risk" in text("hardly warns")
        assert "in the order of their risk" not in text("full")

    @pytest.mark.parametrize(
        ("state", "said"),
        [
            ("full", "More at risk: 30 in 100 customers, 20 on 24 January 2022."),
            ("fewer at risk", "Fewer at risk: 10 in 100 customers, 40 on 24 January 2022."),
            ("as many at risk", "As many at risk as on 24 January 2022: 20 in 100 customers."),
            ("full", "Since 28 January 2022 the forecasts have been less accurate than usual."),
            ("full", "Customers differ from those the model learned from in: usual time between orders."),
            ("full", "another model leads: additive model"),
            (
                "no drift",
                "The forecasts are as accurate as usual. Customers are like those the model learned from.",
            ),
        ],
    )
    def test_says_what_changed(self, state: str, said: str):
        assert said in text(state)

    def test_before_the_first_outcome_says_so(self):
        for state in ("warming up", "nothing yet"):
            assert "Warming up: a warning can be checked only 4 days later" in text(state)
            assert "no outcome is known yet" in text(state)

    def test_says_of_a_few_warnings_how_many_they_were(self):
        said = text("a few warnings")

        assert "So far, 50 warned customers could be checked: 40 did not come back." in said
        assert "Of 100 customers we warned" not in said

    def test_speaks_chinese(self):
        assert "我们预警过的每 100 位顾客中，有 75 位没有回来" in text("full", "zh")


class TestSignals:
    def rows(self, section: str) -> list[str]:
        found = body("signals of all kinds").find(f".//*[@id='{section}']")
        assert found is not None
        return [" ".join("".join(row.itertext()).split()) for row in found.iter() if row.tag.endswith("tr")]

    def test_everybody_reads_those_that_work_as_common_sense_says(self):
        told = self.rows("importance")

        assert len(told) == 3
        assert "money spent in recent days" in told[1]
        assert "less risk" in told[1]
        assert "share of orders with a coupon" in told[2]
        assert "more risk" in told[2]

    def test_data_scientists_read_all_of_them_beside_common_sense(self):
        told = self.rows("signals")

        assert len(told) == 6
        assert any("money spent in recent weeks" in row and "more riskless risk" in row for row in told)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("full", "46 of 100 usually take longer than the horizon of 4 days"),
        ("full", "A horizon of 21 days would suit four of five of them"),
        ("a horizon that suits", "So the horizon suits this shop"),
    ],
)
def test_it_says_whether_the_horizon_suits_the_shop(state: str, said: str):
    assert said in text(state)


def test_a_group_may_be_called_anything():
    assert "<south> & $x$" in text("full")
    assert "<south>" not in html("full", "en")


def test_without_groups_or_with_one_contender_the_rest_is_there():
    assert "No group attributes are known" in text("no groups")
    assert body("one contender").find(".//section[@id='weights']") is None
    assert body("one contender").find(".//section[@id='over-time']//svg") is not None
    assert "There are not two groups" in text("lonely group")


def test_every_chart_is_a_png_of_its_own(tmp_path: Path):
    written = page.write(report(), tmp_path / "a" / "b", "en")

    (found, *pictures) = written
    assert found.name == "report.html"
    assert found.read_text(encoding="utf-8") == html("full", "en")
    assert {p.stem for p in pictures} >= {
        "warnings",
        "trend",
        "risk",
        "roc",
        "precision-recall",
        "reliability",
        "fairness-1",
    }
    assert len(pictures) == len(re.findall("<svg", html("full", "en")))
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("fonts", "tag"), [([], "en"), (["Some CJK Font"], "zh")])
def test_pngs_are_chinese_where_a_font_is_and_english_elsewhere(
    fonts: list[str], tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn = []
    monkeypatch.setattr(page, "chinese_fonts", lambda: fonts)
    monkeypatch.setattr(page, "charts", lambda _, say: drawn.append(say.tag) or [])

    page.write(nothing_yet(), tmp_path, "zh")

    assert drawn == [tag]
    assert 'lang="zh-Hans"' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_fonts_that_are_not_there_are_not_asked_for():
    assert set(canvas.chinese_fonts()) <= set(canvas.CHINESE_FONTS)


# -- the command

OPTIONS = ["--horizon", "5d", "--every", "5d", "--active-within", "10d"]


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, words)])


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty customers over thirty days, of whom some stop buying; a return model that is not fitted."""
    monkeypatch.setattr("models.trainer.fit", lambda _, before: before)
    rng = random.Random(1)
    events: list[dict[str, Any]] = []
    for number in range(40):
        until = rng.choice([6, 30])
        times = sorted(rng.uniform(0, until) for _ in range(6))
        events += [event("purchase", f"customer-{number}", day(t)) for t in times]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in sorted(events, key=lambda e: e["ts"])))
    return path


def test_a_log_becomes_a_page_without_any_of_its_customers(log: Path, tmp_path: Path):
    out = tmp_path / "out"

    result = run(log, *OPTIONS, "--out", out)

    assert result.exit_code == 0, result.output
    assert "report.html" in result.output.replace("\n", "")
    found = (out / "report.html").read_text(encoding="utf-8")
    assert "customer-" not in found
    assert "AUC" in "".join(tree(found).itertext())
    assert (out / "trend.png").exists()


def test_a_log_shorter_than_the_horizon_is_warming_up(log: Path, tmp_path: Path):
    result = run(log, *OPTIONS, "--horizon", "40d", "--out", tmp_path, "--language", "zh")

    assert result.exit_code == 0, result.output
    assert "预热中" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_empty_log_is_a_page_too(tmp_path: Path):
    (tmp_path / "empty.jsonl").touch()

    result = run(tmp_path / "empty.jsonl", "--out", tmp_path / "out")

    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name FILES, or one of the known logs"),
        (["--live", "--data", "cdnow"], "leave the others out"),
        (["--live", "--horizon", "5d"], "leave the others out"),
        (["--data", "cdnow", "--language", "tlh"], "'tlh' is not one of 'en', 'zh'"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], said: str):
    result = run(*words)

    assert result.exit_code == 2
    assert said in result.output.splitlines()[-1]


def test_what_is_missing_to_draw_with_is_said_before_the_log_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streams.cli_report.find_spec", lambda name: None if name == "jinja2" else name)

    result = run("--data", "cdnow")

    assert result.exit_code == 1
    assert result.output == "Error: a report needs jinja2: pip install '.[report]' in a clone of churnwatch\n"


def test_a_folder_that_cannot_be_written_is_one_line(log: Path):
    result = run(log, *OPTIONS, "--out", log)

    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.output.splitlines()[-1].startswith("Error: ")
