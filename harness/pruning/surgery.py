"""Physical removal of channels and residual branches from a network.

Guards, each because its absence gives a wrong network without a message:

1. channels that feed a grouped convolution are removed at the same places in each of its groups;
2. the network must still run after the removal, and give finite outputs of the same shapes;
3. the output layer belongs to no group, so its classes cannot be removed.

That a removal is the same as zeros in its place is tried when the groups are found (``harness.networks.channels.trial``).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.errors import PruningError
from harness.networks.branches import remove_branch
from harness.networks.channels.slicing import Places, cut, duplicate, zero_whole
from harness.networks.channels.slicing import zero as zero_places
from harness.networks.channels.trial import Block, dropped
from harness.networks.groups import Coupling, answered, coupling_of
from harness.networks.own import source
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

Kept = Mapping[str, tuple[int, ...]]  # group -> indices of the channels that stay, ascending


def prune(model: nn.Module, architecture: Architecture, config: PruningConfig, scores: Mapping[str, Tensor]) -> nn.Module:
    """A new network that keeps the best-scored channels of each group; ``model`` stays as it is.

    scores: group name to a vector of one score per channel; ties keep the lower index. A group that keeps all or none
    of its channels needs no scores. Raises PruningError.
    """
    return remove(model, architecture, chosen(architecture, config, scores))


def shrink(model: nn.Module, architecture: Architecture, config: PruningConfig) -> nn.Module:
    """A new network of the configuration's shapes that keeps the first channels of each group: for latency and loading."""
    return remove(model, architecture, first(architecture, config))


def masked(model: nn.Module, architecture: Architecture, config: PruningConfig, scores: Mapping[str, Tensor]) -> nn.Module:
    """The function that ``prune`` computes, in the dense shapes: dropped channels are zeroed, batch norm shifts included."""
    return zero(model, architecture, chosen(architecture, config, scores))


def chosen(architecture: Architecture, config: PruningConfig, scores: Mapping[str, Tensor]) -> Kept:
    """Indices of the channels that stay when each group keeps its best-scored ones.

    A group of step s keeps the same places in each of s equal parts: the places' scores are summed over the parts.
    """
    architecture.check(config)
    kept: dict[str, tuple[int, ...]] = {}
    for group in architecture.groups:
        count = config.kept(group.name)
        if count in (0, group.channels):
            kept[group.name] = tuple(range(count))
            continue
        if group.name not in scores:
            raise PruningError(f"no scores for group {group.name}; score every group that loses channels")
        ranked = scores[group.name].detach().flatten()
        if len(ranked) != group.channels or not bool(torch.isfinite(ranked).all()):
            raise PruningError(f"group {group.name} needs {group.channels} finite scores; score it again on a trained network")
        part = ranked.reshape(group.step, -1).sum(0)
        places = torch.sort(part, descending=True, stable=True).indices[: count // group.step].tolist()
        kept[group.name] = _repeated(sorted(places), group.channels, group.step)
    return kept


def first(architecture: Architecture, config: PruningConfig) -> Kept:
    """Indices of the channels that stay when each group keeps its first ones (of each of ``step`` equal parts)."""
    architecture.check(config)
    return {
        group.name: _repeated(list(range(config.kept(group.name) // group.step)), group.channels, group.step)
        for group in architecture.groups
    }


def remove(model: nn.Module, architecture: Architecture, kept: Kept) -> nn.Module:
    """A new network with only the channels in ``kept``, which names every group; an empty tuple removes the branch.

    Raises PruningError for sets that do not fit the groups, and when the result would not be exact.
    """
    _check(architecture, kept)
    coupling = coupling_of(model, architecture.input_shape)
    if tuple(group.name for group in coupling.groups) != tuple(group.name for group in architecture.groups):
        raise PruningError(f"the network is not the {architecture.network} that its architecture describes; describe it again")
    return _removed(model, architecture, coupling, kept)


def zero(model: nn.Module, architecture: Architecture, kept: Kept) -> nn.Module:
    """A copy of ``model`` in which every channel that is not in ``kept`` is zero wherever it is produced."""
    _check(architecture, kept)
    return _zeroed(model, architecture, coupling_of(model, architecture.input_shape), kept)


def _zeroed(model: nn.Module, architecture: Architecture, coupling: Coupling, kept: Kept) -> nn.Module:
    copied = duplicate(model)
    for block in _removed_blocks(architecture, coupling, kept):
        zero_whole(copied, block.gone)
    zero_places(copied, _dropped(coupling, kept))
    return copied


@torch.inference_mode(False)
def _removed(model: nn.Module, architecture: Architecture, coupling: Coupling, kept: Kept) -> nn.Module:
    thinned = duplicate(model)
    for block in _removed_blocks(architecture, coupling, kept):
        remove_branch(thinned, block.name)
    cut(thinned, _dropped(coupling, kept))
    _check_runs(thinned, architecture, coupling.answers)
    return thinned


def lost(model: nn.Module, architecture: Architecture, kept: Kept) -> Places:
    """What every module loses on its sides "in" and "out" when ``kept`` stays, in the dense numbering."""
    return _dropped(coupling_of(model, architecture.input_shape), kept)


def _dropped(coupling: Coupling, kept: Kept) -> Places:
    return dropped(coupling.groups, lambda group: frozenset(kept[group.name]))


def _check(architecture: Architecture, kept: Kept) -> None:
    architecture.check(PruningConfig.of(architecture.network, {name: len(indices) for name, indices in kept.items()}))
    for group in architecture.groups:
        indices = kept[group.name]
        if list(indices) != sorted(set(indices)) or (indices and not 0 <= indices[0] <= indices[-1] < group.channels):
            raise PruningError(f"group {group.name} keeps {list(indices)}; give ascending indices from 0 to {group.channels - 1}")
        if group.step > 1:
            part = group.channels // group.step
            places = [index for index in indices if index < part]
            if indices != _repeated(places, group.channels, group.step):
                raise PruningError(
                    f"group {group.name} feeds a grouped convolution; keep the same places in each of its {group.step} parts of {part}"
                )


def _repeated(places: list[int], channels: int, step: int) -> tuple[int, ...]:
    part = channels // step
    return tuple(start + place for start in range(0, channels, part) for place in places)


def _check_runs(thinned: nn.Module, architecture: Architecture, wanted: tuple[tuple[int, ...], ...]) -> None:
    try:
        found, is_finite = answered(thinned, torch.zeros(1, *architecture.input_shape))
    except Exception as error:  # torch raises by shape, the user's forward as it likes
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        told = f"{architecture.network} does not run after the removal ({first_line}{source.place(error)})"
        remedy = "a number of channels is written into its code: take it from the tensor, as x.flatten(1) in place of x.view(-1, 400)"
        raise PruningError(f"{told}; {remedy}") from error
    if found != wanted:
        told = " and ".join(map(str, found))
        raise PruningError(f"{architecture.network} answers {told} after the removal; leave its output layer alone")
    if not is_finite:
        raise PruningError(f"{architecture.network} answers no finite numbers after the removal; check the weights it was given")


def _removed_blocks(architecture: Architecture, coupling: Coupling, kept: Kept) -> list[Block]:
    """The residual blocks that lose their branch."""
    gone = {site.name for site in architecture.layers if site.branch and not kept[site.branch]}
    return [block for block in coupling.blocks if gone & block.gone]
