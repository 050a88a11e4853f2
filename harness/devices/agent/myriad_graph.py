"""What OpenVINO 2021.4's plugins tell of a compiled network: the Myriad compiler's schedule, a stick's counters, a processor's graph."""

import re

import onnx_reader

HARDWARE = "MyriadXHwOp"  # runs on the convolution engine, everything else on the vector processors (SHAVEs)
COPIES = ("Copy", "Expand", "Crop", "Permute", "Convert", "StridedSlice")
POINTER = re.compile(r"0x[0-9a-f]+")

_STAGE = re.compile(r'label="\[(-?\d+) / (-?\d+)\] Stage (.*?)\\ltype = (\w+)((?:[^"\\]|\\.)*)"')
_ORIGIN = re.compile(r"\\lorigLayer = \[\\l    name = (.*?)\\l")
_UNKNOWN = re.compile(r"does not support the following ONNX operations: (.*)$")
_COST = re.compile(r"\\l        cost = (\d+)")


def stages(dot, graph):
    """The compiler's final schedule from its graph dump.

    One entry per stage, in order: name (host pointers removed, so that it is stable), kind, hardware, executed (some are
    only views), cost (the compiler's own tile cost), sources (ONNX nodes).
    """
    found = []
    for match in _STAGE.finditer(dot):
        execution, index, name, kind, rest = match.groups()
        origin = _ORIGIN.search(rest)
        found.append(
            {
                "index": int(index),
                "name": POINTER.sub("0x", name),
                "kind": kind,
                "hardware": kind == HARDWARE,
                "executed": execution != "-1",
                "cost": sum(int(cost) for cost in _COST.findall(rest)),
                "sources": sources(name, origin.group(1) if origin else "", graph),
            }
        )
    return sorted(found, key=lambda stage: stage["index"])


def sources(name, origin, graph):
    """The ONNX nodes that a stage's name and its original layer's name mention; a copy belongs to nobody."""
    if "copy-for" in name:
        return []
    parts = [part.split("@")[0] for part in name.split(" + ")]
    return onnx_reader.node_names(parts + [part.split("@")[0] for part in origin.split(" + ")], graph)


def counters(perf_counts, graph):
    """Node times of a stick from ``get_perf_counts`` with MYRIAD_PER_STAGE: microseconds of the last inference.

    ``real_time`` is the stick's, ``cpu_time`` always 0. ``<Receive-Tensor>`` is the input's way into the stick.
    """
    ordered = sorted(perf_counts.items(), key=lambda item: int(item[1].get("execution_index", 0)))
    return [
        {
            "node": POINTER.sub("0x", name) or "(no layer)",
            "kind": counter["exec_type"],
            "seconds": counter["real_time"] * 1e-6,
            "sources": sources(name, counter.get("layer_name", ""), graph),
        }
        for name, counter in ordered
        if counter["status"] == "EXECUTED"
    ]


def executed(exec_graph, graph):
    """Node times of the processor plugin from its executable graph, which unlike its counters has no two nodes of one name."""
    import ngraph

    found, prepared = [], set()
    for op in ngraph.function_from_cnn(exec_graph).get_ordered_ops():
        notes = op.get_rt_info()
        micros, kind = _note(notes, "execTimeMcs"), _note(notes, "layerType")
        feeds = [one.get_source_output().get_node().get_friendly_name() for one in op.inputs()]
        if kind == "Const" or (feeds and prepared.issuperset(feeds)):
            prepared.add(op.get_friendly_name())  # runs at compilation only
        elif kind not in ("Input", "Output"):  # those are places, not work: the plugin copies outside of its graph
            names = [name for name in _note(notes, "originalLayersNames").split(",") if name]
            origins = onnx_reader.node_names(names, graph)
            node = origins[0] if origins else op.get_friendly_name()  # the reader numbers its own names anew in every load
            seconds = int(micros) * 1e-6 if micros.isdigit() else 0.0  # "not_executed" also stands at what takes less than a microsecond
            found.append({"node": node, "kind": kind, "seconds": seconds, "sources": origins})
    return found


def unsupported(network, supported, graph):
    """``name (type)`` of every operation that a plugin's ``query_network`` left out."""
    import ngraph

    left_out = []
    for op in ngraph.function_from_cnn(network).get_ordered_ops():
        if op.get_type_name() not in ("Constant", "Parameter", "Result") and op.get_friendly_name() not in supported:
            names = onnx_reader.node_names([op.get_friendly_name()], graph) or [op.get_friendly_name()]
            left_out.append("%s (%s)" % (names[0], op.get_type_name()))
    return left_out


def unreadable(error, graph):
    """``name (type)`` of every node of which the reader of ONNX files says that it does not know its operation."""
    told = _UNKNOWN.search(error)
    operations = [one.strip().rpartition(".")[2] for one in told.group(1).split(",")] if told else []
    return ["%s (%s)" % (node.name or node.outputs[0], node.op) for node in graph.nodes if node.op in operations]


def _note(notes, key):
    if key not in notes:
        return ""
    note = notes[key]
    return str(note.get() if hasattr(note, "get") else note)
