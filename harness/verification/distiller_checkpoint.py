"""Distiller's checkpoints (``.pth.tar``, thinned or not) as networks, without Distiller and without running what they pickle.

A thinned checkpoint holds recipes of Distiller's own type. Only that one name is let through torch's ``weights_only``
loader, as a plain pair; the shapes come from the tensors themselves.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from harness.errors import PruningError, UsageError
from harness.networks import groups, zoo
from harness.pruning import surgery
from harness.records.architecture import Architecture, LayerSite
from harness.records.pruning_config import PruningConfig

# Distiller's names of networks to ours; other names are looked up in the zoo as they are.
NETWORKS = {f"resnet{depth}_cifar": f"resnet{depth}" for depth in (20, 32, 44, 56)}
_OPTIMISERS = (torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop)  # checkpoints name their optimiser's class


class ThinningRecipe(NamedTuple):
    """Stand-in for the type in thinned checkpoints: what was done to modules and to parameters."""

    modules: Any
    parameters: Any


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds. network: our name, or Distiller's. state: tensors by name, without ``module.`` prefixes.

    masks: 0/1 tensors by parameter where a pruner left some. thinned: whether channels had been removed. epoch: as saved.
    """

    network: str
    state: dict[str, Tensor]
    masks: dict[str, Tensor]
    thinned: bool
    epoch: int | None


def read(path: Path) -> Checkpoint:
    """Read a checkpoint file; UsageError when it is none, or holds anything but tensors and plain data."""
    if not path.is_file():
        raise UsageError(f"there is no checkpoint {path}; give the path of a .pth.tar file")
    allowed: list[Any] = [(ThinningRecipe, "distiller.thinning.ThinningRecipe"), *_OPTIMISERS]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")  # about pickle's protocol
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        told = (str(error) or "it is damaged").splitlines()[0]
        raise UsageError(f"{path} is no checkpoint that can be read safely ({told}); save it again with Distiller") from error
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), dict):
        raise UsageError(f"{path} holds no state_dict; give a checkpoint saved by Distiller")
    schedule = found.get("compression_sched")
    masks = schedule.get("masks_dict") if isinstance(schedule, dict) else None
    masks = masks if isinstance(masks, dict) else {}
    arch, epoch = str(found.get("arch", "")), found.get("epoch")
    return Checkpoint(
        NETWORKS.get(arch, arch),
        {_plain(name): tensor for name, tensor in found["state_dict"].items() if isinstance(name, str) and isinstance(tensor, Tensor)},
        {_plain(name): mask for name, mask in masks.items() if isinstance(name, str) and isinstance(mask, Tensor)},
        bool(found.get("thinning_recipes")),
        epoch if type(epoch) is int else None,
    )


def load(
    path: Path, network: str = "", input_shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10
) -> tuple[nn.Module, PruningConfig]:
    """The network of a checkpoint with its weights, physically as small as they are, and its configuration.

    network: our name, where the checkpoint's own is not known. Masks are applied to the weights. PruningError when the
    tensors do not fit the network.
    """
    checkpoint = read(path)
    name = network or checkpoint.network
    dense = zoo.build(name, input_shape, classes)
    architecture = groups.architecture_of(dense, name, input_shape, classes)
    config = _config(checkpoint, architecture)
    model = surgery.shrink(dense, architecture, config)
    state = {key: tensor * checkpoint.masks[key] if key in checkpoint.masks else tensor for key, tensor in checkpoint.state.items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise PruningError(f"{path} does not fit {name} ({' '.join(str(error).split())[:300]}); give the right network") from error
    return model.eval(), config


def _config(checkpoint: Checkpoint, architecture: Architecture) -> PruningConfig:
    """Channels kept per group, read from the weights' shapes."""
    sites = {site.name: site for site in architecture.layers}
    kept = {}
    for group in architecture.groups:
        counts = {layer: _outputs(checkpoint, sites[layer]) for layer in group.members if layer in sites}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{layer} {count}" for layer, count in counts.items())
            raise PruningError(f"coupled layers of the checkpoint have different widths ({told}); it cannot run, thin it again")
        kept[group.name] = next(iter(counts.values()))
    config = PruningConfig.of(architecture.network, kept)
    architecture.check(config)
    return config


def _outputs(checkpoint: Checkpoint, site: LayerSite) -> int:
    weight = checkpoint.state.get(f"{site.name}.weight")
    if weight is None:
        raise PruningError(f"the checkpoint has no {site.name}.weight; give the network it was saved from")
    return len(weight)


def _plain(name: str) -> str:
    return name.removeprefix("module.").replace(".module.", ".")
