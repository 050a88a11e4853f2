"""Networks that differ by a known share of work, measured in turns as every comparison is: what the verdict is calibrated on.

A chain of ``LAYERS + EXTRA`` equal convolutions against one of ``LAYERS``. What a layer costs cancels. The call and the copies in and out
stand outside of the chain and dilute the extra layer, so that the true slowdown is a little below ``PLANTED``, never above: to find it is
no easier than to find ``PLANTED``. Equal networks are one file, loaded twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache

import torch
from torch import nn

from harness.devices.measure import Protocol, Subject, comparison, measure_interleaved
from harness.devices.provenance import host_facts
from harness.devices.session import Session
from harness.latency.verdict.calibration import Measure
from harness.networks import export
from harness.records.measurement import Latency
from harness.sweeps.neighbour import KINDS, neighbour

LAYERS, EXTRA = 33, 1
PLANTED = (LAYERS + EXTRA) / LAYERS  # 1.0303
OTHER_STEP = 3  # layers by which further contenders differ from each other
CHANNELS, SIDE = 16, 32  # a layer of the first stage of the small residual networks
SAMPLES = 20  # in a block: some 20 ms, shorter than most of what disturbs, so that both halves of a pair meet the same
CHANGE_AFTER = 10  # comparisons beside one kind of neighbour


@lru_cache
def chain(layers: int) -> Subject:
    """A network of ``layers`` equal convolutions, each of which passes on what it was given."""
    model = nn.Sequential(*(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(layers)))
    with torch.no_grad():
        for number, layer in enumerate(model):
            nn.init.dirac_(layer.weight)  # type: ignore[arg-type]
            nn.init.constant_(layer.bias, 1e-3 * number)  # type: ignore[arg-type]
    artefact = export.export(model.eval(), (CHANNELS, SIDE, SIDE), f"chain{layers}", 1)
    return Subject("chain", "none", None, artefact.onnx, artefact.digest, artefact.node_layers, label=f"{layers} layers")


def protocol(pairs: int) -> Protocol:
    """That of comparisons, without what only long or profiled measurements need."""
    return replace(comparison(SAMPLES * pairs, pairs), warmup_s=0.02, min_time_s=0.0, turn_warmup_rounds=5, profile_compiles=0)


def measuring(session: Session, pairs: int, precision: str, contenders: int = 2) -> Measure:
    """A measure function on an open device, of ``contenders`` networks at once: ours, the baseline, and others of other lengths."""
    chosen, host = protocol(pairs), host_facts()

    def measure(ratio: float, trial: int) -> Sequence[Latency]:
        others = [chain(LAYERS + OTHER_STEP * (step + 1)) for step in range(contenders - 2)]
        subjects = [chain(LAYERS if ratio == 1.0 else LAYERS + EXTRA), chain(LAYERS), *others]
        return [one.latency for one in measure_interleaved(session, subjects, chosen, precision, host=host)]

    return measure


@contextmanager
def beside_neighbours(measure: Measure) -> Iterator[Measure]:
    """The same, beside a real neighbour whose kinds take turns."""
    with ExitStack() as stack:
        turns: list[int] = []

        def beside(ratio: float, trial: int) -> Sequence[Latency]:
            turn = trial // CHANGE_AFTER
            if turn not in turns[-1:]:
                stack.close()
                stack.enter_context(neighbour(KINDS[turn % len(KINDS)], seed=turn))
                turns.append(turn)
            return measure(ratio, trial)

        yield beside
