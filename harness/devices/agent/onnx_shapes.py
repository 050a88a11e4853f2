"""Shapes of a network's tensors, for the operations that image classifiers are exported to."""

SAME_AS_FIRST = (
    "Relu Clip LeakyRelu BatchNormalization Identity Dropout Sigmoid HardSigmoid HardSwish Softmax Tanh Exp Log Sqrt Cast Neg Abs Erf "
    "QuantizeLinear DequantizeLinear"
).split()
BROADCAST = "Add Sub Mul Div Pow Max Min Sum".split()


def infer(graph, batch_size):
    """Tensor name to dims, initializers included; every input's first size becomes ``batch_size``.

    A tensor behind an operation that is not known here is left out.
    """
    shapes = {name: list(dims) for name, (dims, _) in graph.initializers.items()}
    constants = {name: integers for name, (_, integers) in graph.initializers.items() if integers is not None}
    for name, dims in graph.inputs:
        shapes[name] = [batch_size] + list(dims[1:]) if len(dims) > 1 else list(dims)
    for node in graph.nodes:
        if node.op == "Constant":
            dims, integers = node.attributes.get("value") or ([], None)
            shapes[node.outputs[0]] = list(dims)
            if integers is not None:
                constants[node.outputs[0]] = integers
            continue
        if not node.inputs or node.inputs[0] not in shapes:
            continue
        try:
            dims = _output(node, shapes, constants)
        except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
            dims = None  # a form of the operation that image classifiers do not have
        if dims is not None:
            for tensor in node.outputs[:1]:
                shapes[tensor] = dims
    return shapes


def _output(node, shapes, constants):
    first = shapes[node.inputs[0]]
    if node.op in SAME_AS_FIRST:
        return list(first)
    if node.op in BROADCAST:
        return _broadcast([shapes[name] for name in node.inputs if name in shapes])
    if node.op == "Conv":
        return [first[0], shapes[node.inputs[1]][0]] + _window(node, first[2:], shapes[node.inputs[1]][2:])
    if node.op in ("MaxPool", "AveragePool"):
        return first[:2] + _window(node, first[2:], node.attributes["kernel_shape"])
    if node.op == "GlobalAveragePool":
        return first[:2] + [1] * len(first[2:])
    if node.op == "Flatten":
        return [first[0], _product(first[1:])]
    if node.op == "Gemm":
        weight = shapes[node.inputs[1]]
        return [first[0], weight[0] if node.attributes.get("transB") else weight[1]]
    if node.op == "MatMul":
        return first[:-1] + shapes[node.inputs[1]][-1:]
    if node.op == "Concat":
        return _concat(node, [shapes[name] for name in node.inputs if name in shapes])
    if node.op == "ReduceMean":
        return _reduced(node, first, constants)
    if node.op == "Reshape":
        return _reshaped(first, constants.get(node.inputs[1]))
    return None


def _window(node, sides, kernel):
    attributes = node.attributes
    count = len(kernel)
    strides, dilations = attributes.get("strides") or [1] * count, attributes.get("dilations") or [1] * count
    pads = attributes.get("pads") or [0] * (2 * count)
    up = strides if attributes.get("ceil_mode") else [1] * count
    return [
        (sides[i] + pads[i] + pads[i + count] - dilations[i] * (kernel[i] - 1) - 1 + (up[i] - 1)) // strides[i] + 1 for i in range(count)
    ]


def _broadcast(dims):
    longest = max(len(one) for one in dims)
    padded = [[1] * (longest - len(one)) + list(one) for one in dims]
    return [max(one[i] for one in padded) for i in range(longest)]


def _concat(node, dims):
    axis, joined = node.attributes.get("axis", 1), list(dims[0])
    joined[axis] = sum(one[axis] for one in dims)
    return joined


def _reduced(node, first, constants):
    axes = node.attributes.get("axes") or (constants.get(node.inputs[1]) if len(node.inputs) > 1 else None) or range(len(first))
    axes = [axis % len(first) for axis in axes]
    if node.attributes.get("keepdims", 1):
        return [1 if i in axes else size for i, size in enumerate(first)]
    return [size for i, size in enumerate(first) if i not in axes]


def _reshaped(first, wanted):
    if wanted is None:
        return None
    sizes = [first[i] if size == 0 else size for i, size in enumerate(wanted)]
    if -1 in sizes:
        rest = _product([size for size in sizes if size != -1])
        sizes[sizes.index(-1)] = _product(first) // max(rest, 1)
    return sizes


def _product(sizes):
    product = 1
    for size in sizes:
        product *= size
    return product
