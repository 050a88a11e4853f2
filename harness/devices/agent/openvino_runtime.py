"""OpenVINO 2022 and newer (API 2) on a processor of the agent's machine."""

import faults
import host_state
import int8_nodes
import meters
import onnx_reader
import timed_loop

try:
    import fed_inputs
    import numpy
    import openvino
except ImportError as error:
    raise faults.Unavailable("this interpreter cannot import openvino (%s); install it: pip install openvino" % error)

PRECISIONS = {"f32": "f32", "bf16": "bf16", "f16": "f16", "int8": "f32"}  # to the hint; what is not quantised in INT8 runs in f32
SUFFIXES = ("/DequantizationMultiply", "/WithoutBiases")  # the compiler's marks on a layer that it took apart
INT8_TYPES = ("i8", "u8")


class Runtime:
    """options: ``device`` (an OpenVINO device name, never AUTO or HETERO), ``threads``, ``nice`` (wished; granted only with rights)."""

    def __init__(self, options):
        self.device = str(options.get("device", "CPU"))
        self.threads = int(options.get("threads", 1))
        if self.device.split(":")[0] in ("AUTO", "HETERO", "MULTI", "BATCH"):
            raise faults.Unusable("device %r may silently run elsewhere; name one device, for example CPU" % self.device)
        self.nice = host_state.favour(int(options.get("nice", 0)))
        self.meter = meters.packages() if self.device == "CPU" else None  # a card is not in the package
        self.core = openvino.Core()
        if self.device not in self.core.available_devices:
            raise faults.Unavailable("OpenVINO has no device %r here, only %s" % (self.device, ", ".join(self.core.available_devices)))

    def describe(self):
        """Runtime, version, chip."""
        return {
            "runtime_version": openvino.__version__,
            "model": str(self.core.get_property(self.device, "FULL_DEVICE_NAME")),
            "details": [["device", self.device], ["nice", str(self.nice)]] + ([["energy meter", self.meter.name]] if self.meter else []),
        }

    def load(self, onnx, wanted):
        """Read and compile; Refused when OpenVINO cannot."""
        if wanted["precision"] not in PRECISIONS:
            raise faults.Refused(
                "OpenVINO on %s has no precision %r; choose one of f32, bf16, f16, int8" % (self.device, wanted["precision"])
            )
        graph = _read(onnx)
        int8_nodes.check(graph, wanted["precision"])
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": PRECISIONS[wanted["precision"]],
            "ENABLE_CPU_PINNING": True,
            "ENABLE_HYPER_THREADING": False,
            "PERF_COUNT": bool(wanted["profile"]),
        }
        try:
            network = self.core.read_model(onnx)
            _rebatch(network, graph.batch_size(), wanted["batch_size"])
            compiled = self.core.compile_model(network, self.device, config)
        except RuntimeError as error:
            raise faults.Refused("OpenVINO cannot load the model: %s" % " ".join(str(error).split())[:600])
        return Model(compiled, self.threads, graph, self.meter)


def _rebatch(network, batch, wanted):
    """A network of one picture for batches of ``wanted``; one of another batch stays what it is, and is refused."""
    if batch == wanted:
        return
    if batch != 1 or len(network.inputs) != 1:
        raise faults.Refused("the model is of batch size %d, not %d; ask for its own, or export it at that batch size" % (batch, wanted))
    network.reshape([wanted] + list(network.input(0).shape)[1:])


class Model:
    """A compiled network with one infer request whose input tensors were set once."""

    def __init__(self, compiled, threads, graph, meter=None):
        self.compiled, self.threads, self.graph, self.meter = compiled, threads, graph, meter
        self.request = compiled.create_infer_request()
        self.tensors = [
            openvino.Tensor(fed_inputs.fed([int(side) for side in port.shape], port.element_type.to_dtype())) for port in compiled.inputs
        ]
        for number, tensor in enumerate(self.tensors):
            self.request.set_input_tensor(number, tensor)
        shapes = [tuple(int(side) for side in tensor.shape) for tensor in self.tensors]
        self.shape = next((shape for shape in shapes if len(shape) > 1), shapes[0] if shapes else ())
        self.batch = self.shape[0] if len(self.shape) > 1 else 1

    def first_inference(self):
        """Seconds of the first inference after load."""
        return timed_loop.time_once(self.request.infer)

    def facts(self):
        """What the compiler made of the wishes."""
        effective, notes = self.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(), []
        if int8_nodes.is_quantised(self.graph):
            ran = {name: precision for sources, precision in self._ran().values() for name in sources}
            effective, notes = int8_nodes.told(self.graph, self.batch, ran)
        if not self._takes_pictures():
            notes = notes + [["inputs", "; ".join(_told(port) for port in self.compiled.inputs)]]
        return {
            "effective_precision": effective,
            "threads": int(self.compiled.get_property("INFERENCE_NUM_THREADS")),
            "streams": int(self.compiled.get_property("NUM_STREAMS")),
            "batch_size": self.batch,
            "notes": notes,
        }

    def infer(self, timing):
        """Timed inferences; with one thread they run on the calling one, so its processor time is a witness."""
        return timed_loop.run(self.request.infer, timing, witness=self.threads == 1, meter=self.meter)

    def outputs(self, shape, values):
        """``(shape, bytes)`` of the float32 output for any number of images."""
        if not self._takes_pictures():
            raise faults.Refused(
                "outputs are asked for pictures in f32 alone, the model takes %s" % ", ".join(map(_told, self.compiled.inputs))
            )
        images = numpy.frombuffer(values, dtype=numpy.float32).reshape(shape)
        if tuple(shape[1:]) != self.shape[1:]:
            raise faults.Refused("the model takes images of %s, not %s" % (list(self.shape[1:]), list(shape[1:])))
        batch, found = self.batch, []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            self.tensors[0].data[: len(part)] = part
            self.request.infer()
            found.append(numpy.array(self.request.get_output_tensor(0).data[: len(part)], dtype=numpy.float32))
        everything = numpy.concatenate(found)
        return everything.shape, everything.tobytes()

    def profile(self, inferences):
        """Mean time of every node over all inferences since compilation, which ran at least ``inferences`` times.

        The plugin truncates to whole microseconds and calls a node below one microsecond NOT_RUN, so what a node stands
        for is read from the compiled graph, never from its status.
        """
        for _ in range(inferences):
            self.request.infer()
        ran = self._ran()
        return [
            {
                "node": one.node_name,
                "kind": one.node_type,
                "seconds": one.real_time.total_seconds(),
                "sources": ran[one.node_name][0],
                "precision": ran[one.node_name][1],
            }
            for one in self.request.get_profiling_info()
            if one.node_name in ran and one.node_type not in ("Parameter", "Result", "Constant")
        ]

    def _ran(self):
        """Node of the compiled network to the ONNX nodes it stands for, and what it computes in."""
        found = {}
        for op in self.compiled.get_runtime_model().get_ordered_ops():
            told = op.get_rt_info()
            sources = [_strip(name) for name in _text(told, "originalLayersNames").split(",") if name]
            precision = _text(told, "runtimePrecision")
            found[op.get_friendly_name()] = onnx_reader.node_names(sources, self.graph), "int8" if precision in INT8_TYPES else precision
        return found

    def _takes_pictures(self):
        return [port.element_type.to_dtype() for port in self.compiled.inputs] == [numpy.float32]

    def unload(self):
        """Free the compiled network."""
        self.request = self.compiled = None
        self.tensors = []


def _told(port):
    name = port.get_any_name() if port.get_names() else "input"
    return "%s %s %s" % (name, "x".join(str(int(side)) for side in port.shape) or "one", port.element_type.get_type_name())


def _text(entries, key):
    if key not in entries:
        return ""
    entry = entries[key]
    return str(entry.astype(str) if hasattr(entry, "astype") else entry)


def _strip(name):
    for suffix in SUFFIXES:
        name = name[: -len(suffix)] if name.endswith(suffix) else name
    return name


def _read(onnx):
    try:
        return onnx_reader.read(onnx)
    except onnx_reader.NotOnnx as error:
        raise faults.Refused("OpenVINO cannot load the model: %s" % error)
