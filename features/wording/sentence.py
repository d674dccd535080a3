"""How a feature becomes a sentence: templates with placeholders for the customer's own numbers.

A template is a format string: `{gap_mean}` shows the usual gap as numbers of its kind are shown,
`{gap_mean:days}` by the language's own form `days`, and `{orders:order|orders}` with its noun.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from string import Formatter
from typing import TYPE_CHECKING, Literal

from features.wording.numbers import TOLD, shows_zero

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from features.feature import Theme


#: What is said where no feature says it: a trigger event, what customers judged alike do, and why an episode
#: ended: an order, a forecast that fell, a threshold that rose, or that it is not known which of these two.
Occasion = Literal[
    "trigger", "forecast", "ordered_again", "forecast_fell", "threshold_rose", "below_threshold"
]


@dataclass(frozen=True)
class Sentence:
    """What is said of one feature.

    `text` is told if all its numbers are known, `missing` if not, and `zero`, if there is one, instead of a
    `text` in which a number would read as zero: nobody says "0 orders". `habit` compares with what is usual
    for the customer; it follows where that is known and not zero. `shop` compares with what is usual in the
    shop, where there is no habit of the customer's to compare with.
    """

    text: str
    missing: str
    zero: str = ""
    habit: str = ""
    shop: str = ""


@dataclass(frozen=True)
class Wording:
    """A language: a sentence and a name for every feature, a name for every theme, its forms of numbers.

    `occasions` has what is said where no feature says it. Names stand where many customers are spoken of.
    """

    sentences: Mapping[str, Sentence]
    names: Mapping[str, str]
    themes: Mapping[Theme, str]
    forms: Mapping[str, Callable[[float], str]]
    occasions: Mapping[Occasion, Sentence]

    def tell(self, feature: str, raw: Mapping[str, float]) -> str:
        """The sentence about `feature` of a customer with `raw` values by feature; NaN = missing.

        `raw` may hold more than features (`features.speaking.facts`), and sentences tell it.
        """
        return self._say(self.sentences[feature], raw)

    def occasion(self, name: Occasion, known: Mapping[str, float]) -> str:
        """What is said of an occasion, with the numbers that are `known`."""
        return self._say(self.occasions[name], known)

    def _say(self, sentence: Sentence, raw: Mapping[str, float]) -> str:
        said, has_zero = self._fill(sentence.text, raw)
        if said is None:
            return sentence.missing
        said = sentence.zero if has_zero and sentence.zero else said
        habit, no_habit = self._fill(sentence.habit, raw)
        if sentence.shop and not habit:
            habit, no_habit = self._fill(sentence.shop, raw)
        return said if habit is None or no_habit else said + habit

    def _fill(self, template: str, raw: Mapping[str, float]) -> tuple[str | None, bool]:
        """The filled template, None if one of its numbers is missing; and whether one of them shows zero."""
        said, has_zero = "", False
        for literal, name, form in parts(template):
            said += literal
            if name is None:
                continue
            value = TOLD[name].value(raw)
            if value is None:
                return None, False
            shown = self._show(name, form, value)
            said += shown
            has_zero = has_zero or shows_zero(shown)
        return said, has_zero

    def _show(self, name: str, form: str, value: float) -> str:
        one, bar, many = form.partition("|")
        if not bar:
            return (self.forms[form] if form else TOLD[name].show)(value)
        shown = TOLD[name].show(value)
        return f"{shown} {one if shown == '1' else many}"


@cache
def parts(template: str) -> tuple[tuple[str, str | None, str], ...]:
    """(literal text, placeholder behind it, its form) in turn; the last placeholder may be None."""
    return tuple((literal, name, form or "") for literal, name, form, _ in Formatter().parse(template))
