"""Which kind of pruning makes a network faster on a dense runtime: the same network pruned in five ways, measured in turns.

Zeros inside a tensor are multiplied like any other number; only smaller tensors, or absent layers, are less work.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from harness.devices import session, spec
from harness.devices.measure import Protocol, Subject, measure_interleaved
from harness.latency.verdict import Verdict, verdicts
from harness.networks import export, groups, zoo
from harness.pruning import criteria, surgery
from harness.records.architecture import Architecture
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig

INPUT_SHAPE, CLASSES = (3, 32, 32), 10
ZEROED_RATIO = 0.8  # of all weights: more than most papers reach without loss
BLOCKS = Protocol(rounds=400, blocks=20, min_time_s=2.0, profile_compiles=0)  # 20 block pairs decide 3 % differences

Make = Callable[[nn.Module, Architecture], nn.Module]


@dataclass(frozen=True, slots=True)
class Way:
    """A way of pruning. methods: the methods whose outcome looks like this to a runtime."""

    name: str
    methods: tuple[str, ...]
    make: Make


@dataclass(frozen=True, slots=True)
class Effect:
    """A way of pruning as measured: the whole measurement, and the verdict against the dense network of the same run."""

    way: Way
    measurement: Measurement
    against_dense: Verdict

    @property
    def reduces_latency(self) -> bool:
        """Whether the network became faster, by size and by significance."""
        return self.against_dense.outcome == "faster"


def measure(network: str = "resnet20", device: str = "cpu", protocol: Protocol = BLOCKS) -> tuple[Measurement, tuple[Effect, ...]]:
    """The dense network and every way of pruning it, interleaved on one device; random weights, as latency ignores them."""
    model = zoo.build(network, INPUT_SHAPE, CLASSES).eval()
    architecture = groups.architecture_of(model, network, INPUT_SHAPE, CLASSES)
    subjects = [_subject("dense", model, architecture)]
    subjects += [_subject(way.name, way.make(model, architecture), architecture) for way in WAYS]
    with session.Device(spec.find(device)).open() as opened:
        dense, *measured = measure_interleaved(opened, subjects, protocol)
    found = verdicts([(one.latency, dense.latency) for one in measured])
    return dense, tuple(Effect(way, one, verdict) for way, one, verdict in zip(WAYS, measured, found, strict=True))


def _subject(label: str, model: nn.Module, architecture: Architecture) -> Subject:
    artefact = export.export(model, INPUT_SHAPE, architecture.network)
    return Subject(
        architecture.network,
        architecture.digest,
        None,
        artefact.onnx,
        artefact.digest,
        artefact.node_layers,
        role="latency-effect",
        label=label,
    )


def _zeroed_weights(model: nn.Module, _architecture: Architecture) -> nn.Module:
    """The smallest ``ZEROED_RATIO`` of each layer's weights become zero, where they are."""
    zeroed = copy.deepcopy(model)
    for module in zeroed.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            sizes = module.weight.data.abs().flatten()
            threshold = sizes.kthvalue(int(ZEROED_RATIO * len(sizes))).values
            module.weight.data[module.weight.data.abs() <= threshold] = 0
    return zeroed


def _zeroed_filters(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Half of every block's interior filters become zero and stay in the network, as a mask leaves them."""
    config, scores = _half_of_interiors(architecture), criteria.scores("l1", model, architecture)
    return surgery.masked(model, architecture, config, scores)


def _removed_filters(model: nn.Module, architecture: Architecture) -> nn.Module:
    """The same filters, gone."""
    config, scores = _half_of_interiors(architecture), criteria.scores("l1", model, architecture)
    return surgery.prune(model, architecture, config, scores)


def _removed_stream(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Half of the channels of every group, the residual stream included."""
    return surgery.shrink(model, architecture, architecture.uniform(0.5))


def _removed_branches(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Every second removable branch, whole."""
    removable = [group.name for group in architecture.groups if group.removable]
    return surgery.shrink(model, architecture, architecture.partial(dict.fromkeys(removable[1::2], 0)))


def _half_of_interiors(architecture: Architecture) -> PruningConfig:
    return architecture.partial({group.name: group.channels // 2 for group in architecture.groups if group.removable})


_UNSTRUCTURED = ("magnitude", "sensitivity", "level", "agp on single weights", "surgery", "rnn", "blocks", "l1-regularisation")
_STRUCTURED = (
    "l1-filters",
    "l2-filters",
    "l1-channels",
    "fpgm",
    "apoz",
    "mean-activation",
    "taylor",
    "bn-scale",
    "random",
    "reconstruction",
)

WAYS = (
    Way(f"{ZEROED_RATIO:.0%} of all weights zero", _UNSTRUCTURED, _zeroed_weights),
    Way("half of the interior filters zero, not removed", ("masks", "group-lasso before removal", "dropfilter"), _zeroed_filters),
    Way("half of the interior filters removed", _STRUCTURED, _removed_filters),
    Way("half of every group removed", ("coupled groups",), _removed_stream),
    Way("every second branch removed", ("removal",), _removed_branches),
)
