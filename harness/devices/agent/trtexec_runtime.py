"""TensorRT on an NVIDIA board or card, driven through its own trtexec: build, timed run, separate profiled run."""

import array
import hashlib
import math
import os
import statistics
import sys
import time

import chosen_options
import faults
import int8_nodes
import onnx_reader
import onnx_shapes
import power_mode
import tegra_state
import timed_loop
import trtexec_files
import trtexec_flags
import trtexec_process

LOTTERY_ITERATIONS = 100
OPTIONS = {  # name to (default, what to give)
    "trtexec": ("", "the path of trtexec on the board"),
    "builds": (1, "how many engines of each network, such as 3"),
    "workspace_mib": (0, "mebibytes for the builder, or 0 for TensorRT's own limit"),
    "timing_cache": ("~/.cache/espalier/tensorrt-%s.timing", "a file's path on the board, or '' for none"),
    "cuda_graph": (False, "true to launch an inference as one CUDA graph"),
    "dla_core": (-1, "the number of a DLA core, from 0"),
    "allow_gpu_fallback": (False, "true where layers that DLA cannot run may run on the GPU"),
    "flags": ((), "a list of further flags of trtexec, such as ['--sparsity=enable']"),
    "set_power_mode": ("", "nvpmodel's id, such as '0', or '0+clocks'"),
}


class Runtime:
    """options: those of ``OPTIONS``."""

    def __init__(self, options):
        chosen = chosen_options.read(options, OPTIONS, "trtexec")
        self.tool = trtexec_process.Trtexec(chosen["trtexec"])
        self.builds = chosen["builds"]
        self.directory, self.release = self.tool.directory, self.tool.release
        self.flags = trtexec_flags.Flags(chosen, self.tool.flags, self.release, self.release_text())
        self.cache = chosen["timing_cache"].replace("%s", self.release_text())
        self.engines = {}
        self.power = power_mode.PowerMode(chosen["set_power_mode"])

    def rest(self):
        """Leave the board as it was found."""
        self.power.put_back()

    def close(self):
        """Remove the engines of this session; the timing cache stays."""
        self.tool.close()

    def release_text(self):
        """``8.5.2``, or ``unknown``."""
        return ".".join(str(part) for part in self.release) if self.release else "unknown"

    def describe(self):
        """TensorRT's version, the board or card, its system software."""
        details = [["trtexec", self.tool.path]] + tegra_state.software() + self.power.told
        rail = tegra_state.total_rail()
        details += [["energy meter", "ina3221 " + rail]] if rail else []
        details += self.flags.settings()
        return {"runtime_version": self.release_text(), "model": tegra_state.model() or "unknown NVIDIA device", "details": details}

    def snapshot(self):
        """Power mode, clocks, rails, throttling."""
        return tegra_state.snapshot()

    def load(self, onnx, wanted):
        """Build an engine, or several; an engine that this session has built of the same bytes is used again."""
        try:
            graph = onnx_reader.read(onnx)
        except onnx_reader.NotOnnx as error:
            raise faults.Refused(str(error))
        if wanted["precision"] != trtexec_files.BEST:
            int8_nodes.check(graph, wanted["precision"])
        if graph.inputs and graph.batch_size() != wanted["batch_size"]:
            told = (graph.batch_size(), wanted["batch_size"])
            raise faults.Refused("the model is of batch size %d, TensorRT cannot make it %d; export it at that batch size" % told)
        key = hashlib.sha256(onnx).hexdigest()[:16] + "-" + wanted["precision"]
        if key not in self.engines:
            self.engines[key] = self._build(key, onnx, wanted["precision"])
        engine, notes = self.engines[key]
        return Model(self, engine, graph, wanted, notes)

    def times_ms(self, engine, iterations, duration_s, warm_up_ms, extra=(), while_running=None):
        """Latencies in ms of one timed run: at least ``iterations`` and ``duration_s``."""
        path = os.path.join(self.directory, "times.json")
        arguments = ["--loadEngine=" + engine, "--warmUp=%d" % warm_up_ms, "--iterations=%d" % iterations]
        arguments += ["--duration=%d" % math.ceil(duration_s), "--exportTimes=" + path]
        self.tool.must(arguments + self.flags.of_running() + list(extra), while_running)
        times = trtexec_files.times_ms(_text(path), self.release, warm_up_ms)
        if len(times) < iterations:
            raise trtexec_files.Unreadable("trtexec timed %d inferences, %d were asked for" % (len(times), iterations))
        return times

    def _build(self, key, onnx, precision):
        path = os.path.join(self.directory, key + ".onnx")
        with open(path, "wb") as file:
            file.write(onnx)
        arguments = ["--onnx=" + path] + self.flags.of_building(precision, self._timing_cache())
        made = []
        for number in range(max(self.builds, 1)):
            engine = os.path.join(self.directory, "%s-%d.plan" % (key, number))
            rc, log = self.tool.run(arguments + ["--saveEngine=" + engine])
            if rc or not trtexec_files.passed(log) or not os.path.exists(engine):
                raise trtexec_flags.refused(self.release_text(), log)
            made.append(engine)
        notes = trtexec_files.device_facts(log)
        if len(made) == 1:
            return made[0], notes
        medians = [statistics.median(self.times_ms(engine, LOTTERY_ITERATIONS, 0, 200)) for engine in made]
        chosen = sorted(range(len(made)), key=medians.__getitem__)[(len(made) - 1) // 2]
        told = "%d engines: %s ms; the middle one was measured" % (len(made), " ".join("%.6g" % median for median in medians))
        return made[chosen], notes + [["builds", told]]

    def _timing_cache(self):
        """The path, its folder made; empty for none, and for several builds, which would all draw the same tactics with it."""
        if not self.cache or self.builds > 1:
            return ""
        cache = os.path.expanduser(self.cache)
        os.makedirs(os.path.dirname(cache) or ".", exist_ok=True)
        return cache


class Model:
    """An engine on disk; every request is a run of trtexec on it."""

    def __init__(self, runtime, engine, graph, wanted, notes):
        self.runtime, self.engine, self.graph, self.wanted, self.notes = runtime, engine, graph, wanted, notes
        self.shape = graph.leading()
        self.profile_path = os.path.join(runtime.directory, "profile.json")
        self.layers_path = os.path.join(runtime.directory, "layers.json")

    def first_inference(self):
        """Seconds of the first inference of a run without warm-up."""
        begin = time.perf_counter()
        mixed = self.wanted["precision"] in (int8_nodes.INT8, trtexec_files.BEST)
        self.first_s = self.runtime.times_ms(self.engine, 1, 0, 0, self._layer_flags() if mixed else ())[0] * 1e-3
        self.run_s = time.perf_counter() - begin
        return self.first_s

    def facts(self):
        """Precision as built: TensorRT may keep single layers wider; of a quantised network it is read back from the engine."""
        effective, notes = self.wanted["precision"], []
        if effective in (int8_nodes.INT8, trtexec_files.BEST):
            effective, notes = self._effective()
        return {
            "effective_precision": effective,
            "threads": 0,
            "streams": 1,
            "batch_size": self.graph.batch_size(),
            "peak_memory_bytes": None,
            "run_s": self.run_s,
            "notes": self.notes + notes,
        }

    def infer(self, timing):
        """One timed run; with profiling on it is a profiled run, whose times are longer."""
        warm_up_ms = int(max(timing["warmup_s"], timing["warmup_rounds"] * self.first_s) * 1000)
        rail, readings = tegra_state.total_rail(), []

        def read_rail():
            watts = dict(tegra_state.rails_w()).get(rail)
            if watts is not None:
                readings.append((time.perf_counter(), watts))

        extra = self._profile_flags() if self.wanted["profile"] else []
        if timing["pace_s"]:
            if "idleTime" not in self.runtime.tool.flags:
                raise faults.Refused("trtexec of TensorRT %s cannot pace inferences; leave --pace out" % self.runtime.release_text())
            extra.append("--idleTime=%d" % max(0, round((timing["pace_s"] - self.first_s) * 1000)))
        times = self.runtime.times_ms(self.engine, timing["rounds"], timing["min_s"], warm_up_ms, extra, read_rail if rail else None)
        samples = timed_loop.Samples()
        samples.wall.extend(max(1, int(round(one * 1e6))) for one in times)
        facts = {"warmup_s": warm_up_ms / 1000.0, "warmup_inferences": 0, "steady": True}
        seconds = max(sum(times) * 1e-3, len(times) * timing["pace_s"])  # between two paced inferences the board draws, too
        spent_j = tegra_state.energy_j(readings, readings[-1][0], seconds) if readings else None
        facts.update({} if spent_j is None else {"energy_j": spent_j})
        return samples, facts

    def outputs(self, shape, values):
        """Outputs by ``--loadInputs`` and ``--exportOutput``, one run per batch; the last batch is filled up with its first image."""
        if len(self.graph.inputs) != 1:
            raise faults.Refused("outputs are asked for pictures alone, the model takes %d inputs" % len(self.graph.inputs))
        if list(shape[1:]) != self.shape[1:]:
            raise faults.Refused("the model takes images of %s, not %s" % (self.shape[1:], list(shape[1:])))
        if self.wanted["precision"] == trtexec_files.BEST and not int8_nodes.is_quantised(self.graph):
            raise faults.Refused("trtexec --best makes up the scales of a network in float, its answers mean nothing; ask for f16")
        image_bytes, batch = len(values) // shape[0], self.shape[0]
        answers, found = array.array("f"), 0
        for start in range(0, shape[0], batch):
            part = values[start * image_bytes : (start + batch) * image_bytes]
            wanted = len(part) // image_bytes
            dims, numbers = self._answer(part + part[:image_bytes] * (batch - wanted))
            answers.extend(numbers[: wanted * (len(numbers) // batch)])
            found += wanted
        if sys.byteorder != "little":
            answers.byteswap()
        return [found] + dims[1:], answers.tobytes()

    def profile(self, inferences):
        """Times of layers in profiled runs, with what the engine's own records say of them."""
        if inferences or not os.path.exists(self.profile_path):
            self.runtime.times_ms(self.engine, max(inferences, trtexec_files.MIN_PROFILED), 0, 200, self._profile_flags())
        count, rows = trtexec_files.profile_rows(_text(self.profile_path))
        trtexec_files.enough_profiled(count)
        told = _text(self.layers_path) if os.path.exists(self.layers_path) else ""
        layers, precisions = trtexec_files.layer_facts(told), trtexec_files.layer_precisions(told)
        nodes = []
        for name, milliseconds in rows:
            kind, origins = layers.get(name, ("", []))
            origins = onnx_reader.node_names(trtexec_files.sources(name, origins), self.graph)
            kind = kind or ("Reformat" if trtexec_files.is_copy(name) else "")
            ran = precisions.get(name, "")
            nodes.append({"node": name, "kind": kind, "seconds": milliseconds * 1e-3, "sources": origins, "precision": ran})
        return nodes

    def _effective(self):
        """What the engine's layers compute in, and how many in INT8; as asked, and said so, where the release does not tell."""
        told = _text(self.layers_path) if os.path.exists(self.layers_path) else ""
        return trtexec_files.effective(told, self.graph, self.shape[0], self.wanted["precision"], self.runtime.release_text())

    def unload(self):
        """The engine stays for this session: a profiled load of the same network uses it again."""
        for path in (self.profile_path, self.layers_path):
            if os.path.exists(path):
                os.remove(path)

    def _profile_flags(self):
        return ["--dumpProfile", "--exportProfile=" + self.profile_path] + self._layer_flags()

    def _layer_flags(self):
        if "exportLayerInfo" not in self.runtime.tool.flags:
            return []
        return ["--exportLayerInfo=" + self.layers_path, "--profilingVerbosity=detailed"]

    def _answer(self, batch):
        images, answer = os.path.join(self.runtime.directory, "images.bin"), os.path.join(self.runtime.directory, "answer.json")
        with open(images, "wb") as file:
            file.write(batch)
        arguments = ["--loadEngine=" + self.engine, "--loadInputs=%s:%s" % (self.graph.inputs[0][0], images)]
        arguments += ["--exportOutput=" + answer, "--iterations=1", "--duration=0", "--warmUp=0"]
        dla = [word for word in self.runtime.flags.of_running() if word.startswith("--useDLACore")]
        self.runtime.tool.must(arguments + dla)
        dims, numbers = trtexec_files.output_values(_text(answer))
        expected = onnx_shapes.infer(self.graph, self.shape[0]).get(self.graph.outputs[0][0], dims)
        if len(numbers) % self.shape[0] or dims != expected:
            raise trtexec_files.Unreadable("the output has dimensions %s, not %s" % (dims, expected))
        return dims, numbers


def _text(path):
    with open(path, errors="replace") as file:
        return file.read()
