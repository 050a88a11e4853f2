"""Every channel followed through one inference, operation by operation: who produces it, who reads it, what it is added to.

A channel may go where its removal is the same as zeros in its place: it lies whole along one dimension of every tensor, meets only
operations that keep zero and mix no channels, and is read by a layer. What an operation does to zero is tried, not looked up; where
an operation is not known to be harmless the channels that reach it are fixed. One inference is all that it takes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from harness.errors import PruningError
from harness.networks.channels import rules
from harness.networks.channels.identities import NO_CHANNEL, OUTPUT, Identities, Labels, collapsed
from harness.networks.channels.running import CONV, RunLayer, Running, following, name_of

DEADLINE_S = 60.0  # for one inference whose channels are followed; ResNet-152 takes 2 s
IN, OUT = "in", "out"


@dataclass(frozen=True, eq=False)
class Met:
    """Channels where a module produces, normalises ("out") or reads ("in") them: one number for each of its places on that side."""

    place: str
    side: str
    ids: Tensor
    layer: RunLayer | None = None


@dataclass(frozen=True, eq=False)
class Traced:
    """What one inference told. additions: modules in whose own forward two maps of the same shape are added."""

    ran: tuple[RunLayer, ...]
    met: tuple[Met, ...]
    identities: Identities
    additions: tuple[str, ...]


def trace(model: nn.Module, images: Tensor, deadline_s: float = DEADLINE_S) -> Traced:
    """Follow all channels of ``model`` through one inference of ``images`` (``N x C x H x W``), which are best no zeros.

    Raises PruningError, naming the layer, when the inference takes longer than ``deadline_s``.
    """
    tracing = _Tracing(model, len(images), deadline_s)
    with following(tracing, model):
        answer = model(images)
        for tensor in tree_leaves(answer):
            if isinstance(tensor, Tensor):
                tracing.fix(tensor, OUTPUT)
    return Traced(tuple(tracing.ran), tuple(tracing.met), tracing.identities, tuple(dict.fromkeys(tracing.additions)))


class _Tracing(Running):  # type: ignore[no-untyped-call]
    def __init__(self, model: nn.Module, images: int, deadline_s: float) -> None:
        super().__init__(model, images)
        self.identities = Identities()
        self.met: list[Met] = []
        self.additions: list[str] = []
        self._labels: Any = WeakTensorKeyDictionary()
        # of this thread's own time: on a busy machine a minute of the wall is a second of work
        self._deadline_s, self._ends = deadline_s, time.thread_time() + deadline_s

    @property
    def where(self) -> str:
        """The module whose forward is under way."""
        return self.inside[-1][0] if self.inside and self.inside[-1][0] else "the network"

    def of(self, tensor: object) -> Labels | None:
        """The labels of a tensor; None where no channel lies in it that may go."""
        return self._labels.get(tensor) if isinstance(tensor, Tensor) else None

    def fix(self, tensor: Tensor, reason: str) -> None:
        """None of the channels in ``tensor`` may go."""
        if (labels := self.of(tensor)) is not None:
            self.identities.fix(collapsed(labels.ids), reason)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if time.thread_time() > self._ends:
            raise PruningError(f"following the channels took longer than {self._deadline_s:g} s, at {self.where}; give smaller images")
        with self:
            composed = func.decompose(*args, **kwargs)
        if composed is not NotImplemented:
            return composed
        if name_of(func).rstrip("_") == "add" and rules.adds_maps(args) and self.inside:
            self.additions.append(self.inside[-1][0])
        told = self._before(func, args, kwargs)
        answer = func(*args, **kwargs)
        layer = self.note(func, args, answer)
        labels = self._layer(layer, args) if layer is not None else told
        for tensor, label in zip((one for one in tree_leaves(answer) if isinstance(one, Tensor)), labels, strict=False):
            if label is not None and label.ids.shape == tensor.shape:
                self._labels[tensor] = label
            elif func._schema.is_mutable and tensor in self._labels:
                del self._labels[tensor]
        return answer

    def _before(self, func: Any, args: Any, kwargs: Any) -> tuple[Labels | None, ...]:
        """The labels of what an operation that is no layer will answer; looked at before it may overwrite its inputs."""
        name = name_of(func).rstrip("_")
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        if all(self.of(one) is None for one in tensors) or (name in ("convolution", "mm", "addmm") and self._is_layer(name, args)):
            return ()
        if name in rules.NORMS:
            return self._norm(name, args)
        if name in rules.PRELU:
            return self._prelu(args)
        if torch.Tag.pointwise in func.tags or name in rules.POINTWISE:
            return (self._pointwise(func, args, kwargs),)
        if name in rules.MOVING:
            return self._moved(func, name, args, kwargs)
        found = rules.known(name, rules.named(func, args, kwargs), self.of(args[0]))
        if found is None:
            kind = "transposed " if name == "convolution" and args[6] else ""
            self._fix_all(tensors, f"they meet {kind}{name.strip('_')} in {self.where}")
            return ()
        return found

    def _is_layer(self, name: str, args: Any) -> bool:
        if name == "convolution":
            return self.weight_owner(args[1]) is not None and not args[6] and args[1].dim() == 4
        return self.owner(args[-1]) is not None

    def _fix_all(self, tensors: list[Tensor], reason: str) -> None:
        for tensor in tensors:
            self.fix(tensor, reason)

    def _layer(self, layer: RunLayer, args: Any) -> tuple[Labels | None, ...]:
        """Read the channels that enter a layer, give those that leave it numbers."""
        inputs = args[0] if layer.kind == CONV else args[-2]
        plain = self._is_plain(layer, args)
        read = self._read(layer, inputs, plain)
        out = self.identities.fresh(layer.out_channels)
        if layer.depthwise:
            if read is None:
                return ()
            out = read
        self.met.append(Met(layer.place, OUT, out, layer))
        if not plain:
            self.identities.fix(out, f"{layer.place} computes its weights anew")
        if layer.name != layer.place:  # costs are told by layer, and both runs have the same weights
            for one in (one for one in self.met if one.place == layer.place):
                self.identities.fix(one.ids, f"{layer.place} runs twice")
        shape = (1, -1) + (1, 1) * (layer.kind == CONV)
        sizes = (len(inputs), layer.out_channels) + (self._map_size(layer) if layer.kind == CONV else ())
        return (Labels(out.view(shape).expand(sizes), zero=True),)

    def _map_size(self, layer: RunLayer) -> tuple[int, int]:
        kernel = layer.weight_shape[2:]
        height, width = (
            (layer.input_size[side] + 2 * layer.padding[side] - layer.dilation[side] * (kernel[side] - 1) - 1) // layer.stride[side] + 1
            for side in (0, 1)
        )
        return height, width

    def _read(self, layer: RunLayer, inputs: Tensor, plain: bool) -> Tensor | None:
        labels = self.of(inputs)
        if labels is None:
            return None
        channels = labels.along(1)
        if channels is None or not plain:
            self.fix(inputs, f"they lie in parts before {layer.place}" if channels is None else f"{layer.place} computes its weights anew")
            return None
        if not labels.zero:
            self.fix(inputs, f"they do not stay zero before {layer.place} (a sigmoid, or something added)")
        if not layer.depthwise:
            self.met.append(Met(layer.place, IN, channels, layer))
        return channels

    def _is_plain(self, layer: RunLayer, args: Any) -> bool:
        owner = self.owner(args[1] if layer.kind == CONV else args[-1])
        return (
            owner is not None and owner.attribute == "weight" and isinstance(layer.module, nn.Conv2d if layer.kind == CONV else nn.Linear)
        )

    def _norm(self, name: str, args: Any) -> tuple[Labels | None, ...]:
        labels = self.of(args[0])
        owner = next((self.owner(one) for one in args[1:5] if self.owner(one) is not None), None)
        channels = labels.along(1) if labels is not None else None
        if channels is None or owner is None or not isinstance(owner.module, nn.BatchNorm1d | nn.BatchNorm2d) or "batch_norm" not in name:
            self._fix_all(
                [args[0]], f"they meet {name.strip('_').removeprefix('native_').removesuffix('_legit').replace('_', ' ')} in {self.where}"
            )
            return ()
        if any(one.place == owner.place for one in self.met):
            self.fix(args[0], f"{owner.place} runs twice")
        self.met.append(Met(owner.place, OUT, channels))
        assert labels is not None
        return (Labels(labels.ids, zero=True),)

    def _prelu(self, args: Any) -> tuple[Labels | None, ...]:
        labels, owner = self.of(args[0]), self.owner(args[1])
        channels = labels.along(1) if labels is not None else None
        if labels is None or channels is None or owner is None or not isinstance(owner.module, nn.PReLU):
            self._fix_all([args[0]], f"they meet prelu in {self.where}")
            return ()
        if owner.module.num_parameters > 1:
            self.met.append(Met(owner.place, OUT, channels))
        return (labels,)

    def _pointwise(self, func: Any, args: Any, kwargs: Any) -> Labels | None:
        """Operands are joined channel by channel; whether zeros stay zero is tried."""
        operands = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]

        def zeroed(one: Any) -> Any:
            if not isinstance(one, Tensor):
                return one
            labels = self.of(one)
            return torch.zeros_like(one) if (labels is not None and labels.zero) or self._is_bias(one) else one.clone()

        tried_args, tried_kwargs = tree_map(zeroed, (tuple(args), dict(kwargs)))
        tried = func(*tried_args, **tried_kwargs)
        leaves = [one for one in tree_leaves(tried) if isinstance(one, Tensor)]
        if not leaves:
            return None
        shape = leaves[0].shape
        spread = [(one, found) for one in operands if (found := self.of(one)) is not None]
        if func._schema.is_mutable and self.of(args[0]) is None:  # it may be a part of something larger
            self._fix_all(operands, f"they are written into a tensor of fixed size in {self.where}")
            return None
        joined = self._joined(spread, shape)
        for one in operands:
            if joined is not None and self.of(one) is None and not self._is_bias(one) and _reaches(one, joined, shape):
                self.identities.fix(joined, f"they meet a parameter or buffer of fixed size in {self.where}")
        if joined is None:
            return None
        return Labels(joined.expand(shape), zero=not bool(torch.count_nonzero(leaves[0])))

    def _joined(self, spread: list[tuple[Tensor, Labels]], shape: torch.Size) -> Tensor | None:
        """The labels of what comes of several operands; those of which one channel is spread over many others are fixed."""
        joined: Tensor | None = None
        compact = [(collapsed(labels.ids), one) for one, labels in spread]
        compact.sort(key=lambda pair: -pair[0].numel())
        for ids, one in compact:
            ids = ids.reshape((1,) * (len(shape) - ids.dim()) + ids.shape)
            if joined is None:
                joined = ids
                continue
            full = (1,) * (len(shape) - one.dim()) + tuple(one.shape)
            if any(joined.shape[dim] > 1 and full[dim] == 1 for dim in range(len(shape))):
                self.identities.fix(ids, f"they are spread over other channels in {self.where}")
                continue
            both = [max(sizes) for sizes in zip(joined.shape, ids.shape, strict=True)]
            ours, theirs = joined.expand(both), ids.expand(both)
            self.identities.join(ours, theirs)
            joined = ours
        return joined

    def _is_bias(self, tensor: Tensor) -> bool:
        owner = self.owner(tensor)
        return owner is not None and owner.attribute == "bias" and isinstance(owner.module, nn.Linear | nn.Conv2d)

    def _moved(self, func: Any, name: str, args: Any, kwargs: Any) -> tuple[Labels | None, ...]:
        """The same movement of the labels; channels that are divided, dropped or dealt out over several dimensions are fixed."""
        found = [labels for one in tree_leaves((args, kwargs)) if (labels := self.of(one)) is not None]

        def ids_of(one: Any) -> Any:
            labels = self.of(one)
            if labels is not None:
                return labels.ids
            return torch.full_like(one, NO_CHANNEL, dtype=torch.int64) if isinstance(one, Tensor) and one.is_floating_point() else one

        if name == "constant_pad_nd":
            moved, zero = rules.padded(found[0], args[1]), found[0].zero and not any(args[2:])
        else:
            move = torch.reshape if "view" in name else func  # labels lie otherwise in memory than what they are of
            moved, zero = move(*tree_map(ids_of, tuple(args)), **tree_map(ids_of, dict(kwargs))), all(labels.zero for labels in found)
        parts = [Labels(ids, zero) for ids in (moved if isinstance(moved, list | tuple) else [moved])]
        before = {channel for labels in found for channel in _channels(labels.ids)}
        for part in parts:
            if before - _channels(part.ids) or len(part.varying) > 1:
                reason = f"they are divided by {name.strip('_').split('_')[0]} in {self.where}"
                for labels in found:
                    self.identities.fix(collapsed(labels.ids), reason)
                return ()
        return tuple(parts)


def _reaches(operand: Tensor, ids: Tensor, shape: torch.Size) -> bool:
    """Whether ``operand``, which has no channels of its own, holds different values for different channels."""
    full = (1,) * (len(shape) - operand.dim()) + tuple(operand.shape)
    return any(ids.shape[dim] > 1 and full[dim] > 1 for dim in range(len(shape)))


def _channels(ids: Tensor) -> set[int]:
    return set(collapsed(ids).flatten().tolist())
