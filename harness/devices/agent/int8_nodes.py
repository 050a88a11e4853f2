"""INT8 on a device: whether a network is quantised, and how much of it really ran in INT8.

A quantised network holds QuantizeLinear and DequantizeLinear (QDQ); runtimes fuse them into the nodes between. What a node ran in only
the compiled network tells.
"""

import faults
import onnx_shapes

INT8 = "int8"
MARKS = ("QuantizeLinear", "DequantizeLinear")
OTHER_FORMS = ("QLinear", "QGemm", "QAttention", "ConvInteger", "MatMulInteger", "DynamicQuantize")  # INT8 without QDQ
LAYERS = ("Conv", "Gemm", "MatMul")
HALF = 0.5  # of the layers' multiply-accumulates: from there on a network is called INT8
NOTE = "INT8 layers"


def is_quantised(graph):
    """Whether the network is in the QDQ form."""
    return any(node.op in MARKS for node in graph.nodes)


def check(graph, precision):
    """Refuse a quantised network asked for in another precision, INT8 of one that is not quantised, and INT8 in another form than QDQ."""
    other = next((node.op for node in graph.nodes if node.op.startswith(OTHER_FORMS)), "")
    if other:
        raise faults.Refused(
            "the network is quantised by %s, not in the QDQ form, the only one of which is told what ran in INT8; "
            "quantise the one in float: python -m harness.quantisation FILE.onnx" % other
        )
    if precision == INT8 and not is_quantised(graph):
        raise faults.Refused("the network is in float, INT8 needs a quantised one (QDQ); pytest bench/ --precision=int8 quantises it")
    if precision != INT8 and is_quantised(graph):
        raise faults.Refused("the network is quantised and would run in INT8, not %s; ask for int8, or give the one in float" % precision)


def told(graph, batch_size, precisions):
    """``(effective precision, notes)`` of a quantised network.

    precisions: ONNX node to what it ran in. INT8 where half of the work of convolutions and linear layers is; else what most of it is.
    """
    work, ran = layer_work(graph, batch_size), {}
    for name, count in work.items():
        precision = precisions.get(name, "unknown")
        ran[precision] = ran.get(precision, 0) + count
    in_int8 = [name for name in work if precisions.get(name) == INT8]
    notes = [[NOTE, "%d of %d" % (len(in_int8), len(work))]]
    total = sum(work.values())
    if total and ran.get(INT8, 0) >= HALF * total:
        return INT8, notes
    return (max(ran, key=lambda precision: (ran[precision], precision)) if ran else "unknown"), notes


def layer_work(graph, batch_size):
    """ONNX node to multiply-accumulates, of each convolution and linear layer; 1 where shapes are not known."""
    shapes, found = onnx_shapes.infer(graph, batch_size), {}
    for node in graph.nodes:
        if node.op not in LAYERS or len(node.inputs) < 2:
            continue
        weight, out = shapes.get(node.inputs[1]), shapes.get(node.outputs[0])
        if weight is None or out is None:
            found[node.name] = 1
        else:
            found[node.name] = _product(weight) * (_product(out[2:]) if node.op == "Conv" else 1) * out[0]
    return found


def _product(sizes):
    product = 1
    for size in sizes:
        product *= size
    return product
