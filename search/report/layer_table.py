"""Where the time goes before and after: layers of the dense and of the optimised network side by side, each side a ledger.

Whole = layers + named remainder, on both sides. An executed node is credited to the layers that were fused into it; where one
kernel runs several of them, on either side, they share a row, for nothing tells how much of it is whose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.latency.explanation import ledger
from harness.latency.explanation.ledger import Ledger, LedgerRow, stage_of
from harness.records.architecture import Architecture, LayerSite
from harness.records.layer import ConvShape, LayerShape
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig


@dataclass(frozen=True, slots=True)
class Spread:
    """Time of a row, in seconds: median over profiled compilations, smallest, largest, and how many there were."""

    median_s: float
    low_s: float
    high_s: float
    compilations: int


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer before and after, or several that one kernel runs.

    layers: their names, in network order. kernel: kind and size in words, of the first. channels_before, channels_after: in of the
    first and out of the last that is left; after is None where all went with their residual branch. before, after: None where
    no node could be attributed to it.
    """

    layers: tuple[str, ...]
    stage: str
    kernel: str
    channels_before: tuple[int, int]
    channels_after: tuple[int, int] | None
    macs_before: int
    macs_after: int
    before: Spread | None
    after: Spread | None

    @property
    def name(self) -> str:
        """The layers' names."""
        return " + ".join(self.layers)

    @property
    def removed(self) -> bool:
        """Whether the layer is gone."""
        return self.channels_after is None

    @property
    def saved_s(self) -> float:
        """Seconds saved per inference; negative when the layer became slower."""
        return _seconds(self.before) - _seconds(self.after)


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A named part of the remainder, in seconds; may be negative, see ``meaning``."""

    name: str
    meaning: str
    before_s: float
    after_s: float


@dataclass(frozen=True, slots=True)
class StageRow:
    """A part of the network: what its layers took together, in seconds, and how many of its layers are left."""

    stage: str
    layers_before: int
    layers_after: int
    macs_before: int
    macs_after: int
    before_s: float
    after_s: float


@dataclass(frozen=True)
class LayerTable:
    """Both networks' layers in network order, then the named parts of the remainder, which add up to the wholes.

    whole_before_s, whole_after_s: medians of the unprofiled runs.
    """

    rows: tuple[LayerRow, ...]
    others: tuple[OtherRow, ...]
    whole_before_s: float
    whole_after_s: float

    @property
    def remainder_before_s(self) -> float:
        """What the dense network's layers leave unexplained, in seconds: the sum of the other rows."""
        return self.whole_before_s - math.fsum(_seconds(row.before) for row in self.rows)

    @property
    def remainder_after_s(self) -> float:
        """What the optimised network's layers leave unexplained, in seconds: the sum of the other rows."""
        return self.whole_after_s - math.fsum(_seconds(row.after) for row in self.rows)

    @property
    def stages(self) -> tuple[StageRow, ...]:
        """The layers summed by stage, in network order."""
        return tuple(self._stage(name) for name in dict.fromkeys(row.stage for row in self.rows))

    def _stage(self, name: str) -> StageRow:
        rows = [row for row in self.rows if row.stage == name]
        return StageRow(
            stage=name,
            layers_before=len(rows),
            layers_after=sum(not row.removed for row in rows),
            macs_before=sum(row.macs_before for row in rows),
            macs_after=sum(row.macs_after for row in rows),
            before_s=math.fsum(_seconds(row.before) for row in rows),
            after_s=math.fsum(_seconds(row.after) for row in rows),
        )


def layer_table(
    architecture: Architecture, config: PruningConfig, dense: Measurement, optimised: Measurement, pruned: Architecture | None = None
) -> LayerTable | None:
    """The dense network's layers beside those of the network pruned by ``config``; None when either was not profiled.

    pruned: the architecture of ``optimised`` where it runs at another size of the pictures, and its maps are of other sizes. Raises
    RecordError when a profile does not hold every layer.
    """
    if any(not one.layers or one.profiled is None for one in (dense, optimised)):
        return None
    before = ledger.balance(replace(dense, config=architecture.dense()), architecture)
    after = ledger.balance(replace(optimised, config=config), pruned or architecture)
    shapes = architecture.shapes(architecture.dense()), (pruned or architecture).shapes(config)
    rows = tuple(_row(members, architecture, *shapes, before, after) for members in _together(architecture.layers, before, after))
    others = tuple(
        OtherRow(line.name, line.meaning, line.seconds, other.seconds) for line, other in zip(before.lines, after.lines, strict=True)
    )
    return LayerTable(rows, others, before.whole_s, after.whole_s)


def _together(sites: Iterable[LayerSite], *ledgers: Ledger) -> list[tuple[LayerSite, ...]]:
    """The layers in network order, those in one tuple that any kernel of either network runs together."""
    belongs = {site.name: {site.name} for site in sites}
    for row in (row for one in ledgers for row in one.rows):
        joined = set().union(*(belongs[name] for name in row.layers))
        for name in joined:
            belongs[name] = joined
    found: dict[int, list[LayerSite]] = {}
    for site in sites:
        found.setdefault(id(belongs[site.name]), []).append(site)
    return [tuple(members) for members in found.values()]


def _row(
    members: tuple[LayerSite, ...],
    architecture: Architecture,
    dense: Mapping[str, LayerShape],
    kept: Mapping[str, LayerShape],
    before: Ledger,
    after: Ledger,
) -> LayerRow:
    names = tuple(site.name for site in members)
    was, left = [dense[name] for name in names], [kept[name] for name in names if name in kept]
    return LayerRow(
        layers=names,
        stage=stage_of(members[0], architecture),
        kernel=_kernel(was[0]) + (_resized(was[0], left[0]) if left else ""),
        channels_before=(_channels(was[0])[0], _channels(was[-1])[1]),
        channels_after=(_channels(left[0])[0], _channels(left[-1])[1]) if left else None,
        macs_before=sum(shape.macs for shape in was),
        macs_after=sum(shape.macs for shape in left),
        before=_spread(before.rows, names),
        after=_spread(after.rows, names),
    )


def _spread(rows: Iterable[LedgerRow], names: tuple[str, ...]) -> Spread | None:
    """The time of all ledger rows of these layers, None where there is none."""
    ours = [row for row in rows if row.layers[0] in names]
    if not ours:
        return None
    median_s, low_s, high_s = (math.fsum(ends) for ends in zip(*((row.seconds, row.low_s, row.high_s) for row in ours), strict=True))
    return Spread(median_s, low_s, high_s, min(len(row.runs_s) for row in ours))


def _kernel(shape: LayerShape) -> str:
    if not isinstance(shape, ConvShape):
        return "fully connected"
    depthwise = "depthwise " if shape.groups > 1 and shape.groups == shape.in_channels else ""
    stride = f", stride {max(shape.stride)}" if max(shape.stride) > 1 else ""
    return f"{depthwise}{'×'.join(map(str, shape.kernel_size))} on {'×'.join(map(str, shape.input_size))}{stride}"


def _resized(before: LayerShape, after: LayerShape) -> str:
    """The map's size in the optimised network, where it is another one."""
    if not isinstance(before, ConvShape) or not isinstance(after, ConvShape) or before.input_size == after.input_size:
        return ""
    return f" → {'×'.join(map(str, after.input_size))}"


def _channels(shape: LayerShape) -> tuple[int, int]:
    if isinstance(shape, ConvShape):
        return shape.in_channels, shape.out_channels
    return shape.in_features, shape.out_features


def _seconds(spread: Spread | None) -> float:
    return 0.0 if spread is None else spread.median_s
