"""What the stand-in's engines compute: the operations of the tests' small networks in plain Python, when somebody reads an output."""

import array
import ctypes
import functools
import json
import os
import struct
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), *[".."] * 6, "harness", "devices", "agent"))
import onnx_reader
import onnx_shapes
import roofline

sys.path.pop()

promised = {}  # address of an output on the device to ``(model, address of each tensor, bytes of each, the inputs' contents)``
FLOAT, UINT8, INT8 = 1, 2, 3  # of TensorProto


def product(sizes):
    found = 1
    for size in sizes:
        found *= size
    return found


@functools.lru_cache(maxsize=8)
def read(onnx):
    return onnx_reader.read(onnx)


_stages = {}


def stages(graph):
    """``(name, kind, ONNX nodes, seconds)`` of each layer of the engine, as the roofline has them."""
    if id(graph) not in _stages:
        shapes = onnx_shapes.infer(graph, graph.batch_size())
        found = roofline.stages(graph, shapes, roofline.Jetson(), 8e-6)
        _stages[id(graph)] = graph, [(one.node, one.kind, list(one.sources), one.seconds) for one in found]
    return _stages[id(graph)][1]


def information(graph, told, release):
    """The inspector's JSON: names alone without detailed verbosity; ONNX nodes from 8.6 on."""
    rows = stages(graph)
    if not told["detailed"]:
        return json.dumps({"Layers": [name for name, _, _, _ in rows], "Bindings": []})
    layers = []
    for name, kind, sources, _ in rows:
        form = "Int8" if told["calibrated"] or _quantised(graph, sources[0]) else told["form"]
        layer = {
            "Name": name,
            "LayerType": "Cask" + kind,
            "Inputs": [{"Name": "x", "Format/Datatype": "Row major linear %s format" % form}],
        }
        if release >= (8, 6):
            layer["Metadata"] = "\x1e".join("[ONNX Layer: %s]" % source for source in sources)
        layers.append(layer)
    return json.dumps({"Layers": layers, "Bindings": [name for name, _ in graph.inputs + graph.outputs]})


def _quantised(graph, name):
    made = {tensor for node in graph.nodes if node.op in ("DequantizeLinear", "Flatten") for tensor in node.outputs}
    node = next(node for node in graph.nodes if node.name == name)
    return len(node.inputs) > 1 and made.issuperset(node.inputs[:2])


def promise(onnx, graph, addresses, sizes):
    """Remember what the inputs hold now: the outputs are computed when they are read."""
    count = len(graph.inputs)
    contents = [ctypes.string_at(address, size) for address, size in zip(addresses[:count], sizes)]
    for number, address in enumerate(addresses[count:]):
        promised[address] = onnx, number, sizes[count + number], contents


def keep(address):
    """Write the output that was promised at ``address``."""
    if address in promised:
        onnx, number, size, contents = promised.pop(address)
        graph, shapes = read(onnx), None
        shapes = onnx_shapes.infer(graph, graph.batch_size())
        tensors = dict(_weights(onnx))
        tensors.update({name: list(array.array("f", content)) for (name, _), content in zip(graph.inputs, contents)})
        for node in graph.nodes:
            tensors[node.outputs[0]] = OPERATIONS[node.op](
                node, [tensors.get(name) for name in node.inputs], [shapes.get(n) for n in node.inputs]
            )
        ctypes.memmove(address, array.array("f", tensors[graph.outputs[number][0]]).tobytes(), size)


@functools.lru_cache(maxsize=8)
def _weights(onnx):
    found = []
    for field, model in onnx_reader._fields(memoryview(onnx)):
        if field == 7:
            found += [_tensor(entry) for number, entry in onnx_reader._fields(model) if number == 5]
            for number, entry in onnx_reader._fields(model):
                found += _constant(entry) if number == 1 else []
    return found


def _constant(view):
    parts = list(onnx_reader._fields(view))
    if [bytes(entry) for field, entry in parts if field == 4] != [b"Constant"]:
        return []
    output = next(bytes(entry).decode() for field, entry in parts if field == 2)
    (attribute,) = [entry for field, entry in parts if field == 5]
    return [(output, _tensor(entry)[1]) for field, entry in onnx_reader._fields(attribute) if field == 5]


def _tensor(view):
    name, kind, raw, floats, integers, dims = "", 0, b"", [], [], []
    for field, entry in onnx_reader._fields(view):
        if field == 8:
            name = bytes(entry).decode()
        elif field == 1:
            dims += onnx_reader._integers(entry)
        elif field == 2:
            kind = entry
        elif field == 9:
            raw = bytes(entry)
        elif field == 4:
            floats += [entry] if isinstance(entry, float) else [one for (one,) in struct.iter_unpack("<f", bytes(entry))]
        elif field == 5:
            integers += onnx_reader._integers(entry)
    code = {FLOAT: "f", UINT8: "B", INT8: "b"}.get(kind)
    return name, list(array.array(code, raw)) if raw and code else floats or integers


def _conv(node, given, shapes):
    values, weight = given[0], given[1]
    bias = given[2] if len(given) > 2 else None
    (count, _, height, width), (filters, depth, rows, columns) = shapes[0], shapes[1]
    pads, strides = node.attributes.get("pads") or [0] * 4, node.attributes.get("strides") or [1, 1]
    tall, wide = (height + pads[0] + pads[2] - rows) // strides[0] + 1, (width + pads[1] + pads[3] - columns) // strides[1] + 1
    padded = [0.0] * pads[1]
    found = []
    for image in range(count):
        lines = [
            [padded + values[at : at + width] + [0.0] * pads[3] for at in range(start, start + height * width, width)]
            for start in range(image * depth * height * width, (image + 1) * depth * height * width, height * width)
        ]
        for one in range(filters):
            for y in range(tall):
                sums = [bias[one] if bias else 0.0] * wide
                for channel in range(depth):
                    for i in range(rows):
                        place = y * strides[0] + i - pads[0]
                        if 0 <= place < height:
                            line = lines[channel][place]
                            for j in range(columns):
                                w = weight[((one * depth + channel) * rows + i) * columns + j]
                                sums = [s + w * v for s, v in zip(sums, line[j :: strides[1]])]
                found += sums
    return found


def _gemm(node, given, shapes):
    (count, depth), classes = shapes[0], shapes[1][0 if node.attributes.get("transB") else 1]
    values, weight, bias = given[0], given[1], given[2] if len(given) > 2 else [0.0] * shapes[1][0]
    by_class = bool(node.attributes.get("transB"))
    rows = [weight[c * depth : (c + 1) * depth] if by_class else weight[c::classes] for c in range(classes)]
    return [bias[c] + sum(map(_times, values[n * depth : (n + 1) * depth], rows[c])) for n in range(count) for c in range(classes)]


def _times(one, other):
    return one * other


def _pooled(node, given, shapes):
    area = product(shapes[0][2:])
    return [sum(given[0][at : at + area]) / area for at in range(0, len(given[0]), area)]


def _each(values, scale, zero, axis, dims, operation):
    if len(scale) == 1:
        return [operation(one, scale[0], zero[0]) for one in values]
    inner = product(dims[axis + 1 :])
    return [operation(one, scale[at // inner % len(scale)], zero[at // inner % len(scale)]) for at, one in enumerate(values)]


def _quantised_values(node, given, shapes):
    low, high = (-128, 127)
    return _each(
        given[0],
        given[1],
        given[2] or [0],
        node.attributes.get("axis", 1),
        shapes[0],
        lambda x, s, z: max(low, min(high, round(x / s) + z)),
    )


def _dequantised(node, given, shapes):
    return _each(
        given[0],
        given[1],
        (given[2] if len(given) > 2 else None) or [0] * len(given[1]),
        node.attributes.get("axis", 1),
        shapes[0],
        lambda x, s, z: (x - z) * s,
    )


OPERATIONS = {
    "Conv": _conv,
    "Gemm": _gemm,
    "GlobalAveragePool": _pooled,
    "Relu": lambda node, given, shapes: [max(0.0, one) for one in given[0]],
    "Add": lambda node, given, shapes: [one + other for one, other in zip(given[0], given[1])],
    "Flatten": lambda node, given, shapes: given[0],
    "Identity": lambda node, given, shapes: given[0],
    "QuantizeLinear": _quantised_values,
    "DequantizeLinear": _dequantised,
}
_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(keep)
ctypes.CDLL(os.environ["STAND_IN_CUDART"]).standInOnRead(_HOOK)
