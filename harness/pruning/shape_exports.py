"""Exports of one network's pruned shapes, for measurements of latency: cut out of the dense export where that is the same, else traced.

What is cut is tried on networks that are traced too, between which every group is narrowed and every branch removed once.
"""

from __future__ import annotations

import logging
from functools import cached_property

import numpy as np
import onnx
from torch import nn

from harness.errors import HarnessError
from harness.networks import export
from harness.networks.export import Artefact
from harness.pruning import surgery
from harness.pruning.graph_places import NotEditable
from harness.pruning.graph_sameness import differences
from harness.pruning.graph_surgery import GraphSurgery
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

TRIED = 2
_log = logging.getLogger(__name__)


class ShapeExports:
    """The exports of ``model``'s shapes at one batch size; ``model`` must not change meanwhile."""

    def __init__(self, model: nn.Module, architecture: Architecture, batch_size: int = 1) -> None:
        self._model, self._architecture, self._batch_size = model, architecture, batch_size

    @cached_property
    def dense(self) -> Artefact:
        """The network itself, traced."""
        return self._exported(self._model)

    def export(self, config: PruningConfig) -> Artefact:
        """The network of the configuration's shape, with the first channels of each group.

        Raises PruningError for a configuration that does not fit, UsageError for a network that ONNX cannot express.
        """
        if config == self._architecture.dense():
            return self.dense
        return self.traced(config) if self._surgery is None else self._surgery.cut(config)

    def traced(self, config: PruningConfig) -> Artefact:
        """The same by torch: pruned, run once, and traced."""
        return self._exported(surgery.shrink(self._model, self._architecture, config))

    def _exported(self, model: nn.Module) -> Artefact:
        return export.export(model, self._architecture.input_shape, self._architecture.network, self._batch_size)

    @cached_property
    def _surgery(self) -> GraphSurgery | None:
        """None where this network has to be traced, which is said once."""
        try:
            made = GraphSurgery(self.dense, self._model, self._architecture)
            traced = {config: _graph(self.traced(config)) for config in (tried(self._architecture, number) for number in range(TRIED))}
            seen = {config: differences(_graph(made.cut(config)), theirs) for config, theirs in traced.items()}
            if any(seen.values()) and all(one.name for found in seen.values() for one in found):
                made.learn(seen)
                seen = {config: differences(_graph(made.cut(config)), theirs) for config, theirs in traced.items()}
            if told := [one.told for found in seen.values() for one in found]:
                raise NotEditable(told[0])
        except (NotEditable, HarnessError) as why:  # what torch cannot prune or export at all, it will say of the network that is asked for
            name = self._architecture.network
            _log.warning("every network of other widths of %s is traced anew, which takes its time: %s", name, why)
            return None
        return made


def _graph(artefact: Artefact) -> onnx.GraphProto:
    return onnx.load_model_from_string(artefact.onnx).graph


def tried(architecture: Architecture, number: int) -> PruningConfig:
    """A network to try a cut on: every group narrowed to a random width, every second branch gone, the others in the next one."""
    random = np.random.default_rng(number)
    removable = [group.name for group in architecture.groups if group.removable]
    widths = {group.name: group.step * int(random.integers(1, max(2, group.channels // group.step))) for group in architecture.groups}
    return architecture.partial(widths | dict.fromkeys(removable[number % TRIED :: TRIED], 0))
