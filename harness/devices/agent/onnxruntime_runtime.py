"""ONNX Runtime on a processor of the agent's machine, or through another of its execution providers.

What a provider does not take, ONNX Runtime runs on the CPU without a word; here that is refused, unless a table allows it. What really ran
where, and in what, is read off a profiled inference.
"""

import contextlib
import hashlib
import os
import re
import time

import chosen_options
import faults
import host_state
import int8_nodes
import meters
import onnx_reader
import processors
import timed_loop

try:
    import numpy
    import onnxruntime
    import onnxruntime_profile
except ImportError as error:
    raise faults.Unavailable("this interpreter cannot import onnxruntime (%s); install it: pip install onnxruntime" % error)

PRECISIONS = ("f32", "f16", "int8")  # of a file: what it holds is what runs
OPTIONS = {  # (what it is by default, what to give, the least of a number)
    "provider": ("CPU", "the name of a provider, for example 'CPU'"),
    "threads": (1, "a count of threads, for example 1", 1),
    "nice": (0, "a niceness from -20 to 19, for example 0", -20),
    "graph_optimization": ("all", "'off', 'basic', 'extended' or 'all'"),
    "allow_cpu_nodes": (False, "true or false"),
    "provider_options": ((), "words key=setting, for example ['device_type=GPU']"),
}
LEVELS = {"off": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}
SUFFIX, CPU = "ExecutionProvider", "CPUExecutionProvider"
THREADS = {"Xnnpack" + SUFFIX: "intra_op_num_threads", "OpenVINO" + SUFFIX: "num_of_threads"}  # of those with threads of their own
QUIET = 3  # errors alone: what the optimiser warns of tells a person nothing to do
NAMED = 5  # nodes in a message
PLACE = re.compile(r"^/\S+\.cc:[0-9]+ .*?\) ")  # in its sources, with a function's arguments, before some of its messages
FEWEST_PROFILED = 20  # inferences, where none ran before


class Runtime:
    """options: ``provider`` (CPU, CUDA, TensorRT, OpenVINO, CoreML, XNNPACK, ...), ``provider_options`` (words ``key=setting``),
    ``threads``, ``nice``, ``graph_optimization`` (off, basic, extended, all) and ``allow_cpu_nodes``: whether nodes that the provider does
    not take may run elsewhere.
    """

    def __init__(self, options):
        chosen = chosen_options.read(options, OPTIONS, "onnxruntime")
        self.threads, self.level, self.allow_cpu_nodes = chosen["threads"], chosen["graph_optimization"], chosen["allow_cpu_nodes"]
        if self.level not in LEVELS:
            raise faults.Unusable("graph_optimization = %r is none of %s" % (self.level, ", ".join(LEVELS)))
        self.provider, self.own = _provider(chosen["provider"]), _own(chosen["provider_options"])
        self.nice = host_state.favour(chosen["nice"])
        self.meter = meters.packages() if self.provider == CPU else None
        self.pinned = processors.pin(self.threads) if self.provider == CPU else None  # another one's threads would all be held to one
        self.seen = {}

    def describe(self):
        """Runtime, version, chip; what was set, as conditions."""
        details = [["provider", self.provider], ["nice", str(self.nice)]]
        details += [["set: provider", self.provider]] if self.provider != CPU else []
        details += [["set: graph_optimization", self.level]] if self.level != OPTIONS["graph_optimization"][0] else []
        details += [["set: allow_cpu_nodes", "True"]] if self.allow_cpu_nodes and self.provider != CPU else []
        details += [["set: provider_options", self._set()]] if self.own else []
        details += [["pinned to", "processor " + ", ".join(map(str, self.pinned))]] if self.pinned else []
        details += [["energy meter", self.meter.name]] if self.meter else []
        return {"runtime_version": onnxruntime.__version__, "model": _chip(), "details": details}

    def load(self, onnx, wanted):
        """Read and optimise; Refused when ONNX Runtime cannot, or when a part of the network ran elsewhere than it was asked to."""
        try:
            graph = onnx_reader.read(onnx)
        except onnx_reader.NotOnnx as error:
            raise faults.Refused("ONNX Runtime cannot load the model: %s" % error)
        _check(graph, wanted)
        placed = Placed()
        if self.provider != CPU or int8_nodes.is_quantised(graph) or graph.holds(*onnx_reader.HALVES):
            digest = hashlib.sha256(onnx).hexdigest()  # a comparison loads a network many times
            if digest not in self.seen:
                self.seen[digest] = self._look(onnx, graph)
            placed = self.seen[digest]
        return Model(self, onnx, graph, wanted, placed)

    def session(self, onnx, profile=""):
        """A session of this device's settings; with ``profile``, the beginning of a path, it notes every node's times there."""
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = self.threads, 1
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[self.level])
        settings.log_severity_level = QUIET
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self.pinned and self.threads > 1:  # of all but the calling thread, counted from 1
            settings.add_session_config_entry("session.intra_op_thread_affinities", ";".join(str(one + 1) for one in self.pinned[1:]))
        if profile:
            settings.enable_profiling, settings.profile_file_prefix = True, profile
        own = dict([(THREADS[self.provider], str(self.threads))] if self.provider in THREADS else [])
        own.update(self.own)
        named = [(self.provider, own)] + ([CPU] if self.provider != CPU else [])  # who took what is looked at, and refused by name
        with refusing("load the model"):
            session = onnxruntime.InferenceSession(onnx, settings, providers=named, enable_fallback=0)
            session.disable_fallback()  # else an inference that fails is repeated on the CPU, and all that follow run there
        if self.provider not in session.get_providers():  # its device or libraries are not there: it goes on without, and only logs it
            raise faults.Refused(
                "%s does not start here%s, and %s would run instead; check its device, its libraries and its options"
                % (self.provider, " with " + self._set() if self.own else "", ", ".join(session.get_providers()))
            )
        return session

    def _set(self):
        return " ".join("%s=%s" % pair for pair in self.own)

    def _look(self, onnx, graph):
        """What ran where, and in what, by a profiled inference."""
        nodes = onnxruntime_profile.Profiled(self, onnx, graph)
        with refusing("run the model"):
            nodes.run()
        return placed(nodes.end(), self.provider, self.allow_cpu_nodes)


class Placed:
    """ran: ONNX node to what it ran in. elsewhere: of how many nodes how many ran on another provider, in words; empty for none."""

    def __init__(self, ran=(), elsewhere=""):
        self.ran, self.elsewhere = dict(ran), elsewhere


def placed(nodes, provider, allowed):
    """Of executed nodes, what they ran in; Refused by their names where some ran on another provider and may not, or all did."""
    elsewhere = sorted(node["node"] for node in nodes if node["provider"] != provider)
    others = ", ".join(sorted({node["provider"] for node in nodes if node["provider"] != provider}))
    words = ", ".join(elsewhere[:NAMED]) + (", ..." if len(elsewhere) > NAMED else "")
    told = "%d of %d nodes did not run on %s but on %s: %s" % (len(elsewhere), len(nodes), provider, others, words)
    if elsewhere and len(elsewhere) == len(nodes):
        raise faults.Refused("%s; take another provider" % told)
    if elsewhere and not allowed:
        raise faults.Refused("%s; allow it with allow_cpu_nodes = true, or take another provider" % told)
    return Placed([(name, node["precision"]) for node in nodes for name in node["sources"]], told if elsewhere else "")


@contextlib.contextmanager
def refusing(what):
    """Its errors, which share no class of their own, are of the model."""
    try:
        yield
    except faults.Refused:
        raise
    except Exception as error:
        raise faults.Refused("ONNX Runtime cannot %s: %s" % (what, PLACE.sub("", " ".join(str(error).split()))[:600]))


class Model:
    """A session whose inputs and outputs were bound once. placed: what ran where and in what, where that was looked at."""

    def __init__(self, runtime, onnx, graph, wanted, placed):
        self.runtime, self.onnx, self.graph, self.wanted, self.placed = runtime, onnx, graph, wanted, placed
        host_state.reset_peak_memory()  # looking at what ran where takes a session of its own
        begin = time.perf_counter()
        self.profiled = onnxruntime_profile.Profiled(runtime, onnx, graph) if wanted["profile"] else None
        self.session = self.profiled.session if self.profiled else runtime.session(onnx)
        self.load_s = time.perf_counter() - begin
        self.infer_once, self.feeds, self.binding = onnxruntime_profile.bound(self.session)
        self.batch = graph.batch_size()

    def first_inference(self):
        """Seconds of the first inference after load."""
        with refusing("run the model"):
            return timed_loop.time_once(self.infer_once)

    def facts(self):
        """What runs: the file's own types where nothing was looked at, else what most of its work ran in."""
        effective, notes = self._precision()
        if self.placed.elsewhere:
            notes = notes + [["elsewhere", self.placed.elsewhere]]
        if not self._takes_pictures():
            notes = notes + [["inputs", "; ".join(_told(name, feed) for name, feed in self.feeds)]]
        facts = {"effective_precision": effective, "threads": self.runtime.threads, "streams": 1, "batch_size": self.batch}
        return dict(facts, notes=notes, load_s=self.load_s)

    def _precision(self):
        if not self.placed.ran:
            return self.wanted["precision"], []
        if not all(self.placed.ran.values()):  # a provider made one node of many, and tells nothing of it
            told = [["computed in", "%s does not tell" % self.runtime.provider]]
            return ("unknown" if self.runtime.own or int8_nodes.is_quantised(self.graph) else self.wanted["precision"]), told
        effective, notes = int8_nodes.told(self.graph, self.batch, self.placed.ran)
        return effective, notes if int8_nodes.is_quantised(self.graph) else []

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
            with refusing("answer"):
                answer = self.session.run(None, {name: padded})[0]
            if len(answer) != self.batch:
                raise faults.Refused("the model answers %d times to %d images; give one that answers each" % (len(answer), self.batch))
            found.append(numpy.asarray(answer[: len(part)], dtype=numpy.float32))
        everything = numpy.concatenate(found)
        return everything.shape, everything.tobytes()

    def profile(self, inferences):
        """Times of every node in several runs of the inferences since loading, at least ``inferences``; asked for again, of those alone."""
        if self.profiled is None:
            self.profiled, inferences = onnxruntime_profile.Profiled(self.runtime, self.onnx, self.graph), max(inferences, FEWEST_PROFILED)
        profiled, self.profiled = self.profiled, None
        for _ in range(inferences):
            profiled.run()
        if self.session is profiled.session:  # it notes nothing after its end
            self.session = self.runtime.session(self.onnx)
            self.infer_once, self.feeds, self.binding = onnxruntime_profile.bound(self.session)
        return [{key: node[key] for key in ("node", "kind", "seconds", "runs", "sources", "precision")} for node in profiled.end()]

    def _takes_pictures(self):
        return [feed.dtype for _, feed in self.feeds] == [numpy.float32]

    def unload(self):
        """Free the session."""
        self.session = self.binding = self.infer_once = self.profiled = None
        self.feeds = []


def _check(graph, wanted):
    """Refuse a precision that the file does not hold, and another batch than its own."""
    precision, halves = wanted["precision"], graph.holds(*onnx_reader.HALVES)
    if precision not in PRECISIONS or (precision == "f16" and not halves):
        raise faults.Refused(
            "ONNX Runtime runs a file in the types that it holds, so not in %r; choose one of f32, int8, or give a file in it" % precision
        )
    int8_nodes.check(graph, precision)
    if graph.batch_size() != wanted["batch_size"]:
        told = graph.batch_size(), wanted["batch_size"]
        raise faults.Refused("the model is of batch size %d, not %d; export it at that batch size" % told)


def _provider(wanted):
    """The provider's name in full; Unavailable where the installed package has none such."""
    there = onnxruntime.get_available_providers()
    found = [name for name in there if wanted.lower() in (name.lower(), name[: -len(SUFFIX)].lower())]
    if not found:
        short = ", ".join(name[: -len(SUFFIX)] for name in there)
        raise faults.Unavailable("the installed onnxruntime has no provider %r, only %s; install a package that has it" % (wanted, short))
    return found[0]


def _own(words):
    """``(key, setting)`` of a provider's own options, in order."""
    pairs = [word.partition("=") for word in words]
    if not all(key and mark and setting for key, mark, setting in pairs):
        told = " ".join(words)
        raise faults.Unusable("provider_options = %r are no words key=setting; write for example ['device_type=GPU']" % told)
    return sorted((key, setting) for key, _, setting in pairs)


def _told(name, feed):
    return "%s %s %s" % (name, "x".join(str(side) for side in feed.shape) or "one", feed.dtype)


def _chip():
    """What the kernel calls the processor, or on ARM the board; else its architecture."""
    told = {}
    for line in (host_state.read("/proc/cpuinfo") or "").splitlines():
        key, _, text = line.partition(":")
        told.setdefault(key.strip(), text.strip())
    return told.get("model name") or told.get("Model") or told.get("Hardware") or os.uname().machine
