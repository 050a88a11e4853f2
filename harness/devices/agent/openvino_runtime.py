"""OpenVINO 2022 and newer (API 2) on a processor of the agent's machine."""

import faults
import host_state
import int8_nodes
import onnx_reader
import timed_loop

try:
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
        self.core = openvino.Core()
        if self.device not in self.core.available_devices:
            raise faults.Unavailable("OpenVINO has no device %r here, only %s" % (self.device, ", ".join(self.core.available_devices)))

    def describe(self):
        """Runtime, version, chip."""
        return {
            "runtime_version": openvino.__version__,
            "model": str(self.core.get_property(self.device, "FULL_DEVICE_NAME")),
            "details": [["device", self.device], ["nice", str(self.nice)]],
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
            batch, *sides = network.input(0).partial_shape  # a file may leave the number of images open
            if batch.is_dynamic or batch.get_length() != wanted["batch_size"]:
                network.reshape([wanted["batch_size"]] + [side.get_length() for side in sides])
            compiled = self.core.compile_model(network, self.device, config)
        except RuntimeError as error:
            raise faults.Refused("OpenVINO cannot load the model: %s" % " ".join(str(error).split())[:600])
        return Model(compiled, self.threads, graph)


class Model:
    """A compiled network with one infer request whose input tensor was set once."""

    def __init__(self, compiled, threads, graph):
        self.compiled, self.threads, self.graph = compiled, threads, graph
        self.request = compiled.create_infer_request()
        self.shape = tuple(int(side) for side in compiled.input(0).shape)
        values = numpy.random.default_rng(0).standard_normal(self.shape).astype(numpy.float32)
        self.tensor = openvino.Tensor(values)
        self.request.set_input_tensor(self.tensor)

    def first_inference(self):
        """Seconds of the first inference after load."""
        return timed_loop.time_once(self.request.infer)

    def facts(self):
        """What the compiler made of the wishes."""
        effective, notes = self.compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(), []
        if int8_nodes.is_quantised(self.graph):
            ran = {name: precision for sources, precision in self._ran().values() for name in sources}
            effective, notes = int8_nodes.told(self.graph, self.shape[0], ran)
        return {
            "effective_precision": effective,
            "threads": int(self.compiled.get_property("INFERENCE_NUM_THREADS")),
            "streams": int(self.compiled.get_property("NUM_STREAMS")),
            "batch_size": self.shape[0],
            "notes": notes,
        }

    def infer(self, timing):
        """Timed inferences; with one thread they run on the calling one, so its processor time is a witness."""
        return timed_loop.run(self.request.infer, timing, witness=self.threads == 1)

    def outputs(self, shape, values):
        """``(shape, bytes)`` of the float32 output for any number of images."""
        images = numpy.frombuffer(values, dtype=numpy.float32).reshape(shape)
        if tuple(shape[1:]) != self.shape[1:]:
            raise faults.Refused("the model takes images of %s, not %s" % (list(self.shape[1:]), list(shape[1:])))
        batch, found = self.shape[0], []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            self.tensor.data[: len(part)] = part
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

    def unload(self):
        """Free the compiled network."""
        self.request = self.compiled = self.tensor = None


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
