"""HardSigmoid written as an addition, a clip and a product, for a compiler that does not know it and knows those.

``HardSigmoid(x) = clip(a x + b, 0, 1) = a clip(x + b / a, 0, 1 / a)`` for ``a > 0``; with torch's 1/6 and 1/2 the latter is
``relu6(x + 3) / 6``. OpenVINO 2021.4 makes one operation of that: with the product by ``x`` behind it HSwish, which the stick runs, and
without one HSigmoid, which its compiler refuses. So a gate of something else is written in the first form, which nothing fuses.
Field numbers: onnx.proto3. New nodes are called by the old one's name with ``@`` and a word behind it, which the readers of schedules
take off again.
"""

import struct

import onnx_reader

ALPHA, BETA = 0.2, 0.5  # by default
GRAPH, IMPORT, NODE, INITIALIZER = 7, 8, 1, 5
CLIP_TAKES_INPUTS = 11
FLOAT = 1
OPERATION = "HardSigmoid"
LAYERS = ("Conv", "Gemm", "MatMul")


def rewritten(model):
    """The model's bytes without HardSigmoid; the same bytes where it has none, or is older than a Clip whose bounds are inputs."""
    if _opset(model) < CLIP_TAKES_INPUTS:
        return model
    parts, changed = [], False
    for field, entry, whole in onnx_reader.fields(memoryview(model)):
        graph = _graph(entry) if field == GRAPH else None
        parts.append(_field(GRAPH, graph) if graph is not None else bytes(whole))
        changed = changed or graph is not None
    return b"".join(parts) if changed else model


def _opset(model):
    """The version of ONNX's own operations that a model imports; 0 where it tells none."""
    version = 0
    for field, entry, _ in onnx_reader.fields(memoryview(model)):
        if field != IMPORT:
            continue
        told = {number: one for number, one, _ in onnx_reader.fields(entry)}
        if bytes(told.get(1, b"")) in (b"", b"ai.onnx"):
            version = max(version, told.get(2, 0))
    return version


def _graph(view):
    """A GraphProto's bytes without HardSigmoid; None where it has none."""
    parts, constants = [], []
    nodes = [onnx_reader.node(entry) for field, entry, _ in onnx_reader.fields(view) if field == NODE]
    if all(node.op != OPERATION for node in nodes):
        return None
    for field, entry, whole in onnx_reader.fields(view):
        node = onnx_reader.node(entry) if field == NODE else None
        alpha = node.attributes.get("alpha", ALPHA) if node is not None else 0.0
        if node is None or node.op != OPERATION or not alpha > 0:
            parts.append(bytes(whole))
            continue
        beta = node.attributes.get("beta", BETA)
        made, values = _swish(node, alpha, beta) if _gates_its_own_input(node, nodes) else _gate(node, alpha, beta, nodes)
        parts += [_field(NODE, one) for one in made]
        constants += [_field(INITIALIZER, _scalar(name, number)) for name, number in values]
    return b"".join(parts + constants) if constants else None


def _gates_its_own_input(node, nodes):
    (source,), (target,) = node.inputs, node.outputs
    users = [one for one in nodes if target in one.inputs]
    return bool(users) and all(one.op == "Mul" and sorted(one.inputs) == sorted((source, target)) for one in users)


def _swish(node, alpha, beta):
    """``(nodes, constants)`` of ``a clip(x + b / a, 0, 1 / a)``; the last node has the old one's name and its output."""
    (source,), (target,) = node.inputs, node.outputs
    shift, least, most, scale, shifted, clipped = _places(target, "shift", "least", "most", "scale", "shifted", "clipped")
    called = node.name or target
    made = [
        _node("Add", called + "@shift", (source, shift), shifted),
        _node("Clip", called + "@clip", (shifted, least, most), clipped),
        _node("Mul", called, (clipped, scale), target),
    ]
    return made, [(shift, beta / alpha), (least, 0.0), (most, 1.0 / alpha), (scale, alpha)]


def _gate(node, alpha, beta, nodes):
    """The same of ``clip(a x + b, 0, 1)``.

    A layer right before it takes factor and shift into its weights, and its stage is then called by the shifted tensor: which is named
    by the layer's output, so that the stage is credited to the layer.
    """
    (source,), (target,) = node.inputs, node.outputs
    scale, shift, least, most = _places(target, "scale", "shift", "least", "most")
    layer = any(source in one.outputs and one.op in LAYERS for one in nodes)
    scaled, shifted = _places("%s@%s" % (source, target) if layer else target, "scaled", "shifted")
    called = node.name or target
    made = [
        _node("Mul", called + "@scale", (source, scale), scaled),
        _node("Add", called + "@shift", (scaled, shift), shifted),
        _node("Clip", called, (shifted, least, most), target),
    ]
    return made, [(scale, alpha), (shift, beta), (least, 0.0), (most, 1.0)]


def _places(target, *words):
    return ["%s@%s" % (target, word) for word in words]


def _node(op, name, inputs, output):
    fields = [_field(1, one.encode()) for one in inputs] + [_field(2, output.encode()), _field(3, name.encode()), _field(4, op.encode())]
    return b"".join(fields)


def _scalar(name, number):
    return b"\x10" + _varint(FLOAT) + _field(8, name.encode()) + _field(9, struct.pack("<f", number))


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number):
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
