"""What a person sees of a staircase: a table of legal widths and a picture per group."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from harness.latency.explanation.staircase import Staircase
from harness.pages.tables import duration

INK, STEP, SLOW, LINE = "#1c2126", "#00795c", "#b35900", "#d9dde2"
_PNG_DPI = 110
_TICK_SPACE = 0.03  # of the axis: two digits at the label's size


def table(staircase: Staircase, title: str, twins: Sequence[Sequence[str]] = ()) -> Table:
    """One row per measured group: legal widths, the next useful one and what it saves, and where narrower is slower.

    twins: classes of groups that are known from their first member.
    """
    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    drawn.caption = (
        f"latency of the whole network with this group alone narrowed; a saving below {duration(staircase.tolerance)} or within "
        f"{staircase.certain_sd:g} standard errors is no step; legal: certainly faster than every larger width"
    )
    drawn.add_column("group", overflow="fold")
    drawn.add_column("legal widths")
    drawn.add_column("next useful, and what it saves")
    drawn.add_column("slower though narrower")
    also = {names[0]: names[1:] for names in twins}
    for group in staircase.groups:
        name = f"{group}\n(also {', '.join(also[group])})" if also.get(group) else group
        drawn.add_row(name, ", ".join(map(str, staircase.legal_widths(group))), next_useful(staircase, group), slower(staircase, group))
    return drawn


def next_useful(staircase: Staircase, group: str) -> str:
    """The next useful width below the full one in words."""
    full = staircase.points(group)[0].width
    useful = staircase.next_useful(group, full)
    if useful is None:
        return f"{full}: no narrower width is faster"
    return f"{full} → {useful.width}: {duration(useful.saved)} ± {duration(2 * useful.sd)}"


def slower(staircase: Staircase, group: str) -> str:
    """Widths that cost more than a larger one, in words; empty when there is none."""
    return "; ".join(
        f"{one.width} costs {duration(one.lost)} ± {duration(2 * one.sd)} more than {one.than}"
        for one in staircase.slower_when_narrower(group)
    )


def write_pictures(folder: Path, stem: str, staircase: Staircase, groups: Sequence[str]) -> tuple[Path, ...]:
    """A PNG per group beside the stored measurements; returns their paths."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for group in groups:
        figure, axes = pyplot.subplots(figsize=(5.6, 3.4), layout="constrained")
        draw(axes, staircase, group)
        path = folder / f"{stem}-{re.sub(r'[^A-Za-z0-9.]+', '-', group)}.png"
        figure.savefig(path, dpi=_PNG_DPI)
        pyplot.close(figure)
        written.append(path)
    return tuple(written)


def draw(axes: Any, staircase: Staircase, group: str, ids: str = "") -> None:
    """One staircase: points with two standard errors, the legal widths filled, the cost of going to each as a stair."""
    points = sorted(staircase.points(group), key=lambda point: point.width)
    legal = set(staircase.legal_widths(group))
    slow = {one.width for one in staircase.slower_when_narrower(group)}
    scale = 1e3 if points[-1].cost >= 1e-3 else 1e6
    stairs = sorted((point for point in points if point.width in legal), key=lambda point: point.width)
    axes.step([p.width for p in stairs], [p.cost * scale for p in stairs], where="pre", color=LINE, linewidth=1.2, zorder=1)
    for point in points:
        colour = STEP if point.width in legal else SLOW if point.width in slow else INK
        axes.errorbar(
            point.width, point.cost * scale, 2 * point.sd * scale, color=colour, marker="o", markersize=5, capsize=2, linewidth=1.0,
            markerfacecolor=colour if point.width in legal else "none", gid=f"{ids}{point.width}" if ids else None,
        )  # fmt: skip
    axes.set_title(group, loc="left", fontsize=10)
    axes.set_xlabel("channels kept (filled: legal; orange: slower than a larger width)", fontsize=8)
    axes.set_ylabel("network latency, " + ("ms" if scale == 1e3 else "µs"), fontsize=8)
    axes.set_xticks(_apart([point.width for point in points]))
    axes.tick_params(labelsize=7)


def _apart(widths: Sequence[int]) -> list[int]:
    """The widths, ascending, of which the narrower one is left out where two are too close for their labels."""
    kept: list[int] = []
    for width in reversed(widths):
        if not kept or kept[-1] - width >= _TICK_SPACE * (widths[-1] - widths[0]):
            kept.append(width)
    return kept[::-1]
