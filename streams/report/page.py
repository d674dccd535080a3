"""The report as one HTML page that needs nothing else, and its charts as PNG files."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from streams.report import overview
from streams.report.canvas import chinese_fonts, drawing, png, svg
from streams.report.palette import stylesheet
from streams.report.sections import sections
from streams.report.story import cards
from streams.report.words import WORDS

if TYPE_CHECKING:
    from pathlib import Path

    from features.wording import Language
    from models.report import Report
    from streams.report.chart import Chart
    from streams.report.words import Words

#: Name of the page in its folder.
PAGE = "report.html"


def write(report: Report, folder: Path, language: Language) -> list[Path]:
    """Write the page and a PNG for each chart to `folder`, made if it is not there; returns what was written.

    Where no font with Chinese is installed, PNGs are labelled in English: their glyphs are drawn here, those
    of the page by the reader's browser. Raises OSError when a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    page.write_text(html(report, WORDS[language]), encoding="utf-8")
    written = [page]
    drawn_in = WORDS[language if language == "en" or chinese_fonts() else "en"]
    with drawing():
        for chart in charts(report, drawn_in):
            path = folder / f"{chart.name}.png"
            png(chart.figure, chart.title, path)
            written.append(path)
    return written


def charts(report: Report, say: Words) -> list[Chart]:
    """Every chart of the report; to be called while `drawing`."""
    first = overview.warnings(report, say)
    rest = [chart for section in sections(report, say) for chart, _ in section.charts]
    return rest if first is None else [first, *rest]


def html(report: Report, say: Words) -> str:
    """The page. Every text in it is escaped; it is well-formed XML, too."""
    here = files("streams.report")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    template = environment.from_string((here / "page.html.jinja").read_text(encoding="utf-8"))
    with drawing():
        found = sections(report, say)
        pictures = [chart for section in found for chart, _ in section.charts]
        if first := overview.warnings(report, say):
            pictures.append(first)
        drawn = {chart.name: svg(chart.figure, chart.name, chart.alt) for chart in pictures}
    config = report.config
    numbers = {
        "horizon": config.horizon_days,
        "active": config.active_within_days,
        "every": config.grid.every_days,
        "labels": f"{report.labels:,}",
    }
    return template.render(
        report=report,
        say=say,
        numbers=numbers,
        cards=cards(report, say),
        sections=found,
        drawn=drawn,
        words=[line.split("|") for line in say("words", **numbers).splitlines()],
        light=stylesheet(dark=False),
        dark=stylesheet(dark=True),
        css=(here / "page.css").read_text(encoding="utf-8"),
    )
