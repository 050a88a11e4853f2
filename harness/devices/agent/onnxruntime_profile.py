"""What ONNX Runtime notes of every node while it runs a network, and which of the network's own nodes stand behind each."""

import json
import os
import re
import shutil
import tempfile

import fed_inputs
import numpy

MARKS = re.compile(r"(_nchwc|_nhwc|_token_[0-9]+)+$")  # of the optimiser on a node that it put in another one's place
KERNEL = "_kernel_time"
WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")
INT8_TYPES, INT8_OPS = ("int8", "uint8"), ("QLinear", "QGemm", "ConvInteger", "MatMulInteger")
TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(bool)": "bool"}


def bound(session):
    """``(call, feeds, binding)``: an inference on inputs that were put in place once, and ``(name, array)`` of each."""
    binding = session.io_binding()
    feeds = [(port.name, _fed(port)) for port in session.get_inputs()]
    for name, feed in feeds:
        binding.bind_cpu_input(name, feed)
    for port in session.get_outputs():
        binding.bind_output(port.name)
    return lambda: session.run_with_iobinding(binding), feeds, binding


def _fed(port):
    kind = numpy.dtype(TYPES.get(port.type, port.type[len("tensor(") : -1]))
    return fed_inputs.fed([side if isinstance(side, int) else 1 for side in port.shape], kind)


class Profiled:
    """A session that notes every node's times in a folder of its own, until its end."""

    def __init__(self, runtime, onnx, graph):
        self.graph, self.folder = graph, tempfile.mkdtemp(prefix="espalier-ort-")
        try:
            self.session = runtime.session(onnx, os.path.join(self.folder, "profile"))
            self.run = bound(self.session)[0]
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def end(self):
        """Mean seconds of each node over all inferences, with its sources, what it computed in, and the provider that ran it."""
        try:
            with open(self.session.end_profiling(), "rb") as file:
                events = json.loads(file.read().decode("utf-8"))
        finally:
            self.close()
        spent, nodes = {}, []
        for event in events:
            name = event.get("name", "")
            if event.get("cat") == "Node" and name.endswith(KERNEL):
                told = event["args"]
                key = (name[: -len(KERNEL)], told.get("op_name", ""), told.get("node_index", ""))
                if key not in spent:
                    spent[key] = [0, 0, told]
                spent[key][0] += event["dur"]
                spent[key][1] += 1
        sources = _sources([name for name, _, _ in spent], self.graph)
        for (name, kind, _), (total_us, count, told) in spent.items():
            precision, provider = _precision(kind, told), told.get("provider", "")
            taken = {"node": name, "kind": kind, "seconds": 1e-6 * total_us / count, "sources": sources[name]}
            nodes.append(dict(taken, precision=precision, provider=provider))
        return nodes

    def close(self):
        """Leave nothing on the disk."""
        self.session = self.run = None
        shutil.rmtree(self.folder, ignore_errors=True)


def _sources(names, graph):
    """Name of a node that ran to the ONNX nodes that it stands for.

    The optimiser calls a node by one that it replaces, or by that one's output, with marks behind. Between that one and its layer lies what
    it fused.
    """
    known = {node.name: node for node in graph.nodes}
    makers = {tensor: node for node in graph.nodes for tensor in node.outputs}
    ends = {}
    for name in names:
        plain = MARKS.sub("", name[len("fused ") :] if name.startswith("fused ") else name)
        ends[name] = known.get(name) or known.get(plain) or makers.get(plain)
    taken = {end.name for end in ends.values() if end is not None}
    return {name: [] if end is None else _chain(end, makers, taken) for name, end in ends.items()}


def _chain(end, makers, taken):
    """From a node back to the layer that it was fused with: through nodes that did not run by themselves."""
    found, node = [end.name], end
    while node.op not in WEIGHTED:
        before = makers.get(node.inputs[0]) if node.inputs else None
        if before is None or before.name in taken:
            break
        found.append(before.name)
        node = before
    return found if node.op in WEIGHTED or len(found) == 1 else [end.name]


def _precision(kind, told):
    types = [name for one in told.get("input_type_shape", []) for name in one]
    if kind.startswith(INT8_OPS) or (types and types[0] in INT8_TYPES):
        return "int8"
    return {"float": "f32", "float16": "f16"}.get(types[0] if types else "float", types[0] if types else "")
