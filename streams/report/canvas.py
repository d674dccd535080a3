"""Charts as matplotlib makes them: SVG for the page, in its own colours and fonts, and PNG files."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from matplotlib import font_manager, rc_context
from matplotlib.figure import Figure

from streams.report.palette import COLOURS, light

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

#: Fonts that hold Chinese, as they are called on the usual systems.
CHINESE_FONTS: Final = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",  # the first face of the collection that Linux installs: all that matplotlib sees
    "Noto Sans CJK TC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
)
_DPI: Final = 160
_STYLE: Final[Any] = {
    "svg.fonttype": "none",  # text stays text: read aloud, searched, and in the reader's own font
    "svg.hashsalt": "churnwatch",  # the same figures give the same bytes
    "text.parse_math": False,  # a group may be called $x$
    "font.size": 9,
    "axes.edgecolor": light("muted"),
    "axes.labelcolor": light("muted"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9,
    "axes.titlecolor": light("ink"),
    "grid.color": light("grid"),
    "grid.linewidth": 0.7,
    "text.color": light("ink"),
    "xtick.color": light("muted"),
    "ytick.color": light("muted"),
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def chinese_fonts() -> list[str]:
    """Those of `CHINESE_FONTS` that are installed here."""
    known = {each.name for each in font_manager.fontManager.ttflist}
    return [name for name in CHINESE_FONTS if name in known]


@contextmanager
def drawing() -> Iterator[None]:
    """The style in which everything is drawn and written."""
    with rc_context({**_STYLE, "font.family": [*chinese_fonts(), "DejaVu Sans"]}), warnings.catch_warnings():
        # Of an SVG the reader's own font makes the glyphs.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of so many inches with its axes, row by row."""
    made = Figure(figsize=(width, height), layout="constrained", facecolor="none")
    axes = made.subplots(rows, columns, squeeze=False).ravel().tolist()
    for each in axes:
        each.set_facecolor("none")
        each.tick_params(length=0)
    return made, axes


def png(drawn: Figure, title: str, path: Path) -> None:
    """Write the chart to `path` with its title, on light paper."""
    drawn.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left", color=light("ink"))
    drawn.savefig(path, dpi=_DPI, facecolor=light("paper"), metadata={"Software": None})


def svg(drawn: Figure, name: str, alt: str) -> str:
    """The chart as an element for a page: its colours follow the page, its ids begin with `name`.

    Screen readers are told `alt` instead.
    """
    written = io.StringIO()
    drawn.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(written.getvalue())  # noqa: S314 - matplotlib wrote it
    _clean(root)
    _own_ids(root, name)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": alt,
        "class": "chart",
        "style": f"--width: {drawn.get_figwidth():g}",
    }
    return _coloured(ET.tostring(root, encoding="unicode"))


def _clean(root: ET.Element) -> None:
    """Leave out namespaces, metadata and matplotlib's own style sheet, which would be the whole page's."""
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(key): value for key, value in element.attrib.items()}
        for child in list(element):
            if _local(child.tag) in {"metadata", "style"}:
                element.remove(child)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _own_ids(root: ET.Element, name: str) -> None:
    """Keep only ids that are referred to, and make them this chart's own."""
    text = ET.tostring(root, encoding="unicode")
    used = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', text))
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{name}-{own}")
        if "href" in element.attrib:
            element.set("href", f"#{name}-{element.attrib['href'].removeprefix('#')}")
        for key in ("style", "clip-path"):
            if key in element.attrib:
                element.set(key, element.attrib[key].replace("url(#", f"url(#{name}-"))


def _coloured(text: str) -> str:
    for role, (colour, _) in COLOURS.items():
        text = text.replace(colour, f"var(--{role})")
    return text
