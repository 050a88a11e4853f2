"""Cost of a network's nodes on simulated devices: the ANNETTE roofline of the NCS2, and a GPU with a launch overhead.

NCS2 constants and formulas: Wess et al. 2021, "ANNETTE", refined roofline ("formula 3"), ncs2-ref_roofline.json.
Jetson: peak figures of the Jetson Nano's data sheet (472 GFLOPS at FP16, 25.6 GB/s).
"""

import math


class Stage:
    """One executed piece: node (its name), kind, seconds, sources (ONNX nodes), precision (what it computes in, where that is known)."""

    def __init__(self, node, kind, seconds, sources):
        self.node, self.kind, self.seconds, self.sources, self.precision = node, kind, seconds, sources, ""


class Ncs2:
    """Roofs of operations/s and bytes/s, 16-bit values, 32-wide units for channels; overhead_s per stage is an assumption."""

    model = "simulated NCS2 (roofline)"
    operations_per_s, bytes_per_s, value_bytes = 319543476297.0, 5679437699.0, 2
    unit, input_weight, filter_weight = 32, 0.14579841511696096, 0.7046765447791339
    overhead_s = 20e-6
    pool_operations_per_s, pool_bytes_per_s = 5.954e9, 0.579e9
    fuses_add = False  # Add runs as a stage of its own on the vector processors
    clock_mhz = 700.0
    idle_c, hot_c, throttle_c = 40.0, 85.0, 70.0

    def conv(self, operations, moved_bytes, inputs, filters, depthwise):
        """Seconds of a convolution without overhead."""
        compute = operations / self.operations_per_s
        memory = moved_bytes / self.bytes_per_s
        if depthwise or compute <= memory:
            return max(compute, memory)
        slow_inputs = 1 - self.input_weight + self.input_weight / self._share(inputs)
        return compute * slow_inputs * (1 - self.filter_weight + self.filter_weight / self._share(filters))

    def _share(self, channels):
        """Share of the unit that works; below its width it replicates the work, so all of it does."""
        return 1.0 if channels < self.unit else channels / (self.unit * math.ceil(channels / float(self.unit)))


class Jetson(Ncs2):
    """A small GPU: plain roofline, a launch per kernel, Add fused into the convolution before it."""

    model = "simulated Jetson (launch overhead)"
    operations_per_s, bytes_per_s, value_bytes = 472e9, 25.6e9, 2
    overhead_s = 8e-6
    pool_operations_per_s, pool_bytes_per_s = 472e9, 25.6e9
    fuses_add = True
    clock_mhz = 921.6
    idle_c, hot_c, throttle_c = 35.0, 97.0, 80.0

    def conv(self, operations, moved_bytes, inputs, filters, depthwise):
        """Seconds of a convolution without overhead."""
        return max(operations / self.operations_per_s, moved_bytes / self.bytes_per_s)


KINDS = {"ncs2": Ncs2, "jetson": Jetson}
FUSED = ("Relu", "Clip", "LeakyRelu", "BatchNormalization")  # run inside the stage before them
FREE = (
    "Flatten",
    "Reshape",
    "Identity",
    "Constant",
    "Dropout",
    "Squeeze",
    "Unsqueeze",
    "Shape",
    "Gather",
    "QuantizeLinear",
    "DequantizeLinear",
)


def stages(graph, shapes, device, overhead_s):
    """The stages of a network: fused operations belong to the stage that makes their input.

    shapes: tensor name to dims, as ``onnx_shapes.infer`` tells.
    """
    found, maker = [], {}
    for node in graph.nodes:
        source = maker.get(node.inputs[0]) if node.inputs else None
        if node.op == "Add" and device.fuses_add:
            makers = [maker[name] for name in node.inputs if name in maker]
            source = max(makers, key=found.index) if makers else None
        if source is not None and (node.op in FUSED or (node.op == "Add" and device.fuses_add)):
            stage = source
            stage.node += " + " + node.name if device.fuses_add else ""
            stage.sources.append(node.name)
        elif node.op in FREE:
            stage = source
        else:
            stage = Stage(node.name, node.op, overhead_s + _seconds(node, shapes, device), [node.name])
            found.append(stage)
        for tensor in node.outputs:
            if stage is not None:
                maker[tensor] = stage
    return found


def _seconds(node, shapes, device):
    tensors = [shapes[name] for name in list(node.inputs) + list(node.outputs) if name in shapes]
    moved = device.value_bytes * sum(_count(dims) for dims in tensors)
    out = shapes.get(node.outputs[0], [1]) if node.outputs else [1]
    if node.op in ("Conv", "Gemm", "MatMul") and len(node.inputs) > 1 and node.inputs[1] in shapes:
        weight = shapes[node.inputs[1]]
        moved = device.value_bytes * sum(_count(shapes.get(name, [0])) for name in list(node.inputs[:2]) + list(node.outputs))
        if node.op != "Conv":
            return max(2.0 * _count(weight) * out[0] / device.operations_per_s, moved / device.bytes_per_s)
        operations = 2.0 * _count(weight) * _count(out[2:]) * out[0]
        depthwise = node.attributes.get("group", 1) > 1
        return device.conv(operations, moved, weight[1], weight[0], depthwise)
    if node.op in ("MaxPool", "AveragePool", "GlobalAveragePool"):
        source = shapes.get(node.inputs[0], [1])
        area = _count(node.attributes.get("kernel_shape") or source[2:])
        return max(2.0 * _count(out) * area / device.pool_operations_per_s, moved / device.pool_bytes_per_s)
    return max(_count(out) / device.operations_per_s, moved / device.bytes_per_s)


def _count(dims):
    product = 1
    for size in dims:
        product *= size
    return product
