"""An ONNX file's nodes and shapes, read by a walk over its protocol buffer, without the onnx package.

Field numbers: onnx.proto3 of ONNX 1.x, which may add fields but never renumber them.
"""

import struct

INT64, HALVES = 7, (10, 16)  # types of tensors: FLOAT16, BFLOAT16


class NotOnnx(Exception):
    """The bytes are no ONNX model; the text says where they stop making sense."""


class Node:
    """One operation: name, op (``Conv``), inputs and outputs (tensor names), attributes (name to number, text or list of numbers)."""

    def __init__(self):
        self.name, self.op, self.inputs, self.outputs, self.attributes = "", "", [], [], {}


class Graph:
    """nodes in execution order; initializers: tensor name to ``(dims, integers or None)``; inputs, outputs: ``[(name, dims)]``.

    A size that is only named, or left out, is 0.
    """

    def __init__(self):
        self.nodes, self.initializers, self.inputs, self.outputs, self.kinds = [], {}, [], [], set()

    def holds(self, *kinds):
        """Whether a constant is of one of these types."""
        return bool(self.kinds.intersection(kinds))

    def batch_size(self):
        """Of the first input of two or more dimensions; 1 where there is none."""
        return next((dims[0] for _, dims in self.inputs if len(dims) > 1), 1)

    def leading(self):
        """Dims of that input."""
        return next((list(dims) for _, dims in self.inputs if len(dims) > 1), [1])

    def producers(self):
        """Output tensor name to the name of the node that makes it, for runtimes that call nodes by their outputs."""
        return {tensor: node.name for node in self.nodes for tensor in node.outputs}


def read(model):
    """The Graph of an ONNX model's bytes; NotOnnx when they are something else."""
    try:
        graph = None
        for field, entry in _fields(memoryview(model)):
            if field == 7:
                graph = _graph(entry)
    except (IndexError, ValueError, TypeError, struct.error) as error:
        raise NotOnnx("not an ONNX model (%s)" % error)
    if graph is None or not graph.nodes or not graph.outputs:
        raise NotOnnx("not an ONNX model (it has no graph of nodes)")
    for name, dims in graph.inputs:
        if min(dims, default=1) <= 0:
            raise NotOnnx("input %s leaves a size open (%s); export it with all sizes fixed" % (name, dims))
    return graph


def node_names(sources, graph):
    """The ONNX nodes behind runtime's names, each once: names of nodes stay, names of output tensors become their nodes."""
    known, producers, found = {node.name for node in graph.nodes}, graph.producers(), []
    for source in sources:
        name = source if source in known else producers.get(source)
        if name and name not in found:
            found.append(name)
    return found


def fields(view):
    """``(field number, integer or memoryview, the whole field as it stands there)`` one by one."""
    at = 0
    while at < len(view):
        begin = at
        key, at = _varint(view, at)
        kind = key & 7
        if kind == 0:
            entry, at = _varint(view, at)
        elif kind == 2:
            size, at = _varint(view, at)
            if at + size > len(view):
                raise ValueError("a field of %d bytes runs over the end" % size)
            entry, at = view[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            (entry,) = struct.unpack("<d" if kind == 1 else "<f", view[at : at + size])
            at += size
        else:
            raise ValueError("wire type %d" % kind)
        yield key >> 3, entry, view[begin:at]


def _fields(view):
    return ((field, entry) for field, entry, _ in fields(view))


def _varint(view, at):
    number, shift = 0, 0
    while True:
        byte = view[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _text(entry):
    return bytes(entry).decode("utf-8")


def _signed(number):
    return number - (1 << 64) if number >> 63 else number


def _integers(entry):
    """A repeated integer field, packed or single."""
    if isinstance(entry, int):
        return [_signed(entry)]
    numbers, at = [], 0
    while at < len(entry):
        number, at = _varint(entry, at)
        numbers.append(_signed(number))
    return numbers


def _graph(view):
    graph = Graph()
    for field, entry in _fields(view):
        if field == 1:
            graph.nodes.append(node(entry))
        elif field == 5:
            name, dims, integers, kind = _tensor(entry)
            graph.initializers[name] = (dims, integers)
            graph.kinds.add(kind)
        elif field == 11:
            graph.inputs.append(_tensor_type(entry))
        elif field == 12:
            graph.outputs.append(_tensor_type(entry))
    graph.inputs = [(name, dims) for name, dims in graph.inputs if name not in graph.initializers]
    return graph


def node(view):
    """The Node of a NodeProto's bytes."""
    found = Node()
    for field, entry in _fields(view):
        if field == 1:
            found.inputs.append(_text(entry))
        elif field == 2:
            found.outputs.append(_text(entry))
        elif field == 3:
            found.name = _text(entry)
        elif field == 4:
            found.op = _text(entry)
        elif field == 5:
            name, setting = _attribute(entry)
            found.attributes[name] = setting
    return found


def _attribute(view):
    name, setting = "", None
    for field, entry in _fields(view):
        if field == 1:
            name = _text(entry)
        elif field == 2:
            setting = entry
        elif field == 3:
            setting = _signed(entry)
        elif field == 4:
            setting = bytes(entry).decode("utf-8", "replace")
        elif field == 5:
            setting = _tensor(entry)[1:3]
        elif field == 8:
            setting = (setting or []) + _integers(entry)
    return name, setting


def _tensor(view):
    name, dims, kind, raw, integers = "", [], 0, None, []
    for field, entry in _fields(view):
        if field == 1:
            dims += _integers(entry)
        elif field == 2:
            kind = entry
        elif field == 7:
            integers += _integers(entry)
        elif field == 8:
            name = _text(entry)
        elif field == 9:
            raw = entry
    if kind == INT64 and raw is not None:  # shapes and axes, which shape inference needs
        integers = list(struct.unpack("<%dq" % (len(raw) // 8), raw))
    return name, dims, integers if kind == INT64 else None, kind


def _tensor_type(view):
    name, dims = "", []
    for field, entry in _fields(view):
        if field == 1:
            name = _text(entry)
        elif field == 2:
            dims = _dims(entry)
    return name, dims


def _dims(view):
    """Sizes of a TypeProto's tensor shape; 0 for a size that is only named."""
    sizes = []
    for kind, tensor_type in _fields(view):
        if kind != 1:
            continue
        for part, shape in _fields(tensor_type):
            if part == 2:
                for number, dim in _fields(shape):
                    if number == 1:
                        sizes.append(next((_signed(size) for field, size in _fields(dim) if field == 1), 0))
    return sizes
