"""What follows each layer inside a network: its batch norm and its nonlinearity, found by running one batch.

Names do not tell (a residual block calls ``relu`` twice, another library calls it ``act1``), so the tensors are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from harness.errors import PruningError

_NONLINEAR = frozenset(
    {"relu", "relu_", "relu6", "hardtanh", "hardtanh_", "hardswish", "silu", "gelu", "leaky_relu", "elu", "sigmoid", "tanh", "hardsigmoid"}
)
# These keep the channel order and pass a layer's channels on, so the nonlinearity may still come behind them.
_TRANSPARENT = frozenset({"batch_norm", "add", "add_", "__add__", "__iadd__", "__radd__", "dropout", "contiguous", "clone", "detach"})
_CONSUMING = frozenset({"conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear"})

Visitor = Callable[[str, Tensor], None]


class _Follower(TorchFunctionMode):
    """Tells ``visit(layer, activation)`` once per layer and run: the tensor behind the first nonlinearity its output reaches.

    A layer whose output reaches another convolution or linear layer first (a linear bottleneck) is told that tensor itself.
    """

    def __init__(self, visit: Visitor) -> None:
        super().__init__()
        self.visit = visit
        self.pending: dict[int, tuple[str, ...]] = {}
        self.alive: list[Tensor] = []  # ids are only unique among living tensors

    def emit(self, layer: str, output: Tensor) -> None:
        self.pending[id(output)] = (layer,)
        self.alive.append(output)

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        sources = [argument for argument in args if isinstance(argument, Tensor) and id(argument) in self.pending]
        if name in _CONSUMING and sources:
            self._settle(self.pending.pop(id(sources[0])), sources[0])
        waiting = tuple(layer for source in sources for layer in self.pending.get(id(source), ()))
        result = func(*args, **(kwargs or {}))
        if not waiting or not isinstance(result, Tensor):
            return result
        if name in _NONLINEAR:
            self._forget(sources)
            self._settle(waiting, result)
        elif name in _TRANSPARENT:
            self._forget(sources)
            self.pending[id(result)] = waiting
            self.alive.append(result)
        return result

    def finish(self) -> None:
        """Settle what never met a nonlinearity: the network's last layer, or one that feeds a concatenation."""
        by_id = {id(tensor): tensor for tensor in self.alive}
        for key, layers in self.pending.items():
            self._settle(layers, by_id[key])
        self.pending.clear()
        self.alive.clear()

    def _forget(self, sources: Iterable[Tensor]) -> None:
        for source in sources:
            self.pending.pop(id(source), None)

    def _settle(self, layers: Iterable[str], activation: Tensor) -> None:
        for layer in layers:
            self.visit(layer, activation)


def follow_activations(model: nn.Module, layers: Iterable[str], batches: Iterable[Tensor], visit: Visitor) -> None:
    """Run ``batches`` through ``model`` and call ``visit(layer, activation)`` once per layer and batch.

    layers: torch module names of convolutions and linear layers. The activation has the layer's channels in dimension 1.
    The tensor may be changed in place after the visit, so read it at once.
    """
    modules = dict(model.named_modules())
    follower = _Follower(visit)
    handles = [modules[name].register_forward_hook(_emitter(follower, name)) for name in layers]
    try:
        for batch in batches:
            with follower:
                model(batch)
            follower.finish()
    finally:
        for handle in handles:
            handle.remove()


def batch_norms(model: nn.Module, layers: Iterable[str], batch: Tensor) -> dict[str, str]:
    """Layer name to the name of the batch norm that reads its output directly; layers without one are absent."""
    modules = dict(model.named_modules())
    outputs: dict[int, tuple[str, Tensor]] = {}
    found: dict[str, str] = {}

    def remember(layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            outputs[id(output)] = (layer, output)

        return hook

    def match(norm: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if id(inputs[0]) in outputs:
                found[outputs[id(inputs[0])][0]] = norm

        return hook

    handles = [modules[name].register_forward_hook(remember(name)) for name in layers]
    for name, module in modules.items():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            handles.append(module.register_forward_pre_hook(match(name)))
    try:
        with torch.no_grad():
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return found


def weight_layers(model: nn.Module, members: Iterable[str]) -> dict[str, nn.Conv2d | nn.Linear | nn.Conv1d]:
    """The convolutions and linear layers among ``members``, by name; PruningError for a name that the model lacks."""
    modules = dict(model.named_modules())
    layers: dict[str, nn.Conv2d | nn.Linear | nn.Conv1d] = {}
    for name in members:
        if name not in modules:
            raise PruningError(f"the model has no layer {name}; use the architecture that was made from this model")
        module = modules[name]
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Conv1d):
            layers[name] = module
    return layers


def _emitter(follower: _Follower, layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        follower.emit(layer, output)

    return hook
