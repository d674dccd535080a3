"""Features in plain sentences, with the customer's own numbers, in each language that we speak.

A language is one file: `en.py`, `zh.py`. To add one, write its file and name it here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from features.wording.en import ENGLISH
from features.wording.zh import CHINESE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.wording.sentence import Wording

#: BCP 47 tags of the languages that reasons can be told in.
Language = Literal["en", "zh"]

LANGUAGES: Final[Mapping[Language, Wording]] = MappingProxyType({"en": ENGLISH, "zh": CHINESE})
