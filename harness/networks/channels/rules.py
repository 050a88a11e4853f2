"""What torch's operations do to channels: those that move values, that look at neighbours in a map, that sum up along dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.networks.channels.identities import NO_CHANNEL, Labels, collapsed

NORMS = frozenset(
    {
        "native_batch_norm",
        "_native_batch_norm_legit_no_training",
        "_native_batch_norm_legit",
        "cudnn_batch_norm",
        "native_layer_norm",
        "native_group_norm",
        "_fused_rms_norm",
    }
)
PRELU = frozenset({"_prelu_kernel", "prelu"})
POINTWISE = frozenset({"hardswish", "mish", "_to_copy", "clone", "native_dropout", "copy", "lift_fresh", "nan_to_num"})  # lack torch's tag
MOVING = frozenset(
    {
        "view",
        "_unsafe_view",
        "reshape",
        "_reshape_alias",
        "permute",
        "transpose",
        "t",
        "expand",
        "unsqueeze",
        "squeeze",
        "slice",
        "select",
        "split",
        "split_with_sizes",
        "unbind",
        "cat",
        "stack",
        "roll",
        "flip",
        "index",
        "_unsafe_index",
        "index_select",
        "constant_pad_nd",
        "pixel_shuffle",
        "pixel_unshuffle",
        "channel_shuffle",
        "native_channel_shuffle",
        "repeat",
        "alias",
        "detach",
    }
)
_MAPS = frozenset(
    {
        "max_pool2d_with_indices",
        "avg_pool2d",
        "_adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "upsample_nearest2d",
        "_upsample_nearest_exact2d",
        "upsample_bilinear2d",
        "_upsample_bilinear2d_aa",
        "upsample_bicubic2d",
        "reflection_pad2d",
        "replication_pad2d",
    }
)
_SUMS = frozenset({"mean", "sum", "amax", "amin", "max", "min", "var", "std", "linalg_vector_norm"})
_SHARES = frozenset({"_softmax", "_log_softmax", "cumsum"})


Named = Mapping[str, Any]  # an operation's arguments by their names in torch's schema


def named(func: Any, args: Any, kwargs: Named) -> Named:
    """The arguments of a call by name."""
    return {**{argument.name: given for argument, given in zip(func._schema.arguments, args, strict=False)}, **kwargs}


def known(name: str, arguments: Named, labels: Labels | None) -> tuple[Labels | None, ...] | None:
    """The labels of what a pooling, a sum or a softmax answers; None for one that mixes channels, or is of no known kind.

    labels: of the first argument.
    """
    if labels is None:
        return None
    dimensions, varying = labels.ids.dim(), labels.varying
    if name in _MAPS:
        mixed = {dimensions - 1, dimensions - 2} & set(varying)
        return None if mixed else (Labels(_on_map(name, labels.ids, arguments), labels.zero),)
    if name in _SUMS:
        return _summed(arguments, labels)
    if name in _SHARES and arguments["dim"] % dimensions not in varying:
        return (Labels(labels.ids, zero=name == "cumsum" and labels.zero),)
    return None


def padded(labels: Labels, pad: list[int]) -> Tensor:
    """The labels of a tensor that is padded, by so much at both ends of every dimension from the last."""
    ids, varying = labels.ids, labels.varying
    compact = collapsed(ids)
    sizes = list(ids.shape)
    among = [0] * len(pad)
    for place in range(len(pad) // 2):
        dim = ids.dim() - 1 - place
        before, after = pad[2 * place : 2 * place + 2]
        if dim in varying:
            among[2 * place : 2 * place + 2] = before, after
        sizes[dim] += before + after
    return torch.constant_pad_nd(compact, among, NO_CHANNEL).expand(sizes)


def adds_maps(arguments: tuple[Any, ...]) -> bool:
    """Whether two tensors of one shape, for every image its own, are added."""
    if len(arguments) < 2 or not all(isinstance(one, Tensor) for one in arguments[:2]):
        return False
    one, other = arguments[:2]
    return bool(one.dim() > 1 and one.shape == other.shape and not isinstance(one, nn.Parameter) and not isinstance(other, nn.Parameter))


def _on_map(name: str, ids: Tensor, arguments: Named) -> Tensor:
    """One label per channel, spread over the answer's map, whose size is that of the same operation on one channel."""
    (_, images), *others = arguments.items()
    narrow = torch.zeros((1, 1, *images.shape[-2:]), dtype=images.dtype)
    answer = getattr(torch.ops.aten, name)(narrow, *(given for _, given in others))
    size = (answer[0] if isinstance(answer, tuple) else answer).shape[-2:]
    return collapsed(ids)[..., :1, :1].expand(*ids.shape[:-2], *size)


def _summed(arguments: Named, labels: Labels) -> tuple[Labels | None, ...] | None:
    dims = arguments.get("dim")
    if dims is None or dims == []:
        return None
    along = sorted({int(dim) % labels.ids.dim() for dim in (dims if isinstance(dims, list | tuple) else [dims])})
    if set(along) & set(labels.varying):
        return None
    ids = labels.ids
    for dim in reversed(along):
        ids = ids.narrow(dim, 0, 1) if arguments.get("keepdim", False) else ids.select(dim, 0)
    return (Labels(ids, labels.zero),)
