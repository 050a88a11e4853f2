"""Where every layer of a network takes its widths from, so that whole batches of configurations become integer matrices.

Layers are sorted into classes whose members cost the same at equal widths: same kernel, stride, input size, kind, and the
same place in a block (the image's layer; the first writer of its channels; a later one, into which the addition is fused).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import PruningError
from harness.records.architecture import Architecture, LayerSite
from harness.records.pruning_config import PruningConfig

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SiteClass:
    """Layers that share one cost function of (input width, output width).

    key: readable and unique within a network. in_width, out_width: the dense widths of the widest member; a depthwise
    layer has input width 1, for its cost depends on one width only. macs, bytes_moved: of that member, with 4-byte values.
    """

    key: str
    in_width: int
    out_width: int
    macs: int
    bytes_moved: int


@dataclass(frozen=True, slots=True)
class Site:
    """One layer's place in the matrices.

    site_class: index into ``SiteMap.classes``. in_columns: group columns whose widths add up, with ``in_fixed`` to the
    input width. out_column: group column of the output width, or None for ``out_fixed``. branch: column of the removable
    group with which the layer disappears, or None. ends_branch: the last layer of its branch.
    """

    layer: str
    site_class: int
    in_columns: tuple[int, ...]
    in_fixed: int
    out_column: int | None
    out_fixed: int
    branch: int | None
    ends_branch: bool


@dataclass(frozen=True, slots=True)
class Junction:
    """Where a stage ends in a block that skips every second position: a strided shortcut and a removable branch.

    Without the branch the shortcut is the only reader, and a compiler may let the stage's last layer compute only what the
    shortcut will read: a quarter of it. writers: positions of the layers that add to the stage's channels, last first.
    shortcut: position of the strided 1 x 1 layer. branches: columns of the removable groups of all other readers.
    """

    writers: tuple[int, ...]
    shortcut: int
    branches: tuple[int, ...]


@dataclass(frozen=True)
class SiteMap:
    """All layers of an architecture as matrix recipes; columns are ``architecture.groups`` in order.

    junctions: in network order.
    """

    architecture: Architecture
    classes: tuple[SiteClass, ...]
    sites: tuple[Site, ...]
    junctions: tuple[Junction, ...]

    @classmethod
    def of(cls, architecture: Architecture) -> SiteMap:
        """Sort the layers of ``architecture`` into classes."""
        column = {group.name: index for index, group in enumerate(architecture.groups)}
        channels = {group.name: group.channels for group in architecture.groups}
        by_key: dict[str, list[LayerSite]] = {}
        for layer in architecture.layers:
            by_key.setdefault(_class_key(architecture, layer), []).append(layer)
        index_of = {key: index for index, key in enumerate(by_key)}
        last = {layer.branch: layer.name for layer in architecture.layers if layer.branch}
        sites = tuple(
            Site(
                layer=layer.name,
                site_class=index_of[_class_key(architecture, layer)],
                in_columns=() if layer.depthwise else tuple(column[name] for name in layer.in_groups),
                in_fixed=1 if layer.depthwise else _fixed_inputs(layer, channels),
                out_column=None if layer.out_group is None else column[layer.out_group],
                out_fixed=layer.out_channels,
                branch=None if layer.branch is None else column[layer.branch],
                ends_branch=layer.branch is not None and last[layer.branch] == layer.name,
            )
            for layer in architecture.layers
        )
        return cls(architecture, tuple(_site_class(key, members) for key, members in by_key.items()), sites, _junctions(architecture))

    def widths(self, configs: tuple[PruningConfig, ...] | list[PruningConfig]) -> IntArray:
        """Configurations as an ``n x groups`` matrix; PruningError for one that does not fit the network."""
        for config in configs:
            self.architecture.check(config)
        names = [group.name for group in self.architecture.groups]
        rows = [[kept[name] for name in names] for kept in (dict(config.channels) for config in configs)]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(names))

    def config(self, row: IntArray) -> PruningConfig:
        """The configuration of one row of a width matrix."""
        names = [group.name for group in self.architecture.groups]
        return PruningConfig.of(self.architecture.network, dict(zip(names, (int(width) for width in row), strict=True)))

    def check(self, widths: IntArray) -> None:
        """Refuse a matrix that is not ``n x groups`` whole numbers within each group's channels: PruningError."""
        groups = self.architecture.groups
        if widths.ndim != 2 or widths.shape[1] != len(groups) or widths.dtype.kind not in "iu":
            raise PruningError(
                f"widths of shape {widths.shape} and type {widths.dtype} for {self.architecture.network}; "
                f"give whole numbers, one column for each of its {len(groups)} groups"
            )
        if not len(widths):
            return
        for group, low, high in zip(groups, widths.min(axis=0), widths.max(axis=0), strict=True):
            if low < (0 if group.removable else 1) or high > group.channels:
                least = 0 if group.removable else 1
                raise PruningError(
                    f"group {group.name} at {low} to {high} channels; keep {least} to {group.channels} of them in every configuration"
                )

    def gather(self, widths: IntArray) -> tuple[IntArray, IntArray, BoolArray]:
        """Input widths, output widths and presence of every layer, each ``n x layers``."""
        inputs = np.empty((len(widths), len(self.sites)), dtype=np.int64)
        outputs = np.empty_like(inputs)
        present = np.empty(inputs.shape, dtype=np.bool_)
        for index in range(len(self.sites)):
            inputs[:, index], outputs[:, index], present[:, index] = self.gather_site(widths, index)
        return inputs, outputs, present

    def gather_site(self, widths: IntArray, index: int) -> tuple[IntArray, IntArray, BoolArray]:
        """The same for the layer at one position, each ``n``."""
        site = self.sites[index]
        inputs = site.in_fixed + widths[:, list(site.in_columns)].sum(axis=1)
        outputs = np.full(len(widths), site.out_fixed) if site.out_column is None else widths[:, site.out_column]
        present = np.ones(len(widths), dtype=np.bool_) if site.branch is None else widths[:, site.branch] > 0
        return inputs, outputs, present

    def skipped(self, widths: IntArray) -> dict[tuple[int, int], IntArray]:
        """``(position, times)`` to the rows in which that layer's only reader skips positions, once, and once more further on."""
        times: dict[tuple[int, int], IntArray] = {}
        for junction in reversed(self.junctions):
            rows = np.flatnonzero((widths[:, list(junction.branches)] == 0).all(axis=1))
            for writer in junction.writers:
                if not len(rows):
                    break
                branch = self.sites[writer].branch
                here = np.ones(len(rows), dtype=np.bool_) if branch is None else widths[rows, branch] > 0
                if here.any():
                    times[writer, 1] = np.union1d(times.get((writer, 1), rows[:0]), rows[here])
                    again = np.intersect1d(rows[here], times.get((junction.shortcut, 1), rows[:0]))
                    if len(again):
                        times[writer, 2] = np.union1d(times.get((writer, 2), rows[:0]), again)
                rows = rows[~here]
        return times

    def members(self, site_class: int) -> list[int]:
        """Positions in ``sites`` of the layers of one class."""
        return [index for index, site in enumerate(self.sites) if site.site_class == site_class]


def _junctions(architecture: Architecture) -> tuple[Junction, ...]:
    position = {layer.name: index for index, layer in enumerate(architecture.layers)}
    column = {group.name: index for index, group in enumerate(architecture.groups)}
    found = []
    for group in architecture.groups:
        readers = [layer for layer in architecture.layers if group.name in layer.in_groups]
        always = [layer for layer in readers if layer.branch is None]
        branches = tuple(
            sorted({column[layer.branch] for layer in readers if layer.branch and not _inside(layer, group.name, architecture)})
        )
        if len(always) != 1 or not _skips(always[0]) or not branches:
            continue
        # A shortcut's own sum is computed by the branch that ends in the same block, so it stands before that.
        order = {name: position[name] - (1.5 if _skips(architecture.layers[position[name]]) else 0.0) for name in group.members}
        writers = tuple(position[name] for name in sorted(order, key=order.__getitem__, reverse=True))
        found.append(Junction(writers, position[always[0].name], branches))
    return tuple(sorted(found, key=lambda junction: junction.shortcut))


def _inside(layer: LayerSite, group: str, architecture: Architecture) -> bool:
    """Whether ``layer`` begins a branch that adds to the very channels it reads: a block within the stage."""
    ends = [site for site in architecture.layers if site.branch == layer.branch]
    return ends[-1].out_group == group


def _skips(layer: LayerSite) -> bool:
    return layer.kind == "conv" and layer.kernel_size == (1, 1) and max(layer.stride) > 1


def _class_key(architecture: Architecture, layer: LayerSite) -> str:
    if layer.kind == "linear":
        return f"linear x{layer.spatial_factor} {'last' if layer.out_group is None else 'inner'}"
    kernel, stride, size = ("x".join(map(str, pair)) for pair in (layer.kernel_size, layer.stride, layer.input_size))
    kind = "depthwise" if layer.depthwise else f"conv g{layer.conv_groups}"
    return f"{kind} k{kernel} s{stride} d{layer.dilation[0]} at {size}, {_place(architecture, layer)}"


def _place(architecture: Architecture, layer: LayerSite) -> str:
    if not layer.in_groups:
        return "on the image"
    if layer.out_group is None:
        return "last"
    return "first of its channels" if architecture.group(layer.out_group).members[0] == layer.name else "added"


def _fixed_inputs(layer: LayerSite, channels: dict[str, int]) -> int:
    """Input channels of no group; a linear layer's width counts channels, not the features behind each."""
    return layer.in_channels // layer.spatial_factor - sum(channels[name] for name in layer.in_groups)


def _site_class(key: str, members: list[LayerSite]) -> SiteClass:
    in_width = max(1 if layer.depthwise else layer.in_channels // layer.spatial_factor for layer in members)
    out_width = max(layer.out_channels for layer in members)
    first = members[0]
    area = first.input_size[0] * first.input_size[1]
    out_area = max(1, area // (first.stride[0] * first.stride[1]))
    taps = first.kernel_size[0] * first.kernel_size[1] * first.spatial_factor
    fan_in = 1 if first.depthwise else in_width / first.conv_groups
    weights = taps * fan_in * out_width
    moved = 4 * (weights + area * first.spatial_factor * max(in_width, out_width if first.depthwise else 1) + out_area * out_width)
    return SiteClass(key, in_width, out_width, int(weights * out_area), int(moved))
