"""OpenVINO 2022 and newer (API 2) on a processor, an Intel GPU or an NPU of the agent's machine."""

import os

import board_state
import chosen_options
import faults
import host_state
import int8_nodes
import meters
import onnx_reader
import openvino_settings
import timed_loop

try:
    import fed_inputs
    import numpy
    import openvino
except ImportError as error:
    raise faults.Unavailable("this interpreter cannot import openvino (%s); install it: pip install openvino" % error)

SUFFIXES = ("/DequantizationMultiply", "/WithoutBiases")  # the compiler's marks on a layer that it took apart
INT8_TYPES = ("i8", "u8")
OPTIONS = {
    "device": ("CPU", "the name of an OpenVINO device, as CPU or GPU"),
    "threads": (1, "a whole number of threads, at least 1"),
    "nice": (-20, "a whole number from -20 to 19"),  # the least there is; where none is given none is asked for
}


class Runtime:
    """options: ``device`` (an OpenVINO device name, never AUTO or HETERO), ``threads``, ``nice`` (wished; granted only with rights)."""

    streams = True  # --streams=N: several inferences at once

    def __init__(self, options):
        chosen = chosen_options.read(options, OPTIONS, "openvino")
        self.device, self.threads = chosen["device"], chosen["threads"]
        self.on_processor = openvino_settings.plugin(self.device) == openvino_settings.PROCESSOR
        if not 1 <= self.threads <= (os.cpu_count() or 1):
            raise faults.Unusable("threads = %d: this machine has %d processors; give 1 to as many" % (self.threads, os.cpu_count() or 1))
        if "threads" in options and not self.on_processor:
            raise faults.Unusable("threads are the processor's, %s has none of its own; leave threads out" % self.device)
        self.core = openvino.Core()
        openvino_settings.check(self.core, self.device)
        self.nice = host_state.favour(chosen["nice"] if "nice" in options else 0)
        self.meter = meters.packages() if self.on_processor else None  # a card is not in the package

    def describe(self):
        """Runtime, version, chip."""
        model, board = str(self.core.get_property(self.device, "FULL_DEVICE_NAME")), board_state.name()
        return {
            "runtime_version": openvino.__version__,
            "model": "%s (%s)" % (model, board) if board else model,  # "ARM CPU" alone says nothing
            "details": [["device", self.device], ["nice", str(self.nice)]] + ([["energy meter", self.meter.name]] if self.meter else []),
        }

    def load(self, onnx, wanted):
        """Read and compile; Refused when OpenVINO cannot."""
        config = openvino_settings.config(self.core, self.device, wanted, self.threads)
        graph = _read(onnx)
        int8_nodes.check(graph, wanted["precision"])
        try:
            network = self.core.read_model(onnx)
            _rebatch(network, graph.batch_size(), wanted["batch_size"])
            compiled = self.core.compile_model(network, self.device, config)
        except RuntimeError as error:
            raise faults.Refused("OpenVINO cannot load the model: %s" % " ".join(str(error).split())[:600])
        return Model(self, compiled, graph, wanted["precision"])


def _rebatch(network, batch, wanted):
    """A network of one picture for batches of ``wanted``; one of another batch stays what it is, and is refused."""
    if batch == wanted:
        return
    if batch != 1 or len(network.inputs) != 1:
        raise faults.Refused("the model is of batch size %d, not %d; ask for its own, or export it at that batch size" % (batch, wanted))
    network.reshape([wanted] + list(network.input(0).shape)[1:])


class Model:
    """A compiled network with one infer request whose input tensors were set once."""

    def __init__(self, runtime, compiled, graph, precision):
        self.runtime, self.compiled, self.graph, self.precision = runtime, compiled, graph, precision
        self.request = compiled.create_infer_request()
        self.tensors = [_filled(port) for port in compiled.inputs]
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
        effective, notes = openvino_settings.precision(self.compiled, self.runtime.device, self.precision), []
        if int8_nodes.is_quantised(self.graph) and self._ran():
            ran = {name: precision for sources, precision in self._ran().values() for name in sources}
            effective, notes = int8_nodes.told(self.graph, self.batch, ran)
        if not self._takes_pictures():
            notes = notes + [["inputs", "; ".join(_told(port) for port in self.compiled.inputs)]]
        return {
            "effective_precision": effective,
            "threads": openvino_settings.number(self.compiled, "INFERENCE_NUM_THREADS", 1),
            "streams": openvino_settings.number(self.compiled, "NUM_STREAMS", 1),
            "batch_size": self.batch,
            "notes": notes,
        }

    def infer(self, timing):
        """Timed inferences; with one thread they run on the calling one, so its processor time is a witness."""
        witness = self.runtime.on_processor and self.runtime.threads == 1
        return timed_loop.run(self.request.infer, timing, witness=witness, meter=self.runtime.meter)

    def flow(self, timing):
        """Inferences that ended while all streams were busy: one more than a stream each waits for its turn, so that none runs dry."""
        in_flight = 2 * self.facts()["streams"]
        queue = openvino.AsyncInferQueue(self.compiled, in_flight)
        for request in queue:
            for number, port in enumerate(self.compiled.inputs):
                request.set_input_tensor(number, _filled(port))
        blocks = timed_loop.flow(queue.start_async, dict(timing, in_flight=in_flight))
        queue.wait_all()
        return {"blocks": blocks, "in_flight": in_flight}

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
        ran, nodes = self._ran(), []
        for one in self.request.get_profiling_info():
            if one.node_type in ("Parameter", "Result", "Constant") or (ran and one.node_name not in ran):
                continue
            sources, precision = ran.get(one.node_name) or (onnx_reader.node_names([_strip(one.node_name)], self.graph), "")
            seconds = one.real_time.total_seconds()
            nodes.append({"node": one.node_name, "kind": one.node_type, "seconds": seconds, "sources": sources, "precision": precision})
        return nodes

    def _ran(self):
        """Node of the compiled network to the ONNX nodes it stands for, and what it computes in; empty where none is shown (NPU)."""
        found = {}
        try:
            operations = self.compiled.get_runtime_model().get_ordered_ops()
        except RuntimeError:
            return found
        for op in operations:
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


def _filled(port):
    return openvino.Tensor(fed_inputs.fed([int(side) for side in port.shape], port.element_type.to_dtype()))


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
