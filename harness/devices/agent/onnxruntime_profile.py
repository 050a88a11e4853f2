"""What ONNX Runtime notes of every node while it runs a network, and which of the network's own nodes stand behind each."""

import json
import os
import re
import shutil
import tempfile

import faults
import fed_inputs
import numpy

MARKS = re.compile(r"(_nchwc|_nhwc|_token_[0-9]+)+$")  # of the optimiser on a node that it put in another one's place
KERNEL = "_kernel_time"
WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")
INT8_TYPES, INT8_OPS = ("int8", "uint8"), ("QLinear", "QGemm", "ConvInteger", "MatMulInteger")
SHORT = {"float": "f32", "float16": "f16", "bfloat16": "bf16", "double": "f64"}
TYPES = {"float": "float32", "double": "float64"}  # of tensors, where numpy calls them otherwise
FED = ("float", "float16", "double", "uint8", "int8", "int32", "int64", "bool")
PARTITION = "ExecutionProvider_"  # within the name of a node that a provider made of many, of which it tells nothing more
NUMBERS, TOKEN = re.compile("[_0-9]+$"), re.compile("_token_[0-9]+$")  # which count through a process, not through a network
RUNS = 10  # of inferences one after the other, in which a node's times are told
COLD = 10  # one in so many inferences, the first ones, is left out
HALF_TICK_US = 0.5  # times are cut to whole microseconds


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
    """What an input is fed; Refused where its type is none that can be."""
    told = port.type[len("tensor(") : -1]
    if port.type != "tensor(%s)" % told or told not in FED:
        raise faults.Refused("input %s is of type %s, which is not fed; export it as one of %s" % (port.name, port.type, ", ".join(FED)))
    return fed_inputs.fed([side if isinstance(side, int) else 1 for side in port.shape], numpy.dtype(TYPES.get(told, told)))


class Profiled:
    """A session that notes every node's times until its end."""

    def __init__(self, runtime, onnx, graph):
        self.graph = graph
        folder = tempfile.mkdtemp(prefix="espalier-ort-")
        try:
            self.session = runtime.session(onnx, os.path.join(folder, "profile"))
            self.run = bound(self.session)[0]
            self.file = _only(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # what is open is written and read all the same, and nothing stays behind

    def end(self):
        """Every node that ran: seconds in several runs, its sources, what it computed in, and the provider that ran it."""
        self.session.end_profiling()
        self.session = self.run = None
        with self.file:
            times, told, inferences = _read(self.file)
        sources = _sources([(name, kind) for name, kind, _ in times], self.graph)
        nodes, counts = [], {}
        for key, found in times.items():
            runs, kind, name = _runs(found, inferences), key[1], TOKEN.sub("", key[0])
            if _is_made(*key[:2]) or not sources[key[:2]]:  # called by numbers that differ from load to load
                kind = NUMBERS.sub("", kind)
                counts[kind] = counts.get(kind, 0) + 1
                name = "%s %d" % (kind, counts[kind])
            node = {"node": name, "kind": kind, "seconds": sorted(runs)[len(runs) // 2], "runs": runs, "sources": sources[key[:2]]}
            nodes.append(dict(node, precision=_precision(key[0], key[1], told[key]), provider=told[key].get("provider", "")))
        return nodes


def _only(folder):
    """The profile in ``folder``, open."""
    names = os.listdir(folder)
    if len(names) != 1:
        raise faults.Refused("this ONNX Runtime opens no profile in %s; take a newer one: pip install -U onnxruntime" % folder)
    return open(os.path.join(folder, names[0]), "rb")


def _read(file):
    """``(times, told, inferences)``: microseconds, and what is said, by ``(name, operation, number)`` of each node in the order of running.

    The file holds an event a line: read whole, long runs would take gigabytes.
    """
    times, told, inferences = {}, {}, 0
    try:
        for line in file:
            if b'"model_run"' in line:
                inferences += 1
            if b'"Node"' not in line:
                continue
            event = json.loads(line.decode("utf-8").strip().rstrip(","))
            name = event["name"]
            if event["cat"] == "Node" and name.endswith(KERNEL):
                key = name[: -len(KERNEL)], event["args"]["op_name"], event["args"].get("node_index", "")
                times.setdefault(key, []).append(event["dur"])
                told.setdefault(key, event["args"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise faults.Refused("ONNX Runtime's profile cannot be read (%s: %s); is its disk full?" % (type(error).__name__, error))
    return times, told, inferences


def _runs(times, inferences):
    """Seconds of a node in each of several runs of inferences one after the other, the first and cold ones left out.

    A node within a loop runs several times an inference.
    """
    often = max(1, len(times) // max(inferences, 1))
    each = [sum(times[start : start + often]) for start in range(0, len(times), often)]
    each = each[len(each) // COLD :]
    count = min(RUNS, len(each))
    parts = [each[len(each) * part // count : len(each) * (part + 1) // count] for part in range(count)]
    return [1e-6 * (_middle(part) + often * HALF_TICK_US) for part in parts]


def _middle(times):
    """Mean of the middle half: what interrupts lies above it, and a median would be a whole microsecond."""
    ordered, cut = sorted(times), len(times) // 4
    middle = ordered[cut : len(ordered) - cut]
    return sum(middle) / float(len(middle))


def _sources(keys, graph):
    """``(name, operation)`` of a node that ran to the names of the ONNX nodes that it stands for.

    The optimiser calls a node by one that it replaces, or by that one's output, with marks before and behind. Between that one and its
    layer lies what it fused. What a provider made of many nodes stands, where it is the only such, for all that did not run by themselves.
    """
    known = {node.name: node for node in graph.nodes if node.name}
    makers = {tensor: node for node in graph.nodes for tensor in node.outputs if tensor}
    ends = {key: _end(key[0], known, makers) for key in keys}
    taken = {end.name for end in ends.values() if end is not None}
    found = {key: [] if end is None else _behind(end, makers, taken) for key, end in ends.items()}
    made = [key for key in keys if _is_made(*key)]
    if len(made) == 1:
        alone = {name for names in found.values() for name in names}
        found[made[0]] = [node.name for node in graph.nodes if node.name and node.name not in alone]
    return found


def _end(name, known, makers):
    if name in known:
        return known[name]
    plain = MARKS.sub("", name[len("fused ") :] if name.startswith("fused ") else name)
    return known.get(plain) or makers.get(plain)


def _behind(end, makers, taken):
    """A node and what it was fused with: back through all that did not run by itself, to the layer with weights."""
    found, left = [end], [] if end.op in WEIGHTED else [end]
    while left:
        for tensor in left.pop().inputs:
            before = makers.get(tensor)
            if before is not None and before.name not in taken and before not in found:
                found.append(before)
                left += [] if before.op in WEIGHTED else [before]
    return [node.name for node in found] if any(node.op in WEIGHTED for node in found) else [end.name]


def _is_made(name, kind):
    """Whether a provider made a node of many: its name and number stand around an operation that no network has."""
    return PARTITION in name and kind in name and ("_" in kind or "-" in kind)


def _precision(name, kind, told):
    """What a node computed in, by its first input; nothing where a provider made it of many."""
    if _is_made(name, kind):
        return ""
    types = [name for one in told.get("input_type_shape", []) for name in one]
    if kind.startswith(INT8_OPS) or (types and types[0] in INT8_TYPES):
        return "int8"
    return SHORT.get(types[0], types[0]) if types else "f32"
