"""Which kind of pruning makes a network faster on a dense runtime: the same network pruned by every method, measured in turns.

Zeros inside a tensor are multiplied like any other number; only smaller tensors, or absent layers, are less work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from harness.devices import session, spec
from harness.devices.measure import Protocol, Subject, measure_interleaved
from harness.latency.verdict.judgement import Verdict, verdicts
from harness.networks import export, groups, zoo
from harness.records.architecture import Architecture
from harness.records.measurement import Measurement
from harness.verification.ways import WAYS, Way

INPUT_SHAPE, CLASSES = (3, 32, 32), 10
# Twenty block pairs decide 3 % differences; stopping when the medians are known would leave too few to decide by.
BLOCKS = Protocol(rounds=400, blocks=20, min_time_s=2.0, profile_compiles=0, precision_target=None)


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


def measure(
    network: str = "resnet20", device: str = "cpu", protocol: Protocol = BLOCKS, ways: Sequence[Way] = WAYS
) -> tuple[Measurement, tuple[Effect, ...]]:
    """The dense network and every way of pruning it, interleaved on one device; random weights, as latency ignores them."""
    model = zoo.build(network, INPUT_SHAPE, CLASSES).eval()
    architecture = groups.architecture_of(model, network, INPUT_SHAPE, CLASSES)
    subjects = [_subject("dense", model, architecture)]
    subjects += [_subject(way.name, way.make(model, architecture), architecture) for way in ways]
    with session.Device(spec.find(device)).open() as opened:
        dense, *measured = measure_interleaved(opened, subjects, protocol)
    found = verdicts([(one.latency, dense.latency) for one in measured])
    return dense, tuple(Effect(way, one, verdict) for way, one, verdict in zip(ways, measured, found, strict=True))


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
