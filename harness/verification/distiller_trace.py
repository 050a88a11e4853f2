"""A recorder of a network's operations with public torch means, in the form that Distiller's SummaryGraph reads.

torch 1.3's ``torch.jit.get_trace_graph`` is gone; this yields the same protocol (``graph().nodes()``, ``kind()``,
``scopeName()``, ``debugName()`` ...) from a forward pass under a TorchFunctionMode. What a module computes outside torch
functions, or what depends on the values, is as invisible here as in any trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

KINDS = {
    "conv2d": "Conv",
    "conv1d": "Conv",
    "batch_norm": "BatchNormalization",
    "relu": "Relu",
    "relu_": "Relu",
    "relu6": "Clip",
    "hardtanh": "Clip",
    "linear": "Gemm",
    "max_pool2d": "MaxPool",
    "avg_pool2d": "AveragePool",
    "adaptive_avg_pool2d": "GlobalAveragePool",
    "add": "Add",
    "add_": "Add",
    "__add__": "Add",
    "__iadd__": "Add",
    "__radd__": "Add",
    "mul": "Mul",
    "__mul__": "Mul",
    "cat": "Concat",
    "flatten": "Flatten",
    "view": "Reshape",
    "reshape": "Reshape",
    "mean": "ReduceMean",
}
# These give the same values under another handle: no operation of their own in a trace.
ALIASES = frozenset({"dropout", "contiguous", "clone", "detach", "to", "float", "type", "__get__", "requires_grad_"})


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor of the graph; its text form shows the shape, which is where SummaryGraph looks for it."""

    name: str
    shape: tuple[int, ...]

    def debugName(self) -> str:  # noqa: N802  torch 1.3's spelling
        """The value's unique name."""
        return self.name

    def node(self) -> str:
        """A text with the shape in the first parentheses."""
        return f"%{self.name} : Float({', '.join(map(str, self.shape))})"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its ONNX kind, the module it was called from, its values and attributes."""

    operation: str
    scope: str
    sources: tuple[Value, ...]
    result: Value
    attributes: dict[str, Any]

    def kind(self) -> str:
        """``onnx::Conv`` and the like."""
        return f"onnx::{self.operation}"

    def scopeName(self) -> str:  # noqa: N802  torch 1.3's spelling
        """``Module[layer1]/Module[0]/...``, from which SummaryGraph rebuilds the module's name."""
        return "/".join(["Model", *(f"Module[{part}]" for part in self.scope.split(".") if part)])

    def inputs(self) -> tuple[Value, ...]:
        """Values that the operation reads."""
        return self.sources

    def outputs(self) -> tuple[Value, ...]:
        """The value that it makes."""
        return (self.result,)

    def attributeNames(self) -> list[str]:  # noqa: N802  torch 1.3's spelling
        """Names for ``node[name]``."""
        return list(self.attributes)

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]


@dataclass(slots=True)
class Trace:
    """The recorded graph; it is its own ``graph()``."""

    entries: list[Value] = field(default_factory=list)
    exits: list[Value] = field(default_factory=list)
    operations: list[Node] = field(default_factory=list)

    def graph(self) -> Trace:
        """The graph."""
        return self

    def inputs(self) -> list[Value]:
        """The network's inputs."""
        return self.entries

    def outputs(self) -> list[Value]:
        """The network's outputs."""
        return self.exits

    def nodes(self) -> list[Node]:
        """Operations in the order of execution."""
        return self.operations


class _Recorder(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.trace = Trace()
        self.scopes: list[str] = [""]
        self.values: dict[int, Value] = {}
        self.alive: list[Tensor] = []  # ids are unique among living tensors only

    def value(self, tensor: Tensor) -> Value:
        made = Value(str(len(self.alive)), tuple(tensor.shape))
        self.values[id(tensor)] = made
        self.alive.append(tensor)
        return made

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        sources = [self.values[id(tensor)] for tensor in _tensors(args) if id(tensor) in self.values]
        result = func(*args, **(kwargs or {}))
        if not sources or not isinstance(result, Tensor):
            return result
        name = getattr(func, "__name__", "operation")
        if name in ALIASES:
            self.values[id(result)] = sources[0]
            self.alive.append(result)
            return result
        node = Node(
            KINDS.get(name, name.strip("_").capitalize()),
            self.scopes[-1],
            tuple(sources),
            self.value(result),
            _attributes(name, args, kwargs),
        )
        self.trace.operations.append(node)
        return result


def get_trace_graph(model: nn.Module, args: Any = (), kwargs: Any = None, **_ignored: Any) -> tuple[Trace, Any]:
    """``(trace, output)`` of one forward pass, as torch 1.3's function of this name."""
    arguments = tuple(args) if isinstance(args, tuple | list) else (args,)
    recorder = _Recorder()
    recorder.trace.entries = [recorder.value(tensor) for tensor in _tensors(arguments)]
    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(_entering(recorder, name)))
        handles.append(module.register_forward_hook(_leaving(recorder)))
    try:
        with torch.no_grad(), recorder:
            output = model(*arguments, **(kwargs or {}))
    finally:
        for handle in handles:
            handle.remove()
    outputs = _tensors(output if isinstance(output, tuple | list) else (output,))
    recorder.trace.exits = [recorder.values[id(tensor)] for tensor in outputs if id(tensor) in recorder.values]
    return recorder.trace, output


def _entering(recorder: _Recorder, name: str) -> Callable[..., None]:
    def hook(_module: nn.Module, _inputs: Any) -> None:
        recorder.scopes.append(name)

    return hook


def _leaving(recorder: _Recorder) -> Callable[..., None]:
    def hook(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        recorder.scopes.pop()

    return hook


def _tensors(arguments: Iterable[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            found.append(argument)
        elif isinstance(argument, tuple | list):
            found.extend(_tensors(argument))
    return found


def _attributes(name: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """ONNX attributes of convolutions, pools and linear layers; nothing else is read."""
    given = dict(kwargs or {})
    if name in ("conv2d", "conv1d"):
        for position, word in enumerate(("input", "weight", "bias", "stride", "padding", "dilation", "groups")):
            if position < len(args):
                given[word] = args[position]
        kernel = list(given["weight"].shape[2:])
        return {
            "dilations": _sizes(given.get("dilation", 1), len(kernel)),
            "group": given.get("groups", 1),
            "kernel_shape": kernel,
            "pads": _sizes(given.get("padding", 0), len(kernel)) * 2,
            "strides": _sizes(given.get("stride", 1), len(kernel)),
        }
    if name in ("max_pool2d", "avg_pool2d"):
        for position, word in enumerate(("input", "kernel_size", "stride", "padding")):
            if position < len(args):
                given[word] = args[position]
        stride = given.get("stride") or given["kernel_size"]
        return {
            "kernel_shape": _sizes(given["kernel_size"], 2),
            "strides": _sizes(stride, 2),
            "pads": _sizes(given.get("padding", 0), 2) * 2,
        }
    return {"alpha": 1.0, "beta": 1.0, "transB": 1} if name == "linear" else {}


def _sizes(value: Any, dimensions: int) -> list[int]:
    return [value] * dimensions if isinstance(value, int) else list(value)
