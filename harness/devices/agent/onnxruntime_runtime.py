"""ONNX Runtime on a processor of the agent's machine, or through another of its execution providers.

What a provider does not take, ONNX Runtime runs on the CPU without a word; here that is refused, unless a table allows it. What really ran
where, and in what, is read off a profiled inference.
"""

import os

import chosen_options
import faults
import host_state
import int8_nodes
import meters
import onnx_reader
import timed_loop

try:
    import numpy
    import onnxruntime
    import onnxruntime_profile
except ImportError as error:
    raise faults.Unavailable("this interpreter cannot import onnxruntime (%s); install it: pip install onnxruntime" % error)

PRECISIONS = ("f32", "int8")  # of a file: what it says is what runs
OPTIONS = {  # (what it is by default, what to give, the least of a number)
    "provider": ("CPU", "the name of a provider, for example 'CPU'"),
    "threads": (1, "a count of threads, for example 1", 1),
    "nice": (0, "a niceness from -20 to 19, for example 0", -20),
    "graph_optimization": ("all", "'off', 'basic', 'extended' or 'all'"),
    "allow_cpu_nodes": (False, "true or false"),
}
LEVELS = {"off": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}
SUFFIX, CPU = "ExecutionProvider", "CPUExecutionProvider"
QUIET = 3  # errors alone: what the optimiser warns of tells a person nothing to do


class Runtime:
    """options: ``provider`` (CPU, CUDA, Tensorrt, OpenVINO, CoreML, Xnnpack, ...), ``threads``, ``nice``, ``graph_optimization`` (off,
    basic, extended, all) and ``allow_cpu_nodes``: whether nodes that the provider does not take may run on the CPU.
    """

    def __init__(self, options):
        chosen = chosen_options.read(options, OPTIONS, "onnxruntime")
        self.threads, self.level, self.allow_cpu_nodes = chosen["threads"], chosen["graph_optimization"], chosen["allow_cpu_nodes"]
        if self.level not in LEVELS:
            raise faults.Unusable("graph_optimization = %r is none of %s" % (self.level, ", ".join(LEVELS)))
        self.provider = _provider(chosen["provider"])
        self.nice = host_state.favour(chosen["nice"])
        self.meter = meters.packages() if self.provider == CPU else None

    def describe(self):
        """Runtime, version, chip."""
        details = [["provider", self.provider], ["nice", str(self.nice)]]
        details += [["set: provider", self.provider]] if self.provider != CPU else []
        details += [["set: graph_optimization", self.level]] if self.level != OPTIONS["graph_optimization"][0] else []
        details += [["set: allow_cpu_nodes", "True"]] if self.allow_cpu_nodes and self.provider != CPU else []
        details += [["energy meter", self.meter.name]] if self.meter else []
        return {"runtime_version": onnxruntime.__version__, "model": _chip(), "details": details}

    def load(self, onnx, wanted):
        """Read and optimise; Refused when ONNX Runtime cannot, or when a part of the network ran elsewhere than it was asked to."""
        if wanted["precision"] not in PRECISIONS:
            raise faults.Refused(
                "ONNX Runtime runs a file in the types that it holds, so not in %r; choose one of f32, int8" % wanted["precision"]
            )
        try:
            graph = onnx_reader.read(onnx)
        except onnx_reader.NotOnnx as error:
            raise faults.Refused("ONNX Runtime cannot load the model: %s" % error)
        int8_nodes.check(graph, wanted["precision"])
        if graph.batch_size() != wanted["batch_size"]:
            raise faults.Refused(
                "the model is of batch size %d, not %d; export it at that batch size" % (graph.batch_size(), wanted["batch_size"])
            )
        ran = {}
        if self.provider != CPU or int8_nodes.is_quantised(graph):
            ran = self._look(onnx, graph)
        return Model(self, onnx, graph, bool(wanted["profile"]), ran)

    def session(self, onnx, profile=""):
        """A session of this device's settings; with ``profile``, the beginning of a path, it notes every node's times there."""
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = self.threads, 1
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[self.level])
        settings.log_severity_level = QUIET
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if profile:
            settings.enable_profiling, settings.profile_file_prefix = True, profile
        named = [self.provider] + ([CPU] if self.provider != CPU else [])  # who took what is looked at, and refused by name
        try:
            return onnxruntime.InferenceSession(onnx, settings, providers=named)
        except Exception as error:  # its errors share no class of their own
            raise faults.Refused("ONNX Runtime cannot load the model: %s" % " ".join(str(error).split())[:600])

    def _look(self, onnx, graph):
        """ONNX node to what it ran in; Refused where nodes ran elsewhere."""
        nodes = onnxruntime_profile.Profiled(self, onnx, graph)
        nodes.run()
        found = nodes.end()
        elsewhere = sorted(node["node"] for node in found if node["provider"] != self.provider)
        if elsewhere and not self.allow_cpu_nodes:
            raise faults.Refused(
                "%d nodes did not run on %s but on another provider: %s; allow it with allow_cpu_nodes = true, or take another provider"
                % (len(elsewhere), self.provider, ", ".join(elsewhere[:5]))
            )
        return {name: node["precision"] for node in found for name in node["sources"]}


class Model:
    """A session whose inputs and outputs were bound once. ran: ONNX node to what it ran in, where that was looked at."""

    def __init__(self, runtime, onnx, graph, profile, ran):
        self.runtime, self.onnx, self.graph, self.ran = runtime, onnx, graph, ran
        self.profiled = onnxruntime_profile.Profiled(runtime, onnx, graph) if profile else None
        self.session = self.profiled.session if self.profiled else runtime.session(onnx)
        self.infer_once, self.feeds, self.binding = onnxruntime_profile.bound(self.session)
        self.batch = graph.batch_size()

    def first_inference(self):
        """Seconds of the first inference after load."""
        return timed_loop.time_once(self.infer_once)

    def facts(self):
        """What runs: the file's own types, or of a quantised one what most of its work ran in."""
        effective, notes = "f32", []
        if int8_nodes.is_quantised(self.graph):
            effective, notes = int8_nodes.told(self.graph, self.batch, self.ran)
        if not self._takes_pictures():
            notes = notes + [["inputs", "; ".join(_told(name, feed) for name, feed in self.feeds)]]
        facts = {"effective_precision": effective, "threads": self.runtime.threads, "streams": 1, "batch_size": self.batch}
        return dict(facts, notes=notes)

    def infer(self, timing):
        """Timed inferences; with one thread they run on the calling one, so its processor time is a witness."""
        witness = self.runtime.threads == 1 and self.runtime.provider == CPU
        return timed_loop.run(self.infer_once, timing, witness=witness, meter=self.runtime.meter)

    def outputs(self, shape, values):
        """``(shape, bytes)`` of the float32 output for any number of images."""
        if not self._takes_pictures():
            told = ", ".join(_told(name, feed) for name, feed in self.feeds)
            raise faults.Refused("outputs are asked for pictures in f32 alone, the model takes %s" % told)
        images = numpy.frombuffer(values, dtype=numpy.float32).reshape(shape)
        ((name, feed),) = self.feeds
        if tuple(shape[1:]) != feed.shape[1:]:
            raise faults.Refused("the model takes images of %s, not %s" % (list(feed.shape[1:]), list(shape[1:])))
        found = []
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            padded = numpy.zeros(feed.shape, numpy.float32)
            padded[: len(part)] = part
            found.append(numpy.asarray(self.session.run(None, {name: padded})[0][: len(part)], dtype=numpy.float32))
        everything = numpy.concatenate(found)
        return everything.shape, everything.tobytes()

    def profile(self, inferences):
        """Mean time of every node over all inferences since it was loaded, at least ``inferences``; asked for again, over those alone.

        ONNX Runtime notes whole microseconds, so short nodes need many inferences.
        """
        if self.profiled is None:
            self.profiled = onnxruntime_profile.Profiled(self.runtime, self.onnx, self.graph)
        profiled, self.profiled = self.profiled, None
        for _ in range(inferences):
            profiled.run()
        if self.session is profiled.session:  # it notes nothing after its end
            self.session = self.runtime.session(self.onnx)
            self.infer_once, self.feeds, self.binding = onnxruntime_profile.bound(self.session)
        return [{key: node[key] for key in ("node", "kind", "seconds", "sources", "precision")} for node in profiled.end()]

    def _takes_pictures(self):
        return [feed.dtype for _, feed in self.feeds] == [numpy.float32]

    def unload(self):
        """Free the session."""
        if self.profiled is not None:
            self.profiled.session.end_profiling()
            self.profiled.close()
        self.session = self.binding = self.infer_once = self.profiled = None
        self.feeds = []


def _provider(wanted):
    """The provider's name in full; Unavailable where the installed package has none such."""
    there = onnxruntime.get_available_providers()
    found = [name for name in there if wanted.lower() in (name.lower(), name[: -len(SUFFIX)].lower())]
    if not found:
        short = ", ".join(name[: -len(SUFFIX)] for name in there)
        raise faults.Unavailable("the installed onnxruntime has no provider %r, only %s; install a package that has it" % (wanted, short))
    return found[0]


def _told(name, feed):
    return "%s %s %s" % (name, "x".join(str(side) for side in feed.shape) or "one", feed.dtype)


def _chip():
    """What the kernel calls the processor, or on ARM the board; else its architecture."""
    told = {}
    for line in (host_state.read("/proc/cpuinfo") or "").splitlines():
        key, _, text = line.partition(":")
        told.setdefault(key.strip(), text.strip())
    return told.get("model name") or told.get("Model") or told.get("Hardware") or os.uname().machine
