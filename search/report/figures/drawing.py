"""Figures as inline SVG whose text stays text and whose colours follow the page's light or dark scheme.

Colours are style-sheet variables with a fallback, so a figure also stands alone.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The light scheme's colours and the style sheet's names for them; each figure is drawn in the former.
INK, MUTED, LINE, FRONT, PAPER = "#1c2126", "#5c6670", "#d9dde2", "#2a6f97", "#fffffe"
ROLE_COLOURS = {
    "dense": "#4b5661",
    "off-the-shelf": "#b35900",
    "uniform": "#7a4fa3",
    "global-pruning": "#8a6d00",
    "random": "#a8324f",
    "optimised": "#00795c",
    "optimised-int8": "#1d4e89",
    "candidate": "#5aa893",
    "from-scratch": "#2f6f9f",
}
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", FRONT: "front", PAPER: "paper"}
_VARIABLES |= {colour: role for role, colour in ROLE_COLOURS.items()}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in two widths, each an ``<svg>`` element: for a desk and for a hand. described: what it shows, in words."""

    wide: str
    narrow: str
    described: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The canvas of one variant: ``wide`` puts the panels side by side. tips: text per element, shown by the browser."""

    name: str
    wide: bool
    tips: dict[str, str]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return (12.6, 4.9) if self.wide else (4.4, 8.2)


Panel = Callable[[Any, Sheet], None]


def both(name: str, described: str, panels: tuple[Panel, Panel]) -> Figure:
    """Two panels as a figure: side by side, and one below the other."""
    wide, narrow = (_svg(Sheet(f"{name}-{kind}", kind == "wide", {}), described, panels) for kind in ("wide", "narrow"))
    return Figure(wide, narrow, described)


def style(name: str) -> dict[str, object]:
    """How every figure is drawn. name: what its elements' names are made from, the same at every drawing."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 9.5,
        "axes.edgecolor": LINE,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.labelcolor": INK,
        "savefig.transparent": True,
    }


def _svg(sheet: Sheet, described: str, panels: tuple[Panel, Panel]) -> str:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(style(sheet.name)):
        rows, columns = (1, 2) if sheet.wide else (2, 1)
        figure, axes = pyplot.subplots(rows, columns, figsize=sheet.size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        for panel, draw in zip(axes.flat, panels, strict=True):
            draw(panel, sheet)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        pyplot.close(figure)
    return _inline(stream.getvalue(), sheet, described)


def _inline(svg: str, sheet: Sheet, described: str) -> str:
    """Matplotlib's document as an element for a page: no header, own ids, page's font and colours, a tip per element."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.S)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.S)
    body = re.sub(r'\b(id|xlink:href|clip-path)="(#|url\(#)?([^")]+)(\)?)"', rf'\1="\2{sheet.name}-\3\4"', body)
    body = re.sub(r"font: (?:(bold|\d+) )?([\d.]+)px [^;\"]*", lambda found: _font(found[1], found[2]), body)
    for colour, name in _VARIABLES.items():
        body = body.replace(colour, f"var(--{name}, {colour})")
    for element, tip in sheet.tips.items():
        body = body.replace(f'<g id="{sheet.name}-{element}">', f'<g id="{sheet.name}-{element}"><title>{html.escape(tip)}</title>')
    box = re.search(r'viewBox="[^"]+"', body)
    label = html.escape(described, quote=True)
    opening = f'<svg class="{"wide" if sheet.wide else "narrow"}" role="img" aria-label="{label}" {box[0] if box else ""}>'
    return opening + re.sub(r"^<svg[^>]*>", "", body).replace("xlink:href", "href")


def _font(weight: str | None, size: str) -> str:
    return f"font-size: {size}px" + (f"; font-weight: {weight}" if weight else "")
