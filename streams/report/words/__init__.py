"""What the report says, in each language that reasons are told in.

A language is one file, `en.py` or `zh.py`: texts by key, with named numbers. Names of features and themes
stand in `features.wording`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from features.wording import LANGUAGES
from features.wording.numbers import percent, whole
from streams.report.words.en import ENGLISH
from streams.report.words.zh import CHINESE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.feature import Theme
    from features.wording import Language


@dataclass(frozen=True)
class Words:
    """One language. Calling it gives the text of a key, with its numbers filled in."""

    tag: Language
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`; KeyError for an unknown one, or without a value that it names."""
        return self.texts[key].format(**values)

    def of_100(self, share: float) -> str:
        """How many of a hundred a share is; none and all are said of none and all only.

        >>> WORDS["en"].of_100(0.831), WORDS["en"].of_100(0.001), WORDS["en"].of_100(1.0)
        ('83', 'fewer than 1', '100')
        """
        shown = percent(share).removesuffix("%")
        if shown.startswith("<"):
            return self("fewer_than_1")
        return self("more_than_99") if shown.startswith(">") else shown

    def date(self, ts: int) -> str:
        """The day of an epoch ms, for people.

        >>> WORDS["en"].date(899_164_800_000)
        '30 June 1998'
        """
        day = datetime.fromtimestamp(ts / 1000, UTC)
        month = self.texts["months"].split()[day.month - 1]
        return self("date", year=day.year, month=month, day=day.day)

    def feature(self, name: str) -> str:
        """A model input in words; its own name if it is none of the catalogue."""
        return LANGUAGES[self.tag].names.get(name, name)

    def theme(self, theme: Theme) -> str:
        """A theme of features in words."""
        return LANGUAGES[self.tag].themes[theme]

    def model(self, name: str) -> str:
        """A contender in words; its own name if the language has none."""
        return self.texts.get(f"model.{name}", name)

    def list(self, items: list[str], most: int = 3) -> str:
        """The first `most` items in a row, and how many more there are."""
        shown = self("comma").join(items[:most])
        return shown if len(items) <= most else self("and_more", shown=shown, n=whole(len(items) - most))


WORDS: Final[Mapping[Language, Words]] = MappingProxyType(
    {"en": Words("en", ENGLISH), "zh": Words("zh", CHINESE)}
)
