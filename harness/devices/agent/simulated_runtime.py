"""A device that is not there: latencies from a roofline, with noise, drift, throttling and faults on request.

Time is virtual, so a measurement takes no longer than its arithmetic. Every answer is marked as simulated.
"""

import functools
import math
import os
import random
import signal
import time
import zlib

import chosen_options
import disturbance
import faults
import int8_nodes
import onnx_reader
import onnx_shapes
import roofline
import timed_loop

HEATING_S = 60.0  # time constant of warming up under load
STREAMS = 1
INT8_SPEEDUP = 2.5  # of a convolution or linear layer against 16 bit: what small processors were seen to gain
NUMBERS = {
    "noise": 0.01,  # relative standard deviation of a sample
    "drift_per_s": 0.0,  # relative slowdown per second of work
    "throttle_after_s": 0.0,  # seconds of work until the clock drops; 0 means never
    "throttle_factor": 0.5,  # the clock's share that is left then
    "overhead_us": -1.0,  # per stage; negative means the kind's own
    "load_s": 0.0,  # virtual seconds that loading a network takes
    "load_spread": 0.0,  # relative standard deviation of the level of a load: where it lies in memory makes it quicker or slower
    "seed": 0,
    "fault_after": 0,  # how many such requests pass before the fault
}
RANGES = {
    "noise": (0.0, 1.0),
    "drift_per_s": (-1.0, 1e3),
    "throttle_after_s": (0.0, 1e9),
    "throttle_factor": (1e-3, 1.0),
    "overhead_us": (-1e9, 1e9),
    "load_s": (0.0, 1e6),
    "load_spread": (0.0, 1.0),
    "seed": (-(2.0**53), 2.0**53),
    "fault_after": (0.0, 1e9),
    "slow_ratio": (0.0, 1e3),
    "slow_spread": (0.0, 1.0),
    "slow_least_s": (0.0, 1e6),
    "slow_most_s": (0.0, 1e6),
    "preempted_per_s": (0.0, 1e3),
    "preempted_s": (0.0, 1e3),
    "wander": (0.0, 1.0),
}
SIGNED = ("overhead_us", "drift_per_s", "seed")
FAULTS = ("none", "hang", "spin", "crash", "segfault", "exit", "usb-drop", "garbage", "noise-on-stdout", "disk-full", "out-of-memory")


class Runtime:
    """options: ``kind`` (ncs2, jetson), the numbers above, ``fault`` (one of FAULTS) and ``fault_in`` (the request that fails)."""

    def __init__(self, options):
        known = dict(NUMBERS, **disturbance.NUMBERS)
        unknown = set(options) - set(known) - {"kind", "fault", "fault_in", "device"} - set(chosen_options.BY_THE_HARNESS)
        if unknown:
            raise faults.Unusable("the simulated device has no option %r; it has %s" % (sorted(unknown)[0], ", ".join(sorted(known))))
        kind = options.get("kind", "ncs2")
        if kind not in roofline.KINDS:
            raise faults.Unusable("no simulated device of kind %r; choose one of %s" % (kind, ", ".join(sorted(roofline.KINDS))))
        if options.get("fault", "none") not in FAULTS:
            raise faults.Unusable("no fault %r; choose one of %s" % (options["fault"], ", ".join(FAULTS)))
        self.hardware = roofline.KINDS[kind]()
        self.numbers = {name: _number(options, name, default) for name, default in known.items()}
        for name, (least, most) in RANGES.items():
            if not least <= self.numbers[name] <= most:
                raise faults.Unusable("the simulated device takes %s from %g to %g, not %r" % (name, least, most, self.numbers[name]))
        if not 0 <= self.numbers["slow_share"] < 1 or not 0 < self.numbers["slow_least_s"] <= self.numbers["slow_most_s"]:
            raise faults.Unusable("slow states need a slow_share of 0 or more, below 1, and 0 < slow_least_s <= slow_most_s")
        self.disturbance = disturbance.Disturbance(self.numbers, int(self.numbers["seed"]))
        self.fault, self.fault_in = options.get("fault", "none"), options.get("fault_in", "infer")
        self.left = int(self.numbers["fault_after"])
        self.random = random.Random(int(self.numbers["seed"]))
        self.places = random.Random(int(self.numbers["seed"]) * 7919 + 3)
        self.busy_s = 0.0
        overhead_us = self.numbers["overhead_us"]
        self.overhead_s = self.hardware.overhead_s if overhead_us < 0 else overhead_us * 1e-6
        self.happen("start")

    def describe(self):
        """Runtime, version, chip; marked as simulated."""
        self.happen("describe")
        return {"runtime_version": "1", "model": self.hardware.model, "simulated": True, "details": [["kind", self.hardware.model]]}

    def snapshot(self):
        """Clock and temperature of the simulated chip, in place of those of the machine that simulates it."""
        self.happen("snapshot")
        return {
            "clocks_mhz": [["core", self.hardware.clock_mhz * self._clock_share()]],
            "temperatures_c": [["core", self._temperature_c()]],
            "power_w": [],
            "governor": None,
            "load_average": None,
            "throttle_events": int(self._clock_share() < 1.0),
            "throttling": None,
            "throttled_since_boot": None,
        }

    def load(self, onnx, wanted):
        """Read the network's shapes."""
        self.happen("load")
        if wanted["precision"] not in ("f16", "f32", "int8", "default"):
            raise faults.Refused("the simulated device has no precision %r; choose f16 or int8" % wanted["precision"])
        try:
            graph, shapes = _read(onnx, wanted["batch_size"])
        except onnx_reader.NotOnnx as error:
            raise faults.Refused("the simulated device cannot read the model: %s" % error)
        int8_nodes.check(graph, wanted["precision"])
        if graph.batch_size() not in (1, wanted["batch_size"]):
            told = (graph.batch_size(), wanted["batch_size"])
            raise faults.Refused("the model is of batch size %d, not %d; ask for its own, or export it at that batch size" % told)
        self.busy_s += self.numbers["load_s"]
        return Model(self, onnx, graph, shapes, wanted["batch_size"])

    def sample_s(self, seconds, salt=0.0):
        """One inference that takes ``seconds`` on a cold, quiet device; ``salt``: whose it is, see ``disturbance``."""
        numbers = self.numbers
        factor = math.exp(self.random.gauss(0.0, numbers["noise"])) if numbers["noise"] else 1.0
        took = seconds * factor * (1.0 + numbers["drift_per_s"] * self.busy_s) / self._clock_share()
        took *= self.disturbance.ratio(self.busy_s, salt)
        took += self.disturbance.stolen_s(took)
        self.busy_s += took
        return took

    def now_s(self):
        """Virtual seconds since the runtime began."""
        return self.busy_s

    def happen(self, request):
        """The fault that was asked for, when its moment has come."""
        if self.fault == "none" or self.fault_in != request:
            return
        if self.left > 0:
            self.left -= 1
            return
        _break(self.fault)

    def _clock_share(self):
        after = self.numbers["throttle_after_s"]
        return self.numbers["throttle_factor"] if after and self.busy_s > after else 1.0

    def _temperature_c(self):
        hardware = self.hardware
        return hardware.idle_c + (hardware.hot_c - hardware.idle_c) * (1 - math.exp(-self.busy_s / HEATING_S))


class Model:
    """A network whose stages cost what the roofline says."""

    def __init__(self, runtime, onnx, graph, shapes, batch_size):
        self.runtime, self.onnx, self.batch_size = runtime, onnx, batch_size
        self.stages = roofline.stages(graph, shapes, runtime.hardware, runtime.overhead_s)
        self.graph, self.ran = graph, _precisions(graph)
        for stage in self.stages:
            stage.precision = self.ran.get(stage.sources[0], "f16")
            stage.seconds /= INT8_SPEEDUP if stage.precision == int8_nodes.INT8 else 1.0
        self.seconds = sum(stage.seconds for stage in self.stages)
        self.image = graph.leading()[1:]
        self.runs, self.total_s, self.compiled = 0, 0.0, None
        self.salt = zlib.crc32(onnx) / float(1 << 31) - 1.0
        self.level = math.exp(runtime.places.gauss(0.0, runtime.numbers["load_spread"]))

    def first_inference(self):
        """Seconds of the first inference, which also sets up the device."""
        return 3 * self._one()

    def facts(self):
        """What a device of this kind makes of any wish but INT8: 16 bit, one stream."""
        effective, notes = "f16", []
        if int8_nodes.is_quantised(self.graph):
            effective, notes = int8_nodes.told(self.graph, self.batch_size, self.ran)
        return {
            "effective_precision": effective,
            "notes": notes,
            "threads": 1,
            "streams": STREAMS,
            "batch_size": self.batch_size,
            "peak_memory_bytes": len(self.onnx),
        }

    def infer(self, timing):
        """Virtual samples."""
        self.runtime.happen("infer")
        warmup_s, warmups = 0.0, 0
        while warmup_s < timing["warmup_s"] or warmups < timing["warmup_rounds"]:
            warmup_s, warmups = warmup_s + self._one(), warmups + 1
        samples, spent_s = timed_loop.Samples(), 0.0
        while len(samples.wall) < timing["rounds"] or spent_s < timing["min_s"]:
            took = self._one()
            spent_s += max(took, timing["pace_s"])
            samples.wall.append(max(1, int(took * 1e9)))
        return samples, {"warmup_s": warmup_s, "warmup_inferences": warmups, "steady": True}

    def outputs(self, shape, values):
        """The real network's answers, by OpenVINO on the machine that simulates; only times are simulated."""
        self.runtime.happen("outputs")
        if list(shape[1:]) != self.image:
            raise faults.Refused("the model takes images of %s, not %s" % (self.image, list(shape[1:])))
        if self.compiled is None:
            self.compiled = self._real()
        return self.compiled.outputs(shape, values)

    def profile(self, inferences):
        """Stage times, scaled like the inferences so far."""
        self.runtime.happen("profile")
        for _ in range(inferences):
            self._one()
        scale = self.total_s / (self.runs * self.seconds) if self.runs and self.seconds else 1.0
        return [
            {
                "node": stage.node,
                "kind": stage.kind,
                "seconds": stage.seconds * scale,
                "sources": stage.sources,
                "precision": stage.precision,
            }
            for stage in self.stages
        ]

    def unload(self):
        """Nothing is held."""
        self.runtime.happen("unload")
        self.compiled = None

    def _real(self):
        try:
            import openvino_runtime

            precision = int8_nodes.INT8 if int8_nodes.is_quantised(self.graph) else "f32"
            wanted = {"precision": precision, "profile": False, "batch_size": self.batch_size}
            return openvino_runtime.Runtime({}).load(self.onnx, wanted)
        except faults.Unavailable as error:
            raise faults.Refused("only times are simulated, outputs are not: %s" % error)

    def _one(self):
        took = self.runtime.sample_s(self.level * self.seconds, self.salt)
        self.runs, self.total_s = self.runs + 1, self.total_s + took
        return took


@functools.lru_cache(maxsize=8)  # a comparison loads the same few networks again and again
def _read(onnx, batch_size):
    graph = onnx_reader.read(onnx)
    return graph, onnx_shapes.infer(graph, batch_size)


def _precisions(graph):
    """ONNX node to what it runs in: layers whose weights come dequantised in INT8, all else in 16 bit."""
    made = {tensor for node in graph.nodes if node.op == "DequantizeLinear" for tensor in node.outputs}
    layers = [node for node in graph.nodes if node.op in int8_nodes.LAYERS and len(node.inputs) > 1]
    return {node.name: int8_nodes.INT8 if node.inputs[1] in made else "f16" for node in layers}


def _number(options, name, default):
    try:
        number = float(options.get(name, default))
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (number < 0 and name not in SIGNED):
        raise faults.Unusable(
            "the simulated device's %s is %r; give a number%s" % (name, options[name], "" if name in SIGNED else " of 0 or more")
        )
    return number


def _break(fault):
    """Fail as devices do."""
    if fault == "hang":
        time.sleep(3600)
    elif fault == "spin":
        sum(range(10**15))  # a C call that holds the interpreter's lock
    elif fault == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "exit":
        os._exit(3)
    elif fault == "usb-drop":
        raise faults.Unavailable("the stick left the USB bus (simulated); plug it in again")
    elif fault == "garbage":
        for descriptor in range(3, 64):  # whichever carries the frames
            try:
                os.write(descriptor, b"\xff" * 64)
            except OSError:
                continue
    elif fault == "noise-on-stdout":
        os.write(1, b"[ WARNING ] printed by a native library\n" * 100)
    elif fault == "disk-full":
        raise OSError(28, "No space left on device")
    elif fault == "out-of-memory":
        raise MemoryError("simulated")
