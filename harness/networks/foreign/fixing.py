"""An ONNX file from anywhere as one piece of bytes in which nothing is open: weights inside, every input of fixed sizes, every node named.

Weights may lie in a file beside it, as torch's own export writes them. Sizes that a file leaves open are the batch, first of all, and
whatever else a person has to say: none is ever guessed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError, EncodeError
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from harness.errors import UsageError, one_line

# what devices are fed: the names that messages use
FED = {
    onnx.TensorProto.FLOAT: "f32",
    onnx.TensorProto.FLOAT16: "f16",
    onnx.TensorProto.DOUBLE: "f64",
    onnx.TensorProto.UINT8: "u8",
    onnx.TensorProto.INT8: "i8",
    onnx.TensorProto.INT32: "i32",
    onnx.TensorProto.INT64: "i64",
    onnx.TensorProto.BOOL: "bool",
}
MOST_BYTES = 2**31 - 1  # of one protocol buffer, which is what devices are sent
MOST_NUMBERS = 2**28  # of one input: 1 GiB of floats, a batch of 1783 pictures of 3 x 224 x 224


@dataclass(frozen=True)
class GraphInput:
    """One input of a network: its name, type (``f32``, ``u8``, ``i64`` …) and sizes, the batch first."""

    name: str
    kind: str
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} ({'x'.join(map(str, self.sizes)) or 'a number'} {self.kind})"


@dataclass(frozen=True)
class Fixed:
    """A network of which nothing is open. onnx: its bytes, the file's own where nothing had to be changed."""

    onnx: bytes
    inputs: tuple[GraphInput, ...]

    @property
    def leading(self) -> GraphInput:
        """The input that tells the batch: the first of two or more dimensions."""
        return leading(self.inputs)


def leading(inputs: Sequence[GraphInput]) -> GraphInput:
    """The first input of two or more dimensions, else the first of any."""
    return next((one for least in (2, 1) for one in inputs if len(one.sizes) >= least), inputs[0])


def fixed(
    data: bytes, origin: str, folder: Path | None = None, batch_size: int = 1, image: tuple[int | None, int, int] | None = None
) -> Fixed:
    """``data`` with its weights inside, its open sizes fixed and its nodes named.

    origin: names the file in errors. folder: where its external data lies. batch_size: for a batch that is open; 0 leaves it so. image:
    channels (None: the file's own) x height x width of the leading input, for sizes that are open. Raises UsageError, in one line, where
    the file is none, its weights are missing, a size stays open or contradicts what was asked, or an input is of a type or a size that no
    device is fed.
    """
    try:
        return _fixed(data, origin, folder, batch_size, image)
    except UsageError as error:  # names in the file may hold what breaks a line
        raise UsageError(one_line(str(error))) from error


def _fixed(data: bytes, origin: str, folder: Path | None, batch_size: int, image: tuple[int | None, int, int] | None) -> Fixed:
    try:
        model = onnx.load_model_from_string(data)
        changed = _gathered(model, origin, folder)
        _check_inputs(model.graph, origin)
        changed = _checked(model) or changed
        if model.functions:  # of the file's own, which not every runtime reads, and within which no layer is seen
            model, changed = onnx.inliner.inline_local_functions(model), True
    except (onnx.checker.ValidationError, DecodeError, RuntimeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(one_line(f"{origin} is no ONNX network ({first}); export it again")) from error
    changed = _sized(model, origin, batch_size, image) or changed
    changed = _named(model.graph) or changed
    try:
        whole = model.SerializeToString(deterministic=True) if changed else data
    except (EncodeError, ValueError) as error:
        raise UsageError(f"{origin} has more than {MOST_BYTES:,} bytes with its weights; no device is sent that much") from error
    inputs = tuple(_input_of(one, origin) for one in _inputs(model.graph))
    if not leading(inputs).sizes:
        raise UsageError(f"{origin} takes numbers alone ({', '.join(map(str, inputs))}); give a network that takes a batch of something")
    for one in inputs:
        if math.prod(one.sizes) > MOST_NUMBERS:
            raise UsageError(
                f"{origin}: input {one} is more than any device is fed ({MOST_NUMBERS:,} numbers); export it at a smaller size"
            )
    return Fixed(whole, inputs)


def _gathered(model: onnx.ModelProto, origin: str, folder: Path | None) -> bool:
    """Bring weights that lie beside the file into it; whether there were any."""
    outside = [tensor for tensor in onnx.external_data_helper._get_all_tensors(model) if uses_external_data(tensor)]
    if not outside:
        return False
    names = sorted({entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"})
    if folder is None:
        raise UsageError(f"{origin} keeps its weights in {names[0]}; give the file beside which that lies")
    for name in names:
        if not (folder / name).is_file():
            raise UsageError(one_line(f"{origin} keeps its weights in {name}, which does not lie beside it; put it into {folder}"))
    try:
        load_external_data_for_model(model, str(folder))
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise UsageError(one_line(f"{origin} keeps its weights in {names[0]}, which cannot be read ({error}); export it again")) from error
    return True


def _check_inputs(graph: onnx.GraphProto, origin: str) -> None:
    """UsageError for a file that cannot be fed or answers nothing, which onnx's own check says in its own terms or not at all."""
    inputs = _inputs(graph)
    if not inputs:
        raise UsageError(f"{origin} is no ONNX network with inputs; export it again")
    for one in inputs:
        _input_of(one, origin)
        if not one.type.tensor_type.HasField("shape"):
            raise UsageError(f"{origin}: input {one.name} does not say how many dimensions it has; export it with its sizes")
    if not graph.output:
        raise UsageError(f"{origin} is no ONNX network with outputs; export it again")


def _checked(model: onnx.ModelProto) -> bool:
    """Have onnx check the model, which wants a shape of every output where runtimes need none; whether any had to be inferred."""
    lacking = [one for one in model.graph.output if not one.type.WhichOneof("value") or _lacks_shape(one)]
    if lacking:
        for one, told in zip(model.graph.output, _inferred(model).graph.output, strict=True):
            one.CopyFrom(told)
    unknown = [one for one in lacking if _lacks_shape(one)]
    for one in unknown:
        one.type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(model)
    for one in unknown:
        one.type.tensor_type.ClearField("shape")
    return bool(lacking)


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return model  # contradictory sizes, or operators that onnx does not know: the check or the runtime will say so


def _lacks_shape(one: onnx.ValueInfoProto) -> bool:
    return bool(one.type.HasField("tensor_type") and not one.type.tensor_type.HasField("shape"))


def _inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """What is fed: the inputs that no constant stands for."""
    constants = {tensor.name for tensor in graph.initializer}
    return [one for one in graph.input if one.name not in constants]


def _input_of(one: onnx.ValueInfoProto, origin: str) -> GraphInput:
    kind = FED.get(one.type.tensor_type.elem_type)
    if kind is None:
        raise UsageError(f"{origin}: input {one.name} is of type {_type_name(one)}, which no device is fed; export it as one of {_kinds()}")
    return GraphInput(one.name, kind, tuple(side.dim_value for side in one.type.tensor_type.shape.dim))


def _sized(model: onnx.ModelProto, origin: str, batch_size: int, image: tuple[int | None, int, int] | None) -> bool:
    """Fix what is open in the inputs, and the same names in the rest of the graph; whether anything was."""
    inputs = _inputs(model.graph)
    first = next((one for one in inputs if len(_dims(one)) > 1), inputs[0])
    known: dict[str, int] = {}
    changed = False
    for one in inputs:
        if batch_size and len(_dims(one)) > 1:
            changed = _bind(_dims(one)[0], batch_size, known, origin) or changed
    if image is not None:
        changed = _bind_image(first, image, known, origin) or changed
    for one in inputs:
        for side in _dims(one):
            if not side.HasField("dim_value") and side.dim_param in known:
                changed = _bind(side, known[side.dim_param], known, origin) or changed
        _refuse_open(one, one is first, origin, skipped=0 if batch_size else 1)
    if changed:
        _spread(model.graph, known)
    return changed


def _dims(one: onnx.ValueInfoProto) -> Sequence[onnx.TensorShapeProto.Dimension]:
    return list(one.type.tensor_type.shape.dim)


def _bind(side: onnx.TensorShapeProto.Dimension, size: int, known: dict[str, int], origin: str) -> bool:
    """Give an open size its number; whether it was open. Exporters write 0 or -1 for open, too."""
    if side.dim_value > 0:
        return False
    if side.dim_param and known.setdefault(side.dim_param, size) != size:
        raise UsageError(
            f"{origin}: {side.dim_param} is the name of several open sizes, which would be {known[side.dim_param]} and {size}; give sizes "
            "that agree, or export it with these sizes fixed"
        )
    side.dim_value = size
    return True


def _bind_image(first: onnx.ValueInfoProto, image: tuple[int | None, int, int], known: dict[str, int], origin: str) -> bool:
    sides = _dims(first)
    asked = "x".join(str(size) for size in image if size is not None)
    if len(sides) != 4:
        raise UsageError(f"--input-shape={asked}: {first.name} of {origin} is no picture; leave it out")
    channels_last = sides[3].dim_value in (1, 3, 4) and sides[1].dim_value not in (1, 3, 4)
    wanted = (image[1], image[2], image[0]) if channels_last else image
    changed = False
    for side, size in zip(sides[1:], wanted, strict=True):
        if size is None:
            continue
        if side.dim_value > 0 and side.dim_value != size:
            told = "x".join(_text(one) for one in sides)
            raise UsageError(f"--input-shape={asked}: {origin} is fixed at {told}; leave it out, or export the network at that size")
        changed = _bind(side, size, known, origin) or changed
    return changed


def _refuse_open(one: onnx.ValueInfoProto, is_first: bool, origin: str, skipped: int) -> None:
    sides = _dims(one)
    left = [_text(side) for side in sides[skipped:] if side.dim_value <= 0]
    if not left:
        return
    told = f"{origin} leaves {', '.join(left)} of its input {one.name} ({'x'.join(map(_text, sides))}) open"
    if is_first and len(sides) == 4:
        channels = sides[1].dim_value if sides[1].dim_value > 0 else 3
        raise UsageError(f"{told}; give --input-shape=CxHxW, as --input-shape={channels}x224x224")
    raise UsageError(f"{told}; export it with these sizes fixed, as python -m onnxruntime.tools.make_dynamic_shape_fixed does")


def _text(side: onnx.TensorShapeProto.Dimension) -> str:
    return str(side.dim_value) if side.dim_value > 0 else side.dim_param or "?"


def _spread(graph: onnx.GraphProto, known: dict[str, int]) -> None:
    """Outputs say the same names; what was inferred of the rest no longer holds."""
    del graph.value_info[:]
    for one in graph.output:
        for side in one.type.tensor_type.shape.dim:
            if not side.HasField("dim_value") and side.dim_param in known:
                side.dim_value = known[side.dim_param]


def _named(graph: onnx.GraphProto) -> bool:
    """Give every node a name of its own that can be printed, by which its time is told; whether any lacked one."""
    plain = [one_line(node.name) for node in graph.node]
    changed_names = [(node, name) for node, name in zip(graph.node, plain, strict=True) if node.name != name]
    for node, name in changed_names:
        node.name = name
    times = Counter(node.name for node in graph.node if node.name)
    taken, changed = set(times), bool(changed_names)
    seen: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in seen:
            stem, turn = node.name or f"{node.op_type}_{number}", 0
            while (name := stem if not turn else f"{stem}_{turn}") in taken:
                turn += 1
            node.name, changed = name, True
            taken.add(name)
        seen.add(node.name)
    return changed


def _type_name(one: onnx.ValueInfoProto) -> str:
    if not one.type.HasField("tensor_type"):
        return str(one.type.WhichOneof("value") or "nothing").removesuffix("_type")
    number = one.type.tensor_type.elem_type
    if number not in onnx.TensorProto.DataType.values():
        raise UsageError(f"input {one_line(one.name)[:100]} has a type that ONNX has not ({number}); export the network again")
    return str(onnx.TensorProto.DataType.Name(number)).lower()


def _kinds() -> str:
    return ", ".join(FED.values())
