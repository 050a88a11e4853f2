"""The experiment in one picture: what every compared network loses against how fast it runs, all rivals, both precisions."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.experiment.studied import Studied
from search.records import whole_file
from search.report.compared import Compared
from search.report.figures import drawing
from search.report.figures.drawing import INK, MUTED, PAPER, ROLE_COLOURS
from search.report.figures.wording import ROLE_WORDS
from search.report.summary import Summary

PICTURE = "experiment.svg"
_MARKERS = {"optimised": "*", "dense": "s", "uniform": "D", "random": "P", "from-scratch": "d"}
_INCHES = 5.6, 4.4  # of one study's panel
_LEGEND_ROWS = (4, 2)  # below one panel, and below several


def write(reports: Path, studied: Sequence[Studied]) -> Path | None:
    """Draw ``experiment.svg``, whole, one panel per study; None where there is none to draw.

    Across: how many times as fast as the dense network of the same comparison, which is measured in turns with it. Upright: points of test
    accuracy lost. Filled: quantised; hollow: in the dense network's precision; smaller: on smaller pictures.
    """
    if not studied:
        return None
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({**drawing.style(PICTURE), "savefig.transparent": False, "savefig.facecolor": PAPER}):
        size = len(studied) * _INCHES[0], _INCHES[1]
        figure, axes = pyplot.subplots(1, len(studied), figsize=size, layout="constrained", squeeze=False)
        roles: dict[str, str] = {}
        for panel, study in zip(axes.flat, studied, strict=True):
            roles |= _draw(panel, study)
        keys = [_key(axes.flat[0], role, colour) for role, colour in roles.items()]
        figure.legend(handles=keys, loc="outside lower center", ncols=math.ceil(len(keys) / _LEGEND_ROWS[len(studied) > 1]))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        pyplot.close(figure)
    return whole_file.write(reports / PICTURE, stream.getvalue())


def _draw(axes: Any, study: Studied) -> dict[str, str]:
    """One study's networks; returns the roles that were drawn, with their colours."""
    roles: dict[str, str] = {}
    for summary in reversed(study.comparisons):
        for entry in summary.compared:
            if entry.contender.role != "candidate":
                _point(axes, summary, entry)
                roles.setdefault(_role(entry), ROLE_COLOURS.get(_role(entry), MUTED))
    limit = study.summary.outcome.max_drop_points
    if limit is not None:
        axes.axhline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(f" limit: {limit:g}", (0, limit), xycoords=("axes fraction", "data"), va="top", color=INK, fontsize=8.5)
    axes.margins(x=0.08)
    axes.invert_yaxis()
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in (1, 1.5, 2, 3, 4, 6, 8, 12, 16) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.minorticks_off()
    metric = study.summary.outcome.metric
    axes.set(title=f"{study.network}, {study.place}", xlabel="times as fast as dense, 95 % interval")
    axes.set_ylabel(metric.worded("points of test top-1 lost, 95 % interval"))
    return roles


def _key(axes: Any, role: str, colour: str) -> Any:
    marker = _MARKERS.get(role, "o")
    (drawn,) = axes.plot([], [], marker=marker, linestyle="none", color=colour, label=ROLE_WORDS.get(role, role), markersize=7)
    return drawn


def _role(entry: Compared) -> str:
    """What it is, whatever it runs in."""
    return entry.contender.role.removesuffix("-int8")


def _point(axes: Any, summary: Summary, entry: Compared) -> None:
    speed, lost = entry.against_dense, entry.test_drop
    dense = entry.contender.role == "dense"
    if not dense and (speed is None or lost is None):
        return
    x, y = (1.0, 0.0) if dense or speed is None or lost is None else (speed.times, lost.points)
    role, quantised = _role(entry), entry.contender.precision != ""
    colour, marker = ROLE_COLOURS.get(role, MUTED), _MARKERS.get(role, "o")
    if speed is not None and lost is not None and speed.low > 0 and math.isfinite(speed.high):
        across, upright = [[x - speed.low], [speed.high - x]], [[y - lost.low], [lost.high - y]]
        axes.errorbar([x], [y], xerr=across, yerr=upright, fmt="none", color=colour, elinewidth=1, alpha=0.4, zorder=2)
    size = (13 if marker == "*" else 8) * (0.75 if entry.contender.size else 1)
    drawn = {"marker": marker, "markersize": size, "markerfacecolor": colour if quantised else PAPER, "markeredgecolor": colour}
    axes.plot([x], [y], linestyle="none", markeredgewidth=1.4, zorder=4 if marker == "*" else 3, **drawn)
