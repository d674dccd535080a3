"""The report's words and colours: the same in every language, and readable on light and dark paper."""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING

import pytest

from features.catalogue import CATALOGUE
from features.wording import LANGUAGES
from streams.report.palette import COLOURS, LINES, stylesheet
from streams.report.words import WORDS, Words

if TYPE_CHECKING:
    from features.wording import Language

ENGLISH = WORDS["en"]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


class TestWords:
    def test_there_are_some_for_every_language_that_reasons_are_told_in(self):
        assert set(WORDS) == set(LANGUAGES)
        assert all(language == words.tag for language, words in WORDS.items())

    @pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
    def test_every_language_says_the_same_things_with_the_same_numbers(self, words: Words):
        assert set(words.texts) == set(ENGLISH.texts)
        for key, text in words.texts.items():
            if key != "date":
                assert placeholders(text) == placeholders(ENGLISH.texts[key]), key
        assert len(words.texts["months"].split()) == 12
        assert words.texts["words"].count("|") == ENGLISH.texts["words"].count("|")

    def test_chinese_is_chinese(self):
        unspoken = {"lang", "months"}

        foreign = [k for k, text in WORDS["zh"].texts.items() if not re.search("[\u3000-\u9fff]", text)]

        assert set(foreign) == unspoken

    @pytest.mark.parametrize(
        ("share", "said"),
        [(0.0, "0"), (0.004, "fewer than 1"), (0.831, "83"), (0.996, "more than 99"), (1.0, "100")],
    )
    def test_none_and_all_are_said_of_none_and_all_only(self, share: float, said: str):
        assert ENGLISH.of_100(share) == said

    @pytest.mark.parametrize(("tag", "said"), [("en", "30 June 1998"), ("zh", "1998 年 6 月 30 日")])
    def test_dates_are_days(self, tag: Language, said: str):
        assert WORDS[tag].date(899_164_800_000) == said

    def test_lists_are_cut_and_say_so(self):
        assert ENGLISH.list(["a", "b", "c"]) == "a, b, c"
        assert ENGLISH.list(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"

    @pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
    def test_features_and_themes_are_called_as_everywhere(self, words: Words):
        wording = LANGUAGES[words.tag]
        for feature in CATALOGUE:
            assert words.feature(feature.name) == wording.names[feature.name]
            assert words.theme(feature.theme) == wording.themes[feature.theme]

    def test_what_has_no_words_is_called_by_its_own_name(self):
        assert ENGLISH.feature("treated") == "treated"
        assert ENGLISH.model("a contender of tomorrow") == "a contender of tomorrow"


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    """Ratio as WCAG 2.2 defines it."""
    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("dark", [False, True])
class TestPalette:
    @pytest.mark.parametrize(
        ("role", "least"), [("ink", 7), ("muted", 4.5), *((line, 3.0) for line in LINES)]
    )
    def test_text_and_lines_stand_out_from_the_paper(self, role: str, least: float, *, dark: bool):
        assert contrast(COLOURS[role][dark], COLOURS["paper"][dark]) >= least

    def test_no_two_roles_have_one_colour(self, *, dark: bool):
        assert len({pair[dark] for pair in COLOURS.values()}) == len(COLOURS)
        assert stylesheet(dark=dark).count("--") == len(COLOURS)
