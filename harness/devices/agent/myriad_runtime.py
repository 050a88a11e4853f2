"""OpenVINO 2021.4 to 2022.3 (API 1.0): the Neural Compute Stick 2, its compiler without a stick, and the same wheel's processor plugin.

What the plugin does without a stick, and what its counters mean, was read in the sources of OpenVINO 2021.4.2
(myriad_executor.cpp, perf_report.cpp, get_meta_data.cpp).
"""

import contextlib
import glob
import hashlib
import os
import re
import tempfile

import chosen_options
import faults
import host_state
import int8_nodes
import myriad_graph
import onnx_hard_sigmoid
import onnx_reader
import timed_loop

try:
    import ctypes

    import libusb_package

    ctypes.CDLL(str(libusb_package.get_library_path()), ctypes.RTLD_GLOBAL)  # the plugin needs it by name
except (ImportError, OSError):
    pass  # the system's own libusb serves as well; without either, the plugin says so below
try:
    import numpy
    from openvino.inference_engine import IECore
except ImportError as error:
    raise faults.Unavailable("no OpenVINO 2021.4 here (%s); create it: python -m harness.devices.environment ncs2" % error)

OPTIONS = {
    "device": ("MYRIAD", "MYRIAD, MYRIAD.ID of one stick of several, or CPU"),
    "threads": (1, "a whole number of threads of the CPU, at least 1"),
}
VENDOR, BOOTED = "03e7", "f63b"  # USB ids of the Movidius chip
NO_STICK = "no NCS2 on USB: plug one in (and check its udev rule), or compile without one: pytest bench/ --compile-only"
INSTEAD = "write the network without these operations and export it again, or choose another device"
ONLY_COMPILED = "Can not create infer request: there is no available devices with platform 2480"


class Runtime:
    """options: ``device`` (MYRIAD, MYRIAD.<id> or CPU), ``compile_only``, ``threads`` (of CPU)."""

    def __init__(self, options):
        chosen = chosen_options.read(options, OPTIONS, "myriad")
        self.device, self.threads = chosen["device"], max(1, chosen["threads"])
        self.compile_only = bool(options.get("compile_only", False))
        if self.device.split(".")[0] not in ("MYRIAD", "CPU"):
            raise faults.Unusable("device %r may silently run elsewhere; choose MYRIAD or CPU" % self.device)
        self.stick = self.device != "CPU"
        if self.stick and "threads" in options:
            raise faults.Unusable("threads are the processor's, a stick has none of its own; leave threads out")
        self.core = IECore()
        try:
            self.version = self.core.get_versions(self.device.split(".")[0])[self.device.split(".")[0]].build_number
        except (RuntimeError, KeyError) as error:
            raise faults.Unavailable("this OpenVINO cannot start %s: %s; %s" % (self.device, one_line(error), "install libusb-1.0"))
        if self.stick and not self.compile_only and not self._sticks():
            raise faults.Unavailable(NO_STICK)

    def describe(self):
        """Version, chip, firmware file; the USB speed is only known once the stick has booted, so a network's notes tell it."""
        details = [["device", self.device]]
        if not self.stick:
            model = self.core.get_metric("CPU", "FULL_DEVICE_NAME")
        elif self.compile_only:
            model = "Myriad X compiler, no stick"
        else:
            model = "Neural Compute Stick 2 (%s)" % self._sticks()[0]
        if self.stick:
            details += [["firmware", digest] for digest in _firmware()[:1]]
        return {"runtime_version": self.version, "model": model, "details": details}

    def snapshot(self):
        """The stick's temperature, once it has booted."""
        if not self.stick or self.compile_only:
            return {}
        try:
            return {"temperatures_c": [["stick", float(self.core.get_metric("MYRIAD", "DEVICE_THERMAL"))]]}
        except (RuntimeError, TypeError, ValueError):
            return {}  # it has not booted yet

    def load(self, onnx, wanted):
        """Read and compile for the device."""
        if self.compile_only:
            raise faults.Refused("without a stick networks are compiled, not run; plug one in, or ask only for the compilation")
        graph, network = self._read(onnx, wanted)
        kinds = [one.input_data.precision for one in network.input_info.values()]
        if kinds != ["FP32"] or len(network.outputs) != 1:
            told = (", ".join(kinds), len(network.outputs))
            raise faults.Refused("this runtime runs networks of one f32 input and one output, not of %s and %d outputs" % told)
        try:
            compiled = self.core.load_network(network, self.device, self._config(wanted))
        except RuntimeError as error:
            if "NC_ERROR" in str(error) or "not found" in str(error):
                raise faults.Unavailable("the stick does not answer (%s); plug it in again" % one_line(error))
            raise faults.Refused("OpenVINO cannot compile the model: %s" % one_line(error))
        return Model(self, compiled, network, graph, wanted)

    def compile(self, onnx, wanted):
        """The real compiler's schedule and blob for a Myriad X, whether or not a stick is there."""
        graph, network = self._read(onnx, wanted)
        with tempfile.TemporaryDirectory() as directory:
            self.core.set_config({"CACHE_DIR": directory}, "")
            dump = os.path.join(directory, "graph.dot")
            config = {"VPU_MYRIAD_PLATFORM": "VPU_MYRIAD_2480", "MYRIAD_DUMP_ALL_PASSES": "NO"}
            config["MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME"] = dump
            try:
                with quiet():
                    self.core.load_network(network, "MYRIAD", config)
            except RuntimeError as error:
                if ONLY_COMPILED not in str(error):
                    raise faults.Refused("the Myriad compiler cannot compile the model: %s; %s" % (one_line(error), INSTEAD))
            finally:
                self.core.set_config({"CACHE_DIR": ""}, "")
            with open(dump, errors="replace") as file:
                stages = myriad_graph.stages(file.read(), graph)
            blob = _only_blob(directory)
        return {"stages": stages, "blob_bytes": len(blob), "blob_digest": hashlib.sha256(blob).hexdigest()}

    def _read(self, onnx, wanted):
        precisions = ("f16", "f32", "default") if self.stick else ("f32", "bf16")
        if wanted["precision"] == "int8":
            raise faults.Refused("%s computes nothing in INT8 by this runtime; choose %s" % (self.device, precisions[0]))
        if wanted["precision"] not in precisions:
            raise faults.Refused("%s has no precision %r; choose one of %s" % (self.device, wanted["precision"], ", ".join(precisions)))
        try:
            graph = onnx_reader.read(onnx)  # 2022.3 accepts any bytes
            int8_nodes.check(graph, wanted["precision"])
            readable = onnx_hard_sigmoid.rewritten(onnx) if self.stick else onnx  # its compiler does not know HardSigmoid
            network = self.core.read_network(model=readable, weights=b"", init_from_buffer=True)
            self._rebatch(network, graph.batch_size(), wanted["batch_size"])
            supported = self.core.query_network(network, self.device.split(".")[0])
        except onnx_reader.NotOnnx as error:
            raise faults.Refused(str(error))
        except (RuntimeError, ValueError) as error:
            nodes = myriad_graph.unreadable(one_line(error), graph)
            if nodes:
                raise faults.Refused("%s does not support %s; %s" % (self.device, ", ".join(nodes), INSTEAD))
            raise faults.Refused("OpenVINO cannot read the model: %s; %s" % (one_line(error), INSTEAD))
        missing = myriad_graph.unsupported(network, supported, graph)
        if missing:
            raise faults.Refused("%s does not support %s; %s" % (self.device, ", ".join(missing), INSTEAD))
        return graph, network

    @staticmethod
    def _rebatch(network, batch, wanted):
        if batch == wanted:
            return
        if batch != 1 or len(network.input_info) != 1:
            raise faults.Refused(
                "the model is of batch size %d, not %d; ask for its own, or export it at that batch size" % (batch, wanted)
            )
        (name,) = network.input_info
        network.reshape({name: [wanted] + list(network.input_info[name].input_data.shape)[1:]})

    def _config(self, wanted):
        counters = "YES" if wanted["profile"] else "NO"
        if self.stick:
            config = {"PERF_COUNT": counters, "MYRIAD_PERF_REPORT_MODE": "MYRIAD_PER_STAGE"}
            return dict(config, MYRIAD_ENABLE_RECEIVING_TENSOR_TIME=counters)
        return {
            "PERF_COUNT": counters,
            "CPU_THREADS_NUM": str(self.threads),
            "CPU_BIND_THREAD": "YES",
            "CPU_THROUGHPUT_STREAMS": "1",
            "ENFORCE_BF16": "YES" if wanted["precision"] == "bf16" else "NO",
        }

    def _sticks(self):
        return [name for name in self.core.available_devices if name.startswith("MYRIAD")]


class Model:
    """A compiled network with one infer request whose input was set once."""

    def __init__(self, runtime, compiled, network, graph, wanted):
        self.runtime, self.compiled, self.graph, self.wanted = runtime, compiled, graph, wanted
        (self.input,), (self.output,) = list(network.input_info), list(network.outputs)
        self.shape = list(network.input_info[self.input].input_data.shape)
        self.request = compiled.requests[0]
        values = numpy.random.RandomState(0).standard_normal(self.shape).astype(numpy.float32)
        self.request.input_blobs[self.input].buffer[:] = values

    def first_inference(self):
        """Seconds of the first inference after load."""
        return timed_loop.time_once(self._run)

    def facts(self):
        """The stick computes in 16 bit whatever was asked; the processor as asked."""
        stick = self.runtime.stick
        return {
            "effective_precision": "f16" if stick else self.wanted["precision"],
            "threads": 1 if stick else self.runtime.threads,
            "streams": 1,
            "batch_size": self.shape[0],
            "notes": [["usb", _usb_speed()]] if stick else [],
        }

    def infer(self, timing):
        """Timed inferences on the host's clock, USB included; the calling thread only waits for a stick."""
        witness = not self.runtime.stick and self.runtime.threads == 1
        with self._watched():
            samples, facts = timed_loop.run(self.request.infer, timing, witness)
        if self.runtime.stick and self.wanted["profile"]:
            device_ms = sum(counter["real_time"] for counter in self.request.get_perf_counts().values()) / 1000.0
            facts["notes"] = [["sum of the stick's own stages, last inference", "%.3f ms" % device_ms]]
        return samples, facts

    def outputs(self, shape, values):
        """``(shape, bytes)`` of the float32 output for any number of images."""
        if list(shape[1:]) != self.shape[1:]:
            raise faults.Refused("the model takes images of %s, not %s" % (self.shape[1:], list(shape[1:])))
        images, found = numpy.frombuffer(values, dtype=numpy.float32).reshape(shape), []
        for start in range(0, len(images), self.shape[0]):
            part = images[start : start + self.shape[0]]
            self.request.input_blobs[self.input].buffer[: len(part)] = part
            self._run()
            found.append(numpy.array(self.request.output_blobs[self.output].buffer[: len(part)], dtype=numpy.float32))
        everything = numpy.concatenate(found)
        return everything.shape, everything.tobytes()

    def profile(self, inferences):
        """Times of nodes: of the stick's stages in the last inference, or the processor's means since compilation."""
        for _ in range(inferences):
            self._run()
        if self.runtime.stick:
            return myriad_graph.counters(self.request.get_perf_counts(), self.graph)
        return myriad_graph.executed(self.compiled.get_exec_graph_info(), self.graph)

    def unload(self):
        """Free the compiled network."""
        self.request = self.compiled = None

    def _run(self):
        with self._watched():
            self.request.infer()

    @contextlib.contextmanager
    def _watched(self):
        try:
            yield
        except RuntimeError as error:
            if not self.runtime.stick:
                raise
            raise faults.Unavailable("the stick stopped answering (%s); plug it in again" % one_line(error))


@contextlib.contextmanager
def quiet():
    """Without a stick the plugin polls USB for five seconds and may print a hundred thousand lines."""
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in [nowhere] + kept:
            os.close(descriptor)


def one_line(error):
    """A runtime's error without line breaks, cut to what a person reads."""
    return re.sub(r"\s+", " ", str(error)).strip()[:600]


def _only_blob(directory):
    (path,) = glob.glob(os.path.join(directory, "*.blob"))
    with open(path, "rb") as file:
        whole = file.read()
    return whole[whole.index(b"\x7felf") :] if b"\x7felf" in whole else whole  # the header before it names the file


def _firmware():
    import openvino

    places = [os.path.dirname(path) for path in list(openvino.__path__)]
    paths = [path for place in places for path in glob.glob(os.path.join(place, "openvino", "libs", "usb-ma2x8x.mvcmd"))]
    digests = []
    for path in sorted(paths):
        with open(path, "rb") as file:
            digests.append("usb-ma2x8x.mvcmd sha256 %s" % hashlib.sha256(file.read()).hexdigest()[:16])
    return digests


def _usb_speed():
    for place in glob.glob("/sys/bus/usb/devices/*"):
        if host_state.read(place + "/idVendor") == VENDOR and host_state.read(place + "/idProduct") == BOOTED:
            mbit_s = host_state.number(place + "/speed") or 0.0
            return "USB %d (%.0f Mbit/s)" % (3 if mbit_s >= 5000 else 2, mbit_s)
    return "unknown"
