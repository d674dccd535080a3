"""The report's colours by role, on light and on dark paper.

They differ in lightness as well as in hue, so that they are told apart without colour vision (after Okabe &
Ito, *Color Universal Design*, 2008), and text has a contrast of at least 4.5 : 1.
"""

from __future__ import annotations

from typing import Final

#: Role → (on light paper, on dark paper). The light ones are what PNGs are drawn in, each used once.
COLOURS: Final = {
    "ink": ("#1c2530", "#e9edf2"),
    "muted": ("#596575", "#a5b0bd"),
    "grid": ("#dfe4ea", "#333b46"),
    "paper": ("#fdfdfe", "#1b2027"),
    "main": ("#1b5e9e", "#7ab8f5"),
    "second": ("#c4681b", "#f0a35e"),
    "third": ("#12806f", "#56cdb8"),
    "fourth": ("#8b4fa8", "#cf9fe6"),
    "fifth": ("#8a7a12", "#d9c75a"),
    "sixth": ("#b03a6a", "#f08fb4"),
    "rule": ("#7d8896", "#8d98a6"),
    "none": ("#b3c4d6", "#4b6078"),
    "medium": ("#e9b949", "#e3b548"),
    "high": ("#dd7a2f", "#e58b45"),
    "critical": ("#b8321f", "#f0705c"),
}

#: Lines of contenders, the champion's first.
LINES: Final = ("main", "second", "third", "fourth", "fifth", "sixth")


def light(role: str) -> str:
    """The colour of a role on light paper; KeyError for an unknown role."""
    return COLOURS[role][0]


def stylesheet(dark: bool) -> str:
    """The colours as CSS custom properties."""
    return "".join(f"--{role}:{pair[dark]};" for role, pair in COLOURS.items())
