"""Architecture: a network's layers and channel groups as data, so that its shapes are known without the network.

Everything downstream of torch (the latency model, the search space, the reports) sees a network through this record.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from harness.errors import PruningError, RecordError, UnknownName
from harness.records.layer import ConvShape, LayerShape, LinearShape
from harness.records.pruning_config import PruningConfig


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that can only be removed together.

    name: the first layer whose output channels they are. channels: how many the dense network has. members: every layer
    whose output channels belong to the group, in network order. removable: whether 0 is allowed, because the group is
    the interior of a residual branch that can be dropped. stage: the part of the network it belongs to, e.g. ``layer2``.
    step: kept counts must be multiples of this (more than 1 only for grouped convolutions).
    """

    name: str
    channels: int
    members: tuple[str, ...]
    removable: bool
    stage: str
    step: int = 1


@dataclass(frozen=True, slots=True)
class LayerSite:
    """One convolution or linear layer where it stands in the network.

    in_groups: the groups that make up its input channels, in order, one that is read several times as often; empty for the
    image. out_group: the group of its output channels, or None for the network's output. in_channels, out_channels: of the
    dense network; input channels that belong to no group stay as they are. spatial_factor: input features per channel of a
    linear layer behind a flatten (1 elsewhere). input_size: height and width of a convolution's input map; for a linear
    layer 1 x the positions that it is applied at. branch: the removable group with which the layer disappears, or None.
    """

    name: str
    kind: str  # "conv" or "linear"
    in_groups: tuple[str, ...]
    out_group: str | None
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    depthwise: bool = False
    conv_groups: int = 1
    input_size: tuple[int, int] = (1, 1)
    spatial_factor: int = 1
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network's groups and layers, in network order; ``input_shape`` is channels x height x width."""

    network: str
    input_shape: tuple[int, int, int]
    classes: int
    groups: tuple[ChannelGroup, ...]
    layers: tuple[LayerSite, ...]

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of every field."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def group(self, name: str) -> ChannelGroup:
        """The group called ``name``; UnknownName when there is none."""
        for group in self.groups:
            if group.name == name:
                return group
        raise UnknownName(
            "channel group", name, (group.name for group in self.groups), "as printed by: python -m search groups --network=NAME"
        )

    def dense(self) -> PruningConfig:
        """The configuration that removes nothing."""
        return PruningConfig.of(self.network, {group.name: group.channels for group in self.groups})

    def uniform(self, keep_ratio: float) -> PruningConfig:
        """Every group at the same keep ratio, floored, at least one step."""
        kept = {g.name: max(g.step, int(keep_ratio * g.channels) // g.step * g.step) for g in self.groups}
        return PruningConfig.of(self.network, kept)

    def partial(self, channels: dict[str, int]) -> PruningConfig:
        """The dense configuration with some groups changed; UnknownName for a group that does not exist."""
        for name in channels:
            self.group(name)
        config = PruningConfig.of(self.network, {**dict(self.dense().channels), **channels})
        self.check(config)
        return config

    def check(self, config: PruningConfig) -> None:
        """Refuse a configuration that does not fit: PruningError or UnknownName, naming the group."""
        if config.network != self.network:
            raise PruningError(f"the configuration is for {config.network}, the network is {self.network}; use one made for it")
        kept = dict(config.channels)
        for name in kept:
            self.group(name)
        for group in self.groups:
            if group.name not in kept:
                raise PruningError(f"the configuration says nothing of group {group.name}; give it 1 to {group.channels} channels")
            count = kept[group.name]
            if count > group.channels:
                raise PruningError(
                    f"group {group.name} has {group.channels} channels, {count} cannot be kept; give at most {group.channels}"
                )
            if count == 0 and not group.removable:
                raise PruningError(
                    f"group {group.name} is no residual branch, removing all of it would cut the network; keep at least {group.step}"
                )
            if count % group.step:
                raise PruningError(f"group {group.name} feeds a grouped convolution; keep a multiple of {group.step}, not {count}")

    def shapes(self, config: PruningConfig) -> dict[str, LayerShape]:
        """Layer name to its shape under ``config``, without the layers of removed branches."""
        kept = dict(config.channels)
        return {site.name: self._shape(site, kept) for site in self.layers if not (site.branch and kept[site.branch] == 0)}

    def macs(self, config: PruningConfig) -> int:
        """Multiply-accumulates of all convolutions and linear layers for one image."""
        return sum(shape.macs for shape in self.shapes(config).values())

    def _shape(self, site: LayerSite, kept: dict[str, int]) -> LayerShape:
        dense = {group.name: group.channels for group in self.groups}
        fixed = site.in_channels - sum(dense[name] for name in site.in_groups) * site.spatial_factor
        inputs = fixed + sum(kept[name] for name in site.in_groups) * site.spatial_factor
        outputs = site.out_channels if site.out_group is None else kept[site.out_group]
        if site.kind == "linear":
            return LinearShape(inputs, outputs, site.input_size[0] * site.input_size[1])
        groups = inputs if site.depthwise else site.conv_groups
        return ConvShape(inputs, outputs, site.kernel_size, site.stride, site.padding, site.dilation, groups, site.input_size)

    def consistent(self, origin: str) -> Architecture:
        """The same; RecordError, naming ``origin``, where groups and layers name each other wrongly."""
        layers = {site.name for site in self.layers}
        groups = {group.name for group in self.groups}
        if len(layers) < len(self.layers) or len(groups) < len(self.groups):
            raise RecordError(f"{origin}: the architecture of {self.network} names a layer or group twice; measure again")
        for group in self.groups:
            if lost := sorted(set(group.members) - layers):
                raise RecordError(f"{origin}: layer {lost[0]} of group {group.name} vanished from {self.network}; measure again")
        for site in self.layers:
            named = {*site.in_groups, *(name for name in (site.out_group, site.branch) if name is not None)}
            if lost := sorted(named - groups):
                raise RecordError(f"{origin}: group {lost[0]} of layer {site.name} vanished from {self.network}; measure again")
        return self

    def with_network(self, name: str) -> Architecture:
        """The same architecture under another network name."""
        return replace(self, network=name)
