"""Where the time goes before and after: layers of the dense and of the optimised network side by side.

An executed node is credited to the convolution or linear layer that was fused into it; a node that holds several of them
is shared out by their multiply-accumulates. What belongs to no layer (copies, reorders, pooling) keeps a row by its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.records.architecture import Architecture, LayerSite
from harness.records.layer import ConvShape, LayerShape
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig


@dataclass(frozen=True, slots=True)
class Spread:
    """Time of one layer, in seconds: median over profiled compilations, smallest, largest, and how many there were."""

    median_s: float
    low_s: float
    high_s: float
    compilations: int


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer before and after.

    kernel: kind and size in words. channels_before, channels_after: in and out; after is None for a layer that went with
    its residual branch. before, after: None where the device gave no time for it.
    """

    name: str
    stage: str
    kernel: str
    channels_before: tuple[int, int]
    channels_after: tuple[int, int] | None
    macs_before: int
    macs_after: int
    before: Spread | None
    after: Spread | None

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
    """Nodes that belong to no layer, by the runtime's word for their kind."""

    kind: str
    before: Spread | None
    after: Spread | None


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


@dataclass(frozen=True, slots=True)
class LayerTable:
    """All layers in network order, then what belongs to none; the remainder makes up the unprofiled whole.

    whole_*_s: median latency of the network, unprofiled. remainder_*_s: that minus all rows: host, copies, the profiler's
    own cost and its truncation; negative where profiling costs more than it leaves out.
    """

    rows: tuple[LayerRow, ...]
    others: tuple[OtherRow, ...]
    whole_before_s: float
    whole_after_s: float

    @property
    def remainder_before_s(self) -> float:
        """What the dense network's rows leave unexplained, in seconds."""
        return self.whole_before_s - sum(_seconds(spread) for spread in self._spreads_before)

    @property
    def remainder_after_s(self) -> float:
        """What the optimised network's rows leave unexplained, in seconds."""
        return self.whole_after_s - sum(_seconds(spread) for spread in self._spreads_after)

    @property
    def _spreads_before(self) -> list[Spread | None]:
        return [row.before for row in self.rows] + [other.before for other in self.others]

    @property
    def _spreads_after(self) -> list[Spread | None]:
        return [row.after for row in self.rows] + [other.after for other in self.others]

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
            before_s=sum(_seconds(row.before) for row in rows),
            after_s=sum(_seconds(row.after) for row in rows),
        )


def layer_table(architecture: Architecture, config: PruningConfig, dense: Measurement, optimised: Measurement) -> LayerTable | None:
    """The dense network's layers beside those of the network pruned by ``config``; None when either was not profiled."""
    if not dense.layers or not optimised.layers:
        return None
    shapes_before, shapes_after = architecture.shapes(architecture.dense()), architecture.shapes(config)
    before, other_before = _credited(dense, shapes_before)
    after, other_after = _credited(optimised, shapes_after)
    rows = tuple(
        _row(site, _stage_of(site, architecture), shapes_before[site.name], shapes_after.get(site.name), before, after)
        for site in architecture.layers
    )
    kinds = dict.fromkeys((*other_before, *other_after))
    others = tuple(OtherRow(kind, other_before.get(kind), other_after.get(kind)) for kind in kinds)
    return LayerTable(rows, others, dense.latency.median_s, optimised.latency.median_s)


def _row(
    site: LayerSite, stage: str, dense: LayerShape, kept: LayerShape | None, before: Mapping[str, Spread], after: Mapping[str, Spread]
) -> LayerRow:
    return LayerRow(
        name=site.name,
        stage=stage,
        kernel=_kernel(dense),
        channels_before=_channels(dense),
        channels_after=None if kept is None else _channels(kept),
        macs_before=dense.macs,
        macs_after=0 if kept is None else kept.macs,
        before=before.get(site.name),
        after=after.get(site.name),
    )


def _credited(measurement: Measurement, shapes: Mapping[str, LayerShape]) -> tuple[dict[str, Spread], dict[str, Spread]]:
    """Time per layer and, for nodes of no layer, per kind."""
    layers: dict[str, Spread] = {}
    others: dict[str, Spread] = {}
    for node in measurement.layers:
        owners = [name for name in node.source_layers if name in shapes]
        work = sum(shapes[name].macs for name in owners)
        for name in owners:
            _add(layers, name, node.runs_s, shapes[name].macs / work)
        if not owners:
            _add(others, node.kind, node.runs_s, 1.0)
    return layers, others


def _add(rows: dict[str, Spread], name: str, runs_s: tuple[float, ...], share: float) -> None:
    ordered = sorted(run * share for run in runs_s)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    known = rows.get(name, Spread(0.0, 0.0, 0.0, len(ordered)))
    rows[name] = Spread(
        known.median_s + middle, known.low_s + ordered[0], known.high_s + ordered[-1], min(known.compilations, len(ordered))
    )


def _stage_of(site: LayerSite, architecture: Architecture) -> str:
    """The stage of its own channels, of its branch, or, for the last layer, its own name."""
    stages = {group.name: group.stage for group in architecture.groups}
    owner = site.branch or site.out_group
    return stages[owner] if owner else site.name


def _kernel(shape: LayerShape) -> str:
    if not isinstance(shape, ConvShape):
        return "fully connected"
    depthwise = "depthwise " if shape.groups > 1 and shape.groups == shape.in_channels else ""
    stride = f", stride {max(shape.stride)}" if max(shape.stride) > 1 else ""
    return f"{depthwise}{'×'.join(map(str, shape.kernel_size))} on {'×'.join(map(str, shape.input_size))}{stride}"


def _channels(shape: LayerShape) -> tuple[int, int]:
    if isinstance(shape, ConvShape):
        return shape.in_channels, shape.out_channels
    return shape.in_features, shape.out_features


def _seconds(spread: Spread | None) -> float:
    return 0.0 if spread is None else spread.median_s
