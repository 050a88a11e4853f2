"""Staircases that the latency model knows: what every width of a group costs, read off the model instead of a device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from harness.errors import UsageError
from harness.latency.explanation.staircase import CERTAIN_SD, TOLERANCE_RATIO, Staircase, WidthCost
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import ChannelGroup
from harness.records.pruning_config import PruningConfig


def predicted(
    predictor: LatencyPredictor,
    tolerance_ratio: float = TOLERANCE_RATIO,
    certain_sd: float = CERTAIN_SD,
    groups: Iterable[str] | None = None,
) -> Staircase:
    """The staircases that the latency model knows, of every group or of some, all other groups dense.

    tolerance_ratio: least saving that counts, of the dense network's latency. LatencyUnknown where the model does not know it.
    """
    architecture = predictor.architecture
    dense = predictor.predict(architecture.dense()).seconds
    chosen = [group for group in architecture.groups if groups is None or group.name in set(groups)]
    series = {group.name: _known_points(predictor, group, architecture.dense(), None) for group in chosen}
    return Staircase.fit(series, tolerance_ratio * dense, certain_sd)


def predicted_series(
    predictor: LatencyPredictor, group: str, around: PruningConfig | None = None, widths: Sequence[int] | None = None
) -> tuple[WidthCost, ...]:
    """The staircase of ``group`` that the latency model knows, all other groups as in ``around`` (dense without it).

    widths: to look at; without them all that the model can answer for, 0 where the branch can go. The sd is of the difference
    to the group's widest width, so that what all points share does not blur the steps. UsageError when fewer than two widths
    are known.
    """
    architecture = predictor.architecture
    points = _known_points(predictor, architecture.group(group), around or architecture.dense(), widths)
    if len(points) < 2:
        raise UsageError(f"the latency model knows {len(points)} of the widths of {group}; ask for measured ones")
    return points


def _known_points(
    predictor: LatencyPredictor, group: ChannelGroup, around: PruningConfig, widths: Sequence[int] | None
) -> tuple[WidthCost, ...]:
    """Points of the widths that the model knows, narrowest first."""
    column = [one.name for one in predictor.architecture.groups].index(group.name)
    wanted = sorted(set(widths or [*([0] if group.removable else []), *range(group.step, group.channels + 1, group.step)]))
    rows = np.repeat(predictor.table.site_map.widths([around]), len(wanted), axis=0)
    rows[:, column] = wanted
    rows = rows[predictor.known(rows)]
    if not len(rows):
        return ()
    seconds = predictor.seconds(rows)
    sd = predictor.difference_sd_s(rows, rows[-1])
    found = zip(rows[:, column], seconds, sd, strict=True)
    return tuple(WidthCost(int(width), float(cost), float(error)) for width, cost, error in found)
