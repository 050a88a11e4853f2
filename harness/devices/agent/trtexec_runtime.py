"""TensorRT on an NVIDIA board or card, driven through its own trtexec: build, timed run, separate profiled run."""

import array
import hashlib
import math
import os
import statistics
import sys
import time

import faults
import int8_nodes
import onnx_reader
import onnx_shapes
import power_mode
import tegra_state
import timed_loop
import trtexec_files
import trtexec_process

OLD_WORKSPACE_MIB = 512  # before 8.4 the default of 16 MiB excludes the fast tactics
LOTTERY_ITERATIONS = 100
STRONGLY_TYPED = (11, 0, 0)  # from this release on types come from the network alone


class Runtime:
    """options: ``trtexec`` (its path), ``builds`` (engines per network), ``workspace_mib``, ``timing_cache`` (a path, or empty for
    none), ``set_power_mode`` (see ``power_mode``; by default the board is left as it is)."""

    def __init__(self, options):
        self.tool = trtexec_process.Trtexec(options.get("trtexec"))
        self.builds = int(options.get("builds", 1))
        self.workspace_mib = int(options.get("workspace_mib", 0))
        self.directory, self.flags, self.release = self.tool.directory, self.tool.flags, self.tool.release
        self.cache = str(options.get("timing_cache", "~/.cache/espalier/tensorrt-%s.timing" % self.release_text()))
        self.engines = {}
        self.power = power_mode.PowerMode(str(options.get("set_power_mode", "")))

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
        arguments += ["--duration=%d" % math.ceil(duration_s), "--useSpinWait", "--noDataTransfers", "--exportTimes=" + path]
        self.tool.must(arguments + list(extra), while_running)
        times = trtexec_files.times_ms(_text(path), self.release, warm_up_ms)
        if len(times) < iterations:
            raise trtexec_files.Unreadable("trtexec timed %d inferences, %d were asked for" % (len(times), iterations))
        return times

    def _build(self, key, onnx, precision):
        path = os.path.join(self.directory, key + ".onnx")
        with open(path, "wb") as file:
            file.write(onnx)
        arguments = ["--onnx=" + path] + self._build_flags(precision)
        made = []
        for number in range(max(self.builds, 1)):
            engine = os.path.join(self.directory, "%s-%d.plan" % (key, number))
            rc, log = self.tool.run(arguments + ["--saveEngine=" + engine])
            if rc or not trtexec_files.passed(log) or not os.path.exists(engine):
                raise faults.Refused("TensorRT %s cannot build the model: %s" % (self.release_text(), trtexec_files.complaints(log)[:600]))
            made.append(engine)
        notes = trtexec_files.device_facts(log)
        if len(made) == 1:
            return made[0], notes
        medians = [statistics.median(self.times_ms(engine, LOTTERY_ITERATIONS, 0, 200)) for engine in made]
        chosen = sorted(range(len(made)), key=medians.__getitem__)[(len(made) - 1) // 2]
        told = "%d engines: %s ms; the middle one was measured" % (len(made), " ".join("%.6g" % median for median in medians))
        return made[chosen], notes + [["builds", told]]

    def _build_flags(self, precision):
        flags = []
        if precision not in ("f32", "f16", "int8"):
            raise faults.Refused("TensorRT has no precision %r here; choose one of f32, f16, int8" % precision)
        name = {"f32": None, "f16": "fp16", "int8": "int8"}[precision]
        if precision == "int8" and name not in self.flags and self.release and self.release >= STRONGLY_TYPED:
            name = None  # a quantised network says by itself what runs in INT8
        if name and name not in self.flags:
            told = (self.release_text(), name)
            if self.release and self.release >= STRONGLY_TYPED:
                why = "TensorRT %s has no --%s: it computes in what a file says, and ours say float or INT8; "
                raise faults.Refused((why + "measure with --precision=f32 or int8, or with a TensorRT before 11") % told)
            raise faults.Refused("trtexec of TensorRT %s has no --%s; measure with --precision=f32, or update TensorRT" % told)
        flags += ["--" + name] if name else []
        flags += ["--fp16"] if precision == "int8" and "fp16" in self.flags else []  # for what is not between INT8 operations
        if precision == "f32" and "noTF32" in self.flags:
            flags.append("--noTF32")  # 19-bit multiplications are no f32
        flags += ["--skipInference"] if "skipInference" in self.flags else ["--buildOnly"] if "buildOnly" in self.flags else []
        flags += ["--profilingVerbosity=detailed"] if "profilingVerbosity" in self.flags else []
        if "memPoolSize" in self.flags:
            flags += ["--memPoolSize=workspace:%d" % self.workspace_mib] if self.workspace_mib else []
        elif "workspace" in self.flags:
            flags.append("--workspace=%d" % (self.workspace_mib or OLD_WORKSPACE_MIB))
        if self.cache and "timingCacheFile" in self.flags and self.builds <= 1:  # with it, every build draws the same tactics
            cache = os.path.expanduser(self.cache)
            os.makedirs(os.path.dirname(cache), exist_ok=True)
            flags.append("--timingCacheFile=" + cache)
        return flags


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
        quantised = self.wanted["precision"] == int8_nodes.INT8
        self.first_s = self.runtime.times_ms(self.engine, 1, 0, 0, self._layer_flags() if quantised else ())[0] * 1e-3
        self.run_s = time.perf_counter() - begin
        return self.first_s

    def facts(self):
        """Precision as built: TensorRT may keep single layers wider; of a quantised network it is read back from the engine."""
        effective, notes = self.wanted["precision"], []
        if effective == int8_nodes.INT8:
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
            if "idleTime" not in self.runtime.flags:
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
        facts, precisions = trtexec_files.layer_facts(told), trtexec_files.layer_precisions(told)
        if not precisions:
            return self.wanted["precision"], [[int8_nodes.NOTE, "not told by TensorRT %s" % self.runtime.release_text()]]
        ran = {}
        for name, precision in precisions.items():
            for node in onnx_reader.node_names(trtexec_files.sources(name, facts.get(name, ("", []))[1]), self.graph):
                ran[node] = precision
        return int8_nodes.told(self.graph, self.shape[0], ran)

    def unload(self):
        """The engine stays for this session: a profiled load of the same network uses it again."""
        for path in (self.profile_path, self.layers_path):
            if os.path.exists(path):
                os.remove(path)

    def _profile_flags(self):
        return ["--dumpProfile", "--exportProfile=" + self.profile_path] + self._layer_flags()

    def _layer_flags(self):
        if "exportLayerInfo" not in self.runtime.flags:
            return []
        return ["--exportLayerInfo=" + self.layers_path, "--profilingVerbosity=detailed"]

    def _answer(self, batch):
        images, answer = os.path.join(self.runtime.directory, "images.bin"), os.path.join(self.runtime.directory, "answer.json")
        with open(images, "wb") as file:
            file.write(batch)
        arguments = ["--loadEngine=" + self.engine, "--loadInputs=%s:%s" % (self.graph.inputs[0][0], images)]
        self.runtime.tool.must(arguments + ["--exportOutput=" + answer, "--iterations=1", "--duration=0", "--warmUp=0"])
        dims, numbers = trtexec_files.output_values(_text(answer))
        expected = onnx_shapes.infer(self.graph, self.shape[0]).get(self.graph.outputs[0][0], dims)
        if len(numbers) % self.shape[0] or dims != expected:
            raise trtexec_files.Unreadable("the output has dimensions %s, not %s" % (dims, expected))
        return dims, numbers


def _text(path):
    with open(path, errors="replace") as file:
        return file.read()
