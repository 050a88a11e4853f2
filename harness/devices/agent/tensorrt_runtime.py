"""TensorRT on an NVIDIA board or card through its own Python package: engines, CUDA events, layers, answers; no program is started."""

import array
import statistics
import sys
import time

import chosen_options
import engine_store
import faults
import int8_nodes
import libcudart
import onnx_reader
import onnx_shapes
import power_mode
import rail_meter
import tegra_state
import tensorrt_builder
import tensorrt_context
import tensorrt_package
import timed_loop
import trtexec_files

LOTTERY_INFERENCES = 100
PROFILED_RUNS = 5  # in which a load's profiled inferences are told, each by its median
EVENTS, HOST, BUILT = "events", "host", "built"
OPTIONS = {  # name to (default, what to give)
    "builds": (1, "how many engines of each network, such as 3"),
    "workspace_mib": (0, "mebibytes for the builder, or 0 for TensorRT's own limit"),
    "engine_cache": ("~/.cache/espalier/tensorrt", "a folder on the board, or '' to keep no engines and no timing cache"),
    "timing_cache": (True, "true, or false to time every tactic again"),
    "calibration_cache": ("", "the path on the board of a cache that a calibrator has written, for networks in float at int8"),
    "dla_core": (-1, "the number of a DLA core, from 0"),
    "allow_gpu_fallback": (False, "true where layers that DLA cannot run may run on the GPU"),
    "cuda_graph": (False, "true to launch an inference as one CUDA graph"),
    "clock": (EVENTS, "'events' for the GPU's own time of an inference, or 'host' for the time until the program knows its end"),
    "cudart": ("", "the path on the board of CUDA's libcudart.so"),
    "set_power_mode": ("", "nvpmodel's id, such as '0', or '0+clocks'"),
}
SETTINGS = ("dla_core", "allow_gpu_fallback", "cuda_graph", "clock", "workspace_mib")  # that a comparison must share


class Runtime:
    """options: those of ``OPTIONS``."""

    def __init__(self, options):
        if "trtexec" in options:
            raise faults.Unusable("option trtexec is of the runtime that drives it; write runtime = 'trtexec', or leave the option out")
        self.chosen = chosen_options.read(options, OPTIONS, "tensorrt")
        if self.chosen["clock"] not in (EVENTS, HOST):
            raise faults.Unusable("option clock = %r is none; give %s" % (self.chosen["clock"], OPTIONS["clock"][1]))
        self.release = tensorrt_package.release()
        self.cuda = libcudart.Cuda(self.chosen["cudart"])
        self.model, self.capability = tegra_state.model() or "unknown NVIDIA device", self.cuda.capability()
        self.board = "%s, %s" % (self.model, self.capability)
        self.store = engine_store.Store(self.chosen["engine_cache"])
        self.built = {}
        self.meter = rail_meter.here()
        self.power = power_mode.PowerMode(self.chosen["set_power_mode"])

    def rest(self):
        """Leave the board as it was found."""
        self.power.put_back()

    def describe(self):
        """TensorRT's version, the board or card, CUDA, what was set."""
        details = [["libcudart", self.cuda.path], ["cuda", "%d, driver %d" % (self.cuda.version, self.cuda.driver)]]
        details += [["compute capability", self.capability], ["clock", self.chosen["clock"]]] + tegra_state.software() + self.power.told
        details += [["energy meter", self.meter.name]] if self.meter else []
        details += [["set: " + name, str(self.chosen[name])] for name in SETTINGS if self.chosen[name] != OPTIONS[name][0]]
        return {"runtime_version": tensorrt_package.version(), "model": self.model, "details": details}

    def snapshot(self):
        """Power mode, clocks, rails, throttling."""
        return tegra_state.snapshot()

    @tensorrt_package.guarded("load the model")
    def load(self, onnx, wanted):
        """Build an engine, or take the one kept of the same bytes, options, release and GPU."""
        try:
            graph = onnx_reader.read(onnx)
        except onnx_reader.NotOnnx as error:
            raise faults.Refused(str(error))
        recipe = tensorrt_builder.Recipe(self.chosen, wanted["precision"], self.release)
        if wanted["precision"] != "best" and not (recipe.calibration and wanted["precision"] == int8_nodes.INT8):
            int8_nodes.check(graph, wanted["precision"])
        if graph.inputs and graph.batch_size() != wanted["batch_size"]:
            told = (graph.batch_size(), wanted["batch_size"])
            raise faults.Refused("the model is of batch size %d, TensorRT cannot make it %d; export it at that batch size" % told)
        key = recipe.digest(onnx, tensorrt_package.version(), self.board, self.cuda.driver)
        plan, notes = self._engine(key, onnx, recipe, graph)
        try:
            execution = self._execution(plan, wanted["profile"])
        except tensorrt_context.Unloadable:
            del self.built[key]
            self.store.drop_engine(key)
            if notes[0][1].startswith(BUILT):
                raise
            plan, notes = self._engine(key, onnx, recipe, graph)  # what was kept is of a release or a driver that is no longer here
            execution = self._execution(plan, wanted["profile"])
        return Model(self, execution, graph, wanted, notes)

    def _engine(self, key, onnx, recipe, graph):
        if key in self.built:
            return self.built[key]
        kept = self.store.engine(key) if self.chosen["builds"] <= 1 else None
        if kept is not None:
            self.built[key] = kept, [["engine", "kept on the board, %s" % key[:16]]]
            return self.built[key]
        begin, made = time.perf_counter(), []
        for _ in range(max(self.chosen["builds"], 1)):
            made.append(self._build(onnx, recipe, graph))
        plan, notes = made[0] if len(made) == 1 else self._middle(made)
        told = BUILT + " in %.1f s, %d bytes, %s" % (time.perf_counter() - begin, len(plan), key[:16])
        why_not = self.store.keep_engine(key, plan) if len(made) == 1 else ""
        notes = [["engine", told]] + notes + ([["engine", "not kept: " + why_not]] if why_not else [])
        self.built[key] = plan, notes
        return self.built[key]

    def _build(self, onnx, recipe, graph):
        """One engine and its notes; with a timing cache every build draws the same tactics, so that several go without."""
        name = "%s-%s.timing" % (tensorrt_package.version(), "".join(letter if letter.isalnum() else "-" for letter in self.board))
        keeps = self.chosen["timing_cache"] and self.chosen["builds"] <= 1 and bool(self.store.folder)
        plan, timing, notes = tensorrt_builder.build(onnx, recipe, graph, self.store.timing(name) if keeps else None)
        why_not = self.store.keep_timing(name, timing) if keeps and timing else ""
        return plan, notes + ([["timing cache", "not kept: " + why_not]] if why_not else [])

    def _middle(self, made):
        medians = []
        for plan, _ in made:
            execution = self._execution(plan, False)
            medians.append(statistics.median(execution.run() for _ in range(LOTTERY_INFERENCES)))
            execution.close()
        chosen = sorted(range(len(made)), key=medians.__getitem__)[(len(made) - 1) // 2]
        told = "%d engines: %s ms; the middle one was measured" % (len(made), " ".join("%.6g" % median for median in medians))
        return made[chosen][0], made[chosen][1] + [["builds", told]]

    def _execution(self, plan, profiled):
        return tensorrt_context.Execution(self.cuda, plan, profiled, self.chosen["cuda_graph"], self.chosen["dla_core"])


class Model:
    """An engine that is loaded; every request runs it in this process."""

    def __init__(self, runtime, execution, graph, wanted, notes):
        self.runtime, self.execution, self.graph, self.wanted, self.notes = runtime, execution, graph, wanted, notes
        self.shape = graph.leading()
        self.device_ms = []

    def first_inference(self):
        """Seconds of the first inference after load, on the GPU."""
        return self.execution.first_ms * 1e-3

    @tensorrt_package.guarded("tell of the engine")
    def facts(self):
        """Precision as built, read back from the engine where more than one was allowed; copies; memory of the device."""
        effective, notes = self.wanted["precision"], []
        if effective in (int8_nodes.INT8, "best"):
            effective, notes = self._effective()
        return {
            "effective_precision": effective,
            "threads": 0,
            "streams": 1,
            "batch_size": self.graph.batch_size(),
            "peak_memory_bytes": self.execution.used_bytes,
            "notes": self.notes + notes + self.execution.copies() + [["memory", "%d bytes of the device's" % self.execution.used_bytes]],
        }

    @tensorrt_package.guarded("run the model")
    def infer(self, timing):
        """Timed inferences, each by events on the GPU and by the host's clock; the other clock than the chosen one is a note."""
        del self.device_ms[:]
        samples, facts = timed_loop.run(self._once, timing, witness=False, meter=self.runtime.meter)
        device = self.device_ms[-len(samples.wall) :]
        host_ms = [one * 1e-6 for one in samples.wall]
        by_events = self.runtime.chosen["clock"] == EVENTS
        if by_events:
            samples.wall = array.array("q", [max(1, int(round(one * 1e6))) for one in device])
        other = ["host clock", host_ms] if by_events else ["events", device]
        facts["notes"] = [[other[0], _quantiles(other[1])]]
        return samples, facts

    @tensorrt_package.guarded("answer")
    def outputs(self, shape, values):
        """Answers to any number of images; the last batch is filled up with its first image. Nothing is written to a file."""
        inputs = self.execution.inputs()
        if len(inputs) != 1 or inputs[0].kind != "FLOAT":
            told = ", ".join(tensor.told() for tensor in inputs)
            raise faults.Refused("outputs are asked for pictures in f32 alone, the model takes %s" % told)
        if list(shape[1:]) != inputs[0].dims[1:]:
            raise faults.Refused("the model takes images of %s, not %s; give it such" % (inputs[0].dims[1:], list(shape[1:])))
        image_bytes, batch = len(values) // shape[0], inputs[0].dims[0]
        answer = self.execution.output(self.graph.outputs[0][0])
        self._check(answer, batch)
        answers = array.array("f")
        for start in range(0, shape[0], batch):
            part = bytes(values[start * image_bytes : (start + batch) * image_bytes])
            wanted = len(part) // image_bytes
            numbers = self._answer(inputs[0], part + part[:image_bytes] * (batch - wanted), answer)
            answers.extend(numbers[: wanted * (len(numbers) // batch)])
        if sys.byteorder != "little":
            answers.byteswap()
        return [shape[0]] + answer.dims[1:], answers.tobytes()

    @tensorrt_package.guarded("tell the layers' times")
    def profile(self, inferences):
        """Times of layers by TensorRT's profiler, in several runs, with what the engine tells of its layers."""
        if self.execution.times is None:
            raise faults.Refused("this load tells no times of layers; load it again to be profiled")
        for _ in range(max(inferences, trtexec_files.MIN_PROFILED - len(self.execution.times.inferences), 0)):
            self.execution.run()
        told = self.execution.layer_information()
        layers, precisions = trtexec_files.layer_facts(told), trtexec_files.layer_precisions(told)
        nodes = []
        for name, times in _by_layer(self.execution.times.inferences):
            kind, origins = layers.get(name, ("", []))
            kind = kind or ("Reformat" if trtexec_files.is_copy(name) else "")
            origins = onnx_reader.node_names(trtexec_files.sources(name, origins), self.graph)
            runs = [statistics.median(part) * 1e-3 for part in _parts(times)]
            node = {"node": name, "kind": kind, "seconds": statistics.median(runs), "runs": runs, "sources": origins}
            nodes.append(dict(node, precision=precisions.get(name, "")))
        return nodes

    def unload(self):
        """Free the engine and its buffers; its bytes stay for another load in this session."""
        self.execution.close()

    def _once(self):
        self.device_ms.append(self.execution.run())

    def _answer(self, tensor, part, answer):
        tensorrt_context.ctypes.memmove(tensor.host, part, tensor.bytes)
        self.execution.copy_in()
        self.execution.run()
        self.execution.copy_out(answer)
        return answer.values()

    def _check(self, answer, batch):
        expected = onnx_shapes.infer(self.graph, batch).get(self.graph.outputs[0][0], answer.dims)
        if answer.dims != expected or not answer.dims or answer.dims[0] != batch:
            told = answer.name, answer.dims, expected
            raise faults.Refused(
                "the engine's output %s has dimensions %s, the model's %s; remove the engine_cache folder and build again" % told
            )

    def _effective(self):
        """What the engine's layers compute in; as asked, and said so, where the release does not tell."""
        told = self.execution.layer_information()
        return trtexec_files.effective(told, self.graph, self.shape[0], self.wanted["precision"], tensorrt_package.version())


def _by_layer(inferences):
    """``(layer, its milliseconds in every inference)`` in the order in which they ran; layers of one name stay apart."""
    rows, order = {}, []
    for one in inferences:
        seen = {}
        for name, milliseconds in one:
            key = name, seen.get(name, 0)
            seen[name] = key[1] + 1
            if key not in rows:
                rows[key] = []
                order.append(key)
            rows[key].append(milliseconds)
    return [(key[0], rows[key]) for key in order]


def _parts(times):
    """Runs of inferences one after the other, about equally long."""
    count = min(PROFILED_RUNS, len(times))
    return [times[len(times) * part // count : len(times) * (part + 1) // count] for part in range(count)]


def _quantiles(milliseconds):
    ordered = sorted(milliseconds)
    told = statistics.median(ordered), ordered[len(ordered) * 9 // 10], ordered[0], len(ordered)
    return "median %.6g ms, p90 %.6g, least %.6g, of %d" % told
