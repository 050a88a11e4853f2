"""Whether what can go by its way through the network can really go: half of everything is removed and compared with zeros in its place.

Where that does not come out, the guilty ones are found by halves. It is what finds a size that is written into a forward as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from harness.networks.channels.coupling import CoupledChannels
from harness.networks.channels.slicing import Places, cut, duplicate, zero, zero_whole
from harness.networks.own import source

EXACT_RATIO = 1e-3  # largest difference of logits, relative to the largest logit, that float rounding explains
WRITTEN_SIZE = "the network does not run without some of them, for a size is written into the code as a number"
REMEDY = "take it from the tensor: x.flatten(1), x.shape[1]"
INEXACT = "zeros in their place give other answers than their removal"


@dataclass(frozen=True)
class Block:
    """A residual block whose branch can be removed, and the modules that go with it."""

    name: str
    gone: frozenset[str]


Candidate = CoupledChannels | Block
RemoveBranch = Callable[[nn.Module, str], None]


@dataclass(frozen=True)
class Guilty:
    """What cannot be removed, and why."""

    candidate: Candidate
    reason: str


def guilty(model: nn.Module, candidates: Sequence[Candidate], images: Tensor, remove_branch: RemoveBranch) -> tuple[Guilty, ...]:
    """Those of ``candidates`` that cannot be removed by halves (branches: whole) as if they had been zeroed."""
    if not candidates or (reason := _reason(model, candidates, images, remove_branch)) is None:
        return ()
    if len(candidates) == 1:
        return (Guilty(candidates[0], reason),)
    middle = len(candidates) // 2
    found = [one for half in (candidates[:middle], candidates[middle:]) for one in guilty(model, half, images, remove_branch)]
    return tuple(found) or tuple(Guilty(one, reason) for one in candidates[middle:])  # each half alone may go, both together not


def dropped(groups: Sequence[CoupledChannels], stays: Callable[[CoupledChannels], frozenset[int]]) -> Places:
    """Places to remove, of all groups together, when these of their channels stay."""
    found: dict[tuple[str, str], list[int]] = {}
    for group in groups:
        kept = stays(group)
        for span in group.spans:
            indices = [index for channel, places in enumerate(span.positions) if channel not in kept for index in places]
            if indices:
                found.setdefault((span.module, span.side), []).extend(indices)
    return found


def _reason(model: nn.Module, candidates: Sequence[Candidate], images: Tensor, remove_branch: RemoveBranch) -> str | None:
    groups = [one for one in candidates if isinstance(one, CoupledChannels)]
    blocks = [one for one in candidates if isinstance(one, Block)]
    lost = dropped(groups, _every_other)
    changed = duplicate(model).eval()
    for block in blocks:
        remove_branch(changed, block.name)
    cut(changed, lost)
    with torch.inference_mode():
        try:
            found = _outputs(changed(images))
        except Exception as error:  # torch raises by shape, the user's forward as it likes
            first = (str(error).splitlines() or [type(error).__name__])[0]
            return f"{WRITTEN_SIZE} ({first}{source.place(error)}); {REMEDY}"
    changed = duplicate(model).eval()  # one copy at a time: VGG-16 has half a gigabyte of weights
    zero(changed, lost)
    for block in blocks:
        zero_whole(changed, block.gone)
    with torch.inference_mode():
        wanted = _outputs(changed(images))
    if [one.shape for one in found] != [one.shape for one in wanted]:
        return f"{WRITTEN_SIZE}; {REMEDY}"
    return INEXACT if any(map(_differ, found, wanted)) else None


def _differ(found: Tensor, wanted: Tensor) -> bool:
    if not wanted.numel() or not bool(torch.isfinite(wanted).all()):
        return False
    return float((found - wanted).abs().max()) > EXACT_RATIO * float(wanted.abs().max())


def _every_other(group: CoupledChannels) -> frozenset[int]:
    """Of every part of a group that feeds a grouped convolution the same places."""
    part = group.channels // group.step
    return frozenset(start + place for start in range(0, group.channels, part) for place in range(0, part, 2))


def _outputs(answer: object) -> list[Tensor]:
    """All outputs that hold numbers, whatever they lie in: a channel may serve one of them alone."""
    return [one for one in tree_leaves(answer) if isinstance(one, Tensor) and one.is_floating_point()]
