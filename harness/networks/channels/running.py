"""The convolutions and linear layers of a network in the order in which one inference runs them, functional calls included.

They are seen where torch executes them, so that what is recorded is what is computed: a padding that the forward decides on, the
positions that a linear layer is applied at, weights that are handed to a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CONV, LINEAR = "conv", "linear"
_VIEWS = (
    "t",
    "transpose",
    "view",
    "detach",
    "permute",
    "unsqueeze",
    "expand",
    "alias",
    "slice",
    "select",
    "split",
    "squeeze",
    "_unsafe_view",
)


@dataclass(frozen=True)
class RunLayer:
    """One layer as it ran.

    name: its module's path, or its weight's where no such module exists; the second run of a layer is called ``path@2``. place: the
    path alone. input_size: height and width of what a convolution sees; for a linear layer 1 x the positions that it is applied at.
    weight_shape, stride, padding, dilation, groups: of the call. module: whose weight it is.
    """

    name: str
    place: str
    kind: str
    module: nn.Module
    weight_shape: tuple[int, ...]
    input_size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def out_channels(self) -> int:
        """Channels, or features, that it produces."""
        return self.weight_shape[0]

    @property
    def in_channels(self) -> int:
        """Channels, or features, that it reads."""
        return self.weight_shape[1] * self.groups

    @property
    def depthwise(self) -> bool:
        """Whether it filters each channel by itself and keeps their number."""
        return self.kind == CONV and self.in_channels == self.groups == self.out_channels > 1


@dataclass(frozen=True)
class Owner:
    """The module that holds a parameter: its path, and the parameter's name in it."""

    place: str
    module: nn.Module
    attribute: str

    @property
    def layer(self) -> str:
        """What the layer is called whose weight the parameter is."""
        is_weight = self.attribute == "weight" and isinstance(self.module, nn.Conv2d | nn.Linear)
        return self.place if is_weight else f"{self.place}.{self.attribute}".removeprefix(".")


class Running(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this mode every layer that runs is appended to ``ran``, and ``operations`` has the names of all that is computed.

    images: how many one inference is given.
    """

    def __init__(self, model: nn.Module, images: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ran: list[RunLayer] = []
        self.operations: set[str] = set()
        self.outputs = 1  # tensors that the network answers
        self._images = images
        self._times: dict[str, int] = {}
        self.inside: list[tuple[str, nn.Module]] = []  # modules whose forward is under way, outermost first
        self._held: list[Tensor] = []  # an id is a tensor's for as long as it lives
        self._owners: dict[int, Owner] = {}
        for place, module in model.named_modules():
            for attribute, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                self._owners.setdefault(id(tensor), Owner(place, module, attribute))
                self._held.append(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Execute one operation and note what it says."""
        with self:
            composed = func.decompose(*args, **(kwargs or {}))
        if composed is not NotImplemented:
            return composed
        answer = func(*args, **(kwargs or {}))
        self.note(func, args, answer)
        return answer

    def note(self, func: Any, args: Any, answer: Any) -> RunLayer | None:
        """Append the layer that this operation is, if it is one, and follow views of parameters."""
        name = name_of(func)
        self.operations.add(name)
        if name in _VIEWS and (owner := self.owner(args[0])) is not None:
            for view in tree_leaves(answer):
                self._owners[id(view)] = owner
                self._held.append(view)
        if name == "convolution":
            return self._convolution(args)
        if name in ("mm", "addmm"):
            return self._linear(*args[-2:])
        return None

    def owner(self, tensor: object) -> Owner | None:
        """Whose parameter or buffer, or view of one, this is."""
        return self._owners.get(id(tensor))

    def weight_owner(self, tensor: object) -> Owner | None:
        """Whose weight this is; of one that is computed anew in every inference, the layer's that is running."""
        owner = self.owner(tensor)
        if owner is None and self.inside and isinstance(self.inside[-1][1], nn.Conv2d):
            place, module = self.inside[-1]
            return Owner(place, module, "weight")
        return owner

    def _convolution(self, args: Any) -> RunLayer | None:
        images, weight, _, stride, padding, dilation, transposed, _, groups = args
        owner = self.weight_owner(weight)
        if owner is None or transposed or weight.dim() != 4:
            return None
        size = (int(images.shape[-2]), int(images.shape[-1]))
        pairs = tuple((int(one[0]), int(one[-1])) for one in (stride, padding, dilation))
        return self._append(owner, CONV, tuple(weight.shape), size, *pairs, int(groups))

    def _linear(self, inputs: Tensor, weight: Tensor) -> RunLayer | None:
        owner = self.owner(weight)
        if owner is None:
            return None
        return self._append(owner, LINEAR, tuple(weight.shape[::-1]), (1, max(1, inputs.shape[0] // self._images)))

    def _append(self, owner: Owner, kind: str, shape: tuple[int, ...], size: tuple[int, int], *geometry: Any) -> RunLayer:
        times = self._times[owner.layer] = self._times.get(owner.layer, 0) + 1
        name = owner.layer if times == 1 else f"{owner.layer}@{times}"
        layer = RunLayer(name, owner.layer, kind, owner.module, shape, size, *geometry)
        self.ran.append(layer)
        return layer


def name_of(func: Any) -> str:
    """An operation's name without its overload."""
    return str(func.overloadpacket.__name__)


@contextmanager
def following(mode: Running, model: nn.Module) -> Iterator[None]:
    """Within the block the mode is on and knows which module's forward is under way; the network evaluates meanwhile."""
    training = [(module, module.training) for module in model.modules()]
    hooks = []
    for place, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(_entering(mode, place)))
        hooks.append(module.register_forward_hook(_leaving(mode), always_call=True))
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it hides an attention's linear layers in one operation, which is not exported so
    try:
        model.eval()
        with torch.inference_mode(False), torch.no_grad(), mode:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for hook in hooks:
            hook.remove()
        for module, was in training:
            module.training = was


def run_once(model: nn.Module, images: Tensor) -> tuple[RunLayer, ...]:
    """The layers that one inference of ``images`` (``N x C x H x W``) runs, in order, a layer used twice twice."""
    return tuple(observed(model, images).ran)


def observed(model: nn.Module, images: Tensor) -> Running:
    """What one inference of ``images`` runs."""
    running = Running(model, len(images))
    with following(running, model):
        answer = model(images)
    running.outputs = sum(isinstance(one, Tensor) for one in tree_leaves(answer))
    return running


def _entering(mode: Running, place: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def enter(module: nn.Module, _: tuple[Any, ...]) -> None:
        mode.inside.append((place, module))

    return enter


def _leaving(mode: Running) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def leave(_: nn.Module, __: tuple[Any, ...], ___: Any) -> None:
        mode.inside.pop()

    return leave
