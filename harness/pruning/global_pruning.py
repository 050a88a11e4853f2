"""What Torch-Pruning's own global pruning keeps of a network: its importance ranks the channels of all groups together [Fang2023].

The whole of it is the library's: importance with its default normalisation (by the group's mean), one threshold for all groups, and a
group all of whose channels fall below the threshold stays as it is. Ours are only the names of the groups, and that widths which a
grouped convolution cannot have are rounded up. It cuts once, of the trained network, without training in between.

.. [Fang2023] G. Fang, X. Ma, M. Song, M. B. Mi, X. Wang: DepGraph: Towards Any Structural Pruning. CVPR 2023.
.. [Molchanov2019] P. Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv 1906.10771.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from harness.errors import PruningError
from harness.networks.groups import coupling_of
from harness.networks.tasks.classification import CLASSIFICATION
from harness.networks.tasks.task import Task, in_float32, parts
from harness.pruning.criteria import CALIBRATION_BATCH
from harness.records.architecture import Architecture, ChannelGroup
from harness.records.pruning_config import PruningConfig

MAGNITUDE, TAYLOR = "tp-magnitude", "tp-taylor"
IMPORTANCES = (MAGNITUDE, TAYLOR)  # names of criteria, as tuned networks are kept under them


class GlobalPruning:
    """One trained network under one importance, ready to be cut by any amount.

    name: of ``IMPORTANCES``. model: left as it was; channels that no group of ``architecture`` holds are never cut. images, labels: what
    the gradients of ``tp-taylor`` are taken on, ``N x C x H x W`` and ``N``. Raises PruningError where they are missing, or a score is
    no finite number.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        architecture: Architecture,
        images: Tensor | None = None,
        labels: Tensor | None = None,
        task: Task = CLASSIFICATION,
    ) -> None:
        if left := coupling_of(model, architecture.input_shape).left_out:  # its walk may fail on what we leave alone, or never end
            raise PruningError(
                f"Torch-Pruning is not tried on a network of which channels are left alone ({left[0].name}: {left[0].reason})"
            )
        self.architecture = architecture
        self._scores: dict[str, Tensor] = {}
        with torch.inference_mode(False), torch.enable_grad():
            walked = copy.deepcopy(model).eval()
            for parameter in walked.parameters():
                parameter.requires_grad_(True)  # the graph's walk needs it
            importance = _importance(name, walked, images, labels, task)
            self._group_of = _groups_by_module(walked, architecture)
            self._pruner = torch_pruning.pruner.BasePruner(
                walked,
                torch.zeros(1, *architecture.input_shape),
                self._remembered(importance),
                global_pruning=True,
                ignored_layers=[layer for layer in _weight_layers(walked) if layer not in self._group_of],
                in_channel_groups={},  # the library's defaults are shared by all pruners of a process
                out_channel_groups={},
                num_heads={},
            )
        self.channels: int = self._pruner.initial_total_channels
        self.config(0)

    @property
    def scores(self) -> dict[str, Tensor]:
        """Group name to the importances that are ranked, one per channel; high stays."""
        return dict(self._scores)

    def config(self, removed: int) -> PruningConfig:
        """What stays when the ``removed`` least important of all ``channels`` go; 0 is the dense network, all but one the most there is."""
        if not 0 <= removed < self.channels:
            raise PruningError(f"{removed} of {self.channels} channels cannot go; give 0 to {self.channels - 1}")
        # Half a channel more than asked for: the library rounds the number that stays down, and floats would take one more at times.
        self._pruner.per_step_pruning_ratio = [0.0, max(removed - 0.5, 0.0) / self.channels]
        self._pruner.current_step = 0
        kept = dict(self.architecture.dense().channels)
        for cut in self._pruner.step(interactive=True):  # told, not done: the network stays whole
            group = self._group_of[cut[0].dep.target.module]
            stays = group.channels - len(cut[0].idxs)
            kept[group.name] = max(group.step, -(-stays // group.step) * group.step)
        return PruningConfig.of(self.architecture.network, kept)

    def _remembered(self, importance: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
        """The same importance, asked once for every group: it does not depend on how much goes."""

        def told(cut: Any) -> Tensor:
            name = self._group_of[cut[0].dep.target.module].name
            if name not in self._scores:
                found = importance(cut)
                if not bool(torch.isfinite(found).all()):
                    raise PruningError(f"Torch-Pruning gives group {name} an importance that is no number; check the weights")
                self._scores[name] = found.detach().double()
            return self._scores[name]

        return told


def _importance(name: str, model: nn.Module, images: Tensor | None, labels: Tensor | None, task: Task) -> Callable[[Any], Tensor]:
    if name == MAGNITUDE:
        magnitude: Callable[[Any], Tensor] = torch_pruning.importance.GroupMagnitudeImportance(p=2)
        return magnitude
    if images is None or labels is None or not len(images):
        raise PruningError(f"{name} needs gradients on labelled images; pass some of the training split")
    for start in range(0, len(images), CALIBRATION_BATCH):
        batch = slice(start, start + CALIBRATION_BATCH)
        loss = task.loss(in_float32(parts(model(images[batch]))), labels[batch], 0.0) * len(labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]
    for parameter in model.parameters():  # what the loss does not reach counts for nothing
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad / len(images)
    taylor: Callable[[Any], Tensor] = torch_pruning.importance.GroupTaylorImportance()
    return taylor


def _groups_by_module(model: nn.Module, architecture: Architecture) -> dict[nn.Module, ChannelGroup]:
    return {model.get_submodule(member): group for group in architecture.groups for member in group.members}


def _weight_layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
