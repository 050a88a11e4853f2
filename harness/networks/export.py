"""A module as ONNX bytes, named by their content, with the way back from each node to the layer that it came from.

torch's legacy exporter at opset 13: the newest form that every runtime of ours reads, from the old one for the neural
compute stick to today's OpenVINO and TensorRT. It folds batch normalisation into the convolutions. A network that uses operations
which opset 13 does not have (fused attention) is written in a newer one; a device that cannot read that refuses it.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import onnx
import torch
from torch import nn
from torch.onnx.utils import register_custom_op_symbolic

from harness.errors import UsageError
from harness.files import json_text, reading
from harness.networks.channels.running import CONV, LINEAR, RunLayer, observed
from harness.networks.foreign import fixing
from harness.networks.foreign.fixing import GraphInput

OPSET = 13
NEWER_OPSETS = (14, 17)  # fused attention; layer normalisation as one operation
_FUSED_ATTENTION = "_scaled_dot_product"  # how torch's operations begin that opset 13 lacks: found out before the exporter does, in seconds
NODE_LAYERS = "espalier.node_layers"  # key of the file's metadata that holds ``node_layers``
_OTHER_INT8 = ("QLinear", "QGemm", "QAttention", "ConvInteger", "MatMulInteger", "DynamicQuantize")  # how ONNX Runtime's own INT8 begins
_LAYER_OPERATORS = {"Conv": CONV, "Gemm": LINEAR, "MatMul": LINEAR}


@dataclass(frozen=True)
class Artefact:
    """What is sent to a device.

    digest: SHA-256 of ``onnx`` in hexadecimal. input_shape: batch x channels x height x width, fixed in the file; of a foreign file
    batch x whatever its leading input takes; batch 0 where it was left open. node_layers: ``(ONNX node, module path)`` of each
    convolution and linear layer, in the order in which they run. inputs: all that a file takes, empty for a network of our own export.
    """

    name: str
    onnx: bytes
    digest: str
    input_shape: tuple[int, ...]
    node_layers: tuple[tuple[str, str], ...]
    inputs: tuple[GraphInput, ...] = field(default=(), compare=False)


def export(model: nn.Module, input_shape: tuple[int, int, int], name: str, batch_size: int = 1) -> Artefact:
    """``model`` in evaluation mode as a checked ONNX file for batches of exactly ``batch_size`` images.

    input_shape: channels x height x width. Equal models give equal bytes. The opset is the first of 13, 14 and 17 that has all of
    the network's operations. Raises UsageError when none has.
    """
    shape = (batch_size, *input_shape)
    images = torch.zeros(shape)
    still = copy.deepcopy(model).eval()
    still.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing from torch's stubs
    running = observed(still, images)
    attends = any(operation.startswith(_FUSED_ATTENTION) for operation in running.operations)
    graph = _written(still, images, name, NEWER_OPSETS if attends else (OPSET, *NEWER_OPSETS))
    pairs = _node_layers(graph.graph, tuple(running.ran))
    graph.metadata_props.add(key=NODE_LAYERS, value=json.dumps(pairs))
    data = graph.SerializeToString(deterministic=True)
    return Artefact(name, data, hashlib.sha256(data).hexdigest(), shape, pairs)


def _written(still: nn.Module, images: torch.Tensor, name: str, opsets: tuple[int, ...]) -> onnx.ModelProto:
    for opset in opsets:
        content = io.BytesIO()
        try:
            with _quiet():
                torch.onnx.export(
                    still, (images,), cast(str, content), opset_version=opset, dynamo=False, input_names=["images"], output_names=["logits"]
                )
            graph = onnx.load_model_from_string(content.getvalue())
            onnx.checker.check_model(graph, full_check=True)
        except torch.onnx.errors.UnsupportedOperatorError as error:
            refusal: Exception = error  # a newer opset may have it
        except (torch.onnx.errors.OnnxExporterError, onnx.checker.ValidationError, RuntimeError) as error:
            refusal = error
            break
        else:
            return graph
    first = (str(refusal).splitlines() or [type(refusal).__name__])[0]
    raise UsageError(f"{name} cannot be written as ONNX of opset {opset} ({first}); use operations that it has") from refusal


def read(
    path: Path, name: str, batch_size: int | None = None, image: tuple[int | None, int, int] | None = None, keep_open: bool = False
) -> Artefact:
    """An artefact from a file, with the weights that lie beside it; of a foreign one the layers are unknown.

    batch_size: None for the file's own, 1 where it is open. image: channels x height x width that the file leaves open. keep_open: an
    open batch stays open (0), so that what is made of the file is for any number of images, too. Raises UsageError as ``fixing.fixed``
    does, and where the file is of another batch; one of a single picture is rewritten for larger batches where it can be.
    """
    try:
        data = reading.read(path, fixing.MOST_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give an ONNX file") from error
    found = _artefact(fixing.fixed(data, str(path), path.parent, 0 if keep_open else batch_size or 1, image), name, str(path))
    batch = found.input_shape[0]
    if batch_size is None or batch == batch_size:
        return found
    if batch == 1 and is_picture(found):
        return rebatched(found, batch_size)
    told = fixing.leading(found.inputs)
    raise UsageError(f"{path} is fixed at a batch of {batch} ({told}); give --batch-size={batch}, or export it with an open batch")


def parse(data: bytes, name: str, origin: str = "the file", keep_open: bool = False) -> Artefact:
    """The same from the bytes of a file whose weights are inside; ``origin`` names it in errors."""
    return _artefact(fixing.fixed(data, origin, batch_size=0 if keep_open else 1), name, origin)


def _artefact(whole: fixing.Fixed, name: str, origin: str) -> Artefact:
    try:
        graph = onnx.load_model_from_string(whole.onnx)
        told = next((prop.value for prop in graph.metadata_props if prop.key == NODE_LAYERS), "[]")
        pairs = tuple((str(node), str(layer)) for node, layer in json_text.parse(told))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{origin} holds a table of layers that cannot be read ({error}); export it again") from error
    _refuse_other_int8(graph.graph, origin)
    return Artefact(name, whole.onnx, hashlib.sha256(whole.onnx).hexdigest(), whole.leading.sizes, pairs, whole.inputs)


def is_picture(artefact: Artefact) -> bool:
    """Whether the network takes pictures in f32, ``N x C x H x W``, and nothing else."""
    return len(artefact.input_shape) == 4 and [one.kind for one in artefact.inputs] in ([], ["f32"])


def check_picture(artefact: Artefact, what: str) -> None:
    """Refuse, with UsageError, a network that takes anything but pictures in f32. what: needs them."""
    if not is_picture(artefact):
        takes = ", ".join(map(str, artefact.inputs)) or "x".join(map(str, artefact.input_shape))
        raise UsageError(f"{what} needs a network that takes f32 pictures alone; {artefact.name} takes {takes}")


def _refuse_other_int8(graph: onnx.GraphProto, origin: str) -> None:
    """UsageError for INT8 in a form of which no runtime tells what ran in it."""
    other = next((node.op_type for node in graph.node if node.op_type.startswith(_OTHER_INT8)), "")
    if other:
        told = f"{origin} is quantised by {other}, not in the QDQ form, the only one of which is told what ran in INT8"
        raise UsageError(f"{told}; give the network in float, which python -m harness.quantisation quantises")


def rebatched(artefact: Artefact, batch_size: int) -> Artefact:
    """The same network for batches of ``batch_size`` images, for runtimes that cannot change it; UsageError when the file fixes its own."""
    if artefact.input_shape[0] == batch_size:
        return artefact
    graph = onnx.load_model_from_string(artefact.onnx)
    del graph.graph.value_info[:]
    shaped = {node.input[1] for node in graph.graph.node if node.op_type == "Reshape"}
    constants = {
        node.output[0]: node.attribute[0].t for node in graph.graph.node if node.op_type == "Constant" and node.output[0] in shaped
    }
    constants |= {tensor.name: tensor for tensor in graph.graph.initializer if tensor.name in shaped}
    for tensor in constants.values():  # a flatten that was exported with its batch size in numbers
        sizes = onnx.numpy_helper.to_array(tensor).copy()
        sizes[0] = batch_size
        tensor.CopyFrom(onnx.numpy_helper.from_array(sizes, tensor.name))
    for told in (graph.graph.input[0], *graph.graph.output):
        told.type.tensor_type.shape.dim[0].dim_value = batch_size
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        told_size = f"{artefact.name} cannot be given a batch of {batch_size}"
        raise UsageError(f"{told_size} ({first}); export it at that batch size") from error
    data = graph.SerializeToString(deterministic=True)
    inputs = tuple(replace(one, sizes=(batch_size, *one.sizes[1:])) for one in artefact.inputs)
    digest, shape = hashlib.sha256(data).hexdigest(), (batch_size, *artefact.input_shape[1:])
    return Artefact(artefact.name, data, digest, shape, artefact.node_layers, inputs)


def _node_layers(graph: onnx.GraphProto, ran: tuple[RunLayer, ...]) -> tuple[tuple[str, str], ...]:
    """Pair nodes and layers by the order in which they run, which holds for any nesting of modules.

    A node whose weights have another shape than the next layer's comes from a functional call and stays unpaired.
    """
    sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    waiting = list(ran)
    pairs = []
    for node in graph.node:
        kind = _LAYER_OPERATORS.get(node.op_type)
        if kind is None or len(node.input) < 2 or not waiting or waiting[0].kind != kind:
            continue
        shape, expected = sizes.get(node.input[1]), waiting[0].weight_shape
        if shape in (expected, expected[::-1] if kind == LINEAR else expected):
            pairs.append((node.name, waiting.pop(0).name))
    return tuple(pairs)


def _channel_shuffle(graph: Any, maps: Any, groups: Any) -> Any:
    """The exporter's missing translation of ``nn.ChannelShuffle``: groups x channels become channels x groups."""
    images, channels, height, width = maps.type().sizes()
    parts = int(torch.onnx.symbolic_helper._parse_arg(groups, "i"))
    parted = graph.op("Reshape", maps, graph.op("Constant", value_t=torch.tensor([images, parts, channels // parts, height, width])))
    turned = graph.op("Transpose", parted, perm_i=[0, 2, 1, 3, 4])
    return graph.op("Reshape", turned, graph.op("Constant", value_t=torch.tensor([images, channels, height, width])))


register_custom_op_symbolic("aten::channel_shuffle", _channel_shuffle, OPSET)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's deprecation notices, which tell a person nothing to do."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    told = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None  # it prints the whole graph where an operation is refused
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch._C._jit_onnx_log = told
        log.setLevel(level)
