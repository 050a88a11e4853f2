"""Stands in for TensorRT's Python package of one release, on any Python from 3.6 and without numpy: true outputs, made-up times.

STAND_IN_TENSORRT names the release. What its record (``recorded.json``, of the real package) does not have is taken away here, and every
call is held to the recorded arguments, so that an agent that runs against this calls nothing that the real one lacks. Memory, streams and
events are those of the stand-in of CUDA (STAND_IN_CUDART). ``plan`` holds the faults to commit: ``{"Class.member": how}``.
"""

import ctypes
import functools
import json
import os

from tensorrt import arithmetic

with open(os.path.join(os.path.dirname(__file__), "..", "..", "recorded.json")) as _file:
    RELEASES = json.load(_file)
__version__ = os.environ["STAND_IN_TENSORRT"] + ".1"
RELEASE = tuple(int(part) for part in os.environ["STAND_IN_TENSORRT"].split("."))
RECORD = RELEASES[os.environ["STAND_IN_TENSORRT"]]
CUDART = ctypes.CDLL(os.environ["STAND_IN_CUDART"])
CUDART.standInWork.argtypes = (ctypes.c_void_p, ctypes.CFUNCTYPE(None), ctypes.c_double)
CUDART.standInIsDevice.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
DLA_CORES = int(os.environ.get("STAND_IN_DLA_CORES", "2"))
NOT_ON_DLA = ("Gemm", "MatMul", "Softmax")
plan = {}


class Fault(RuntimeError):
    """What the real library raises where it fails inside."""


class Enumerated(object):
    """A value of an enumeration, as pybind11 makes them: printed with its class, and a number."""

    def __init__(self, kind, name, number):
        self.kind, self.name, self.number = kind, name, number

    def __str__(self):
        return "%s.%s" % (self.kind.split(".")[-1], self.name)

    def __int__(self):
        return self.number

    __index__ = __int__


def _enumeration(kind, values):
    numbers = {name: place if number is None else number for place, (name, number) in enumerate(values.items())}
    return type(str(kind.split(".")[-1]), (), {name: Enumerated(kind, name, number) for name, number in numbers.items()})


for _kind, _values in RECORD["enums"].items():
    if "." not in _kind:
        globals()[_kind] = _enumeration(_kind, _values)


class ILogger(object):
    def __init__(self):
        self.begun = True

    def log(self, severity, msg):
        raise NotImplementedError


ILogger.Severity = _enumeration("ILogger.Severity", RECORD["enums"]["ILogger.Severity"])
for _name in RECORD["enums"]["ILogger.Severity"]:
    setattr(ILogger, _name, getattr(ILogger.Severity, _name))


class IProfiler(object):
    def __init__(self):
        self.begun = True

    def report_layer_time(self, layer_name, ms):
        raise NotImplementedError


class IInt8EntropyCalibrator2(object):
    def __init__(self):
        self.begun = True


class IHostMemory(bytes):
    @property
    def nbytes(self):
        return len(self)


class ITimingCache(object):
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return IHostMemory(self.content or b"tactics of " + __version__.encode())


class ILayer(object):
    def __init__(self, node):
        self.node = node

    @property
    def name(self):
        return self.node.name


class INetworkDefinition(object):
    def __init__(self, logger, flags):
        self.logger, self.flags, self.onnx, self.graph = logger, flags, b"", None

    @property
    def num_layers(self):
        return len(self.graph.nodes)

    def get_layer(self, index):
        return ILayer(self.graph.nodes[index])


class ParserError(object):
    def __init__(self, text):
        self.text = text

    def desc(self):
        return self.text


class OnnxParser(object):
    def __init__(self, network, logger):
        self.network, self.errors = network, []

    def parse(self, model, path=None):
        explicit = RELEASE >= (10, 0) or self.network.flags & 1 << int(NetworkDefinitionCreationFlag.EXPLICIT_BATCH)  # noqa: F821
        try:
            if not explicit:
                raise ValueError("this version of the ONNX parser only supports networks with an explicit batch dimension")
            self.network.onnx = bytes(model)
            self.network.graph = arithmetic.read(self.network.onnx)
        except Exception as error:
            self.errors.append(ParserError("ModelImporter.cpp:1: %s" % error))
        return not self.errors

    @property
    def num_errors(self):
        return len(self.errors)

    def get_error(self, index):
        return self.errors[index]


class IBuilderConfig(object):
    def __init__(self):
        self.chosen, self.pools, self.cache, self._settings = {"TF32"}, {}, None, {}

    def set_flag(self, flag):
        self.chosen.add(flag.name)

    def clear_flag(self, flag):
        self.chosen.discard(flag.name)

    def set_memory_pool_limit(self, pool, pool_size):
        self.pools[pool.name] = pool_size

    def create_timing_cache(self, serialized_timing_cache):
        content = bytes(serialized_timing_cache)
        return None if content and __version__.encode() not in content else ITimingCache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        self.cache = cache
        return True

    def can_run_on_DLA(self, layer):
        return layer.node.op not in NOT_ON_DLA


def _setting(name):
    return property(lambda self: self._settings.get(name), lambda self, setting: self._settings.update({name: setting}))


for _name in ("max_workspace_size", "profiling_verbosity", "default_device_type", "DLA_core", "int8_calibrator"):
    setattr(IBuilderConfig, _name, _setting(_name))


class Builder(object):
    def __init__(self, logger):
        _begun(logger)
        self.made_for = logger

    num_DLA_cores = property(lambda self: DLA_CORES)
    platform_has_fast_int8 = property(lambda self: True)

    def create_network(self, flags=0):
        return INetworkDefinition(self.made_for, int(flags))

    def create_builder_config(self):
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        typed = RELEASE >= (11, 0)
        quantised = any(node.op == "QuantizeLinear" for node in network.graph.nodes)
        calibrator = config.int8_calibrator if "int8_calibrator" in config._settings else None
        if quantised and not typed and "INT8" not in config.chosen:
            return _complain(network.logger, "Networks with QDQ operations must set BuilderFlag::kINT8")
        if "INT8" in config.chosen and not quantised and not (calibrator and calibrator.read_calibration_cache()):
            return _complain(network.logger, "Calibration failure occurred with no scaling factors detected")
        on_dla = config.default_device_type is not None and config.default_device_type.name == "DLA"
        if on_dla and "GPU_FALLBACK" not in config.chosen and not all(config.can_run_on_DLA(ILayer(node)) for node in network.graph.nodes):
            return _complain(network.logger, "layer cannot run on DLA and GPU fallback is not enabled")
        detailed = config.profiling_verbosity is not None and config.profiling_verbosity.name == "DETAILED"
        form = "FP16" if "FP16" in config.chosen else "BF16" if "BF16" in config.chosen else "FP32"
        told = {
            "version": __version__,
            "detailed": detailed,
            "form": form,
            "quantised": quantised,
            "dla": config.DLA_core if on_dla else None,
        }
        return IHostMemory(json.dumps(dict(told, calibrated=bool(calibrator))).encode() + b"\n" + network.onnx)


class Runtime(object):
    def __init__(self, logger):
        _begun(logger)
        self.made_for, self._settings = logger, {}

    def deserialize_cuda_engine(self, serialized_engine):
        head, _, onnx = bytes(serialized_engine).partition(b"\n")
        try:
            told = json.loads(head.decode())
            if told["version"] != __version__:
                return _complain(self.made_for, "The engine plan file is not compatible with this version of TensorRT")
            if told["dla"] is not None and told["dla"] != self.DLA_core:
                return _complain(self.made_for, "the engine is for another DLA core")
            return ICudaEngine(self.made_for, told, onnx)
        except (ValueError, KeyError):
            return _complain(self.made_for, "Serialization assertion magicTagRead == kMAGIC_TAG failed")


Runtime.DLA_core = _setting("DLA_core")


class ICudaEngine(object):
    def __init__(self, logger, told, onnx):
        self.made_for, self.told, self.graph, self.onnx = logger, told, arithmetic.read(onnx), onnx
        self.tensors = [(name, dims, True) for name, dims in self.graph.inputs] + [(name, dims, False) for name, dims in self.graph.outputs]

    num_io_tensors = property(lambda self: len(self.tensors))
    num_bindings = property(lambda self: len(self.tensors))

    def get_tensor_name(self, index):
        return self.tensors[index][0]

    def get_binding_name(self, index):
        return self.tensors[index][0]

    def binding_is_input(self, index):
        return self.tensors[index][2]

    def get_binding_shape(self, index):
        return tuple(self.tensors[index][1])

    def get_binding_dtype(self, index):
        return DataType.FLOAT  # noqa: F821

    def _named(self, name):
        return next(tensor for tensor in self.tensors if tensor[0] == name)

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if self._named(name)[2] else TensorIOMode.OUTPUT  # noqa: F821

    def get_tensor_shape(self, name):
        return tuple(self._named(name)[1])

    def get_tensor_dtype(self, name):
        return DataType.FLOAT  # noqa: F821

    def create_execution_context(self):
        return IExecutionContext(self)

    def create_engine_inspector(self):
        return EngineInspector(self)


class IExecutionContext(object):
    def __init__(self, engine):
        self.of, self.addresses, self._settings = engine, {}, {"enqueue_emits_profile": True}
        self.works, self.untold = [], 0

    def set_tensor_address(self, name, memory):
        sizes = next((dims for known, dims, _ in self.of.tensors if known == name), None)
        self.addresses[name] = memory
        return sizes is not None and bool(CUDART.standInIsDevice(memory, 4 * arithmetic.product(sizes)))

    def execute_async_v3(self, stream_handle):
        return self._execute([self.addresses.get(name) for name, _, _ in self.of.tensors], stream_handle)

    def execute_async_v2(self, bindings, stream_handle, input_consumed=None):
        return self._execute(bindings, stream_handle)

    def report_to_profiler(self):
        told, self.untold = self.untold, 0
        for _ in range(told):
            self._report()
        return bool(told) and self.profiler is not None

    def _execute(self, bindings, stream):
        sizes = [4 * arithmetic.product(dims) for _, dims, _ in self.of.tensors]
        if len(bindings) != len(sizes) or not all(map(CUDART.standInIsDevice, bindings, sizes)):
            _complain(self.of.made_for, "an address is not set, or not of the device")
            return False
        stages = arithmetic.stages(self.of.graph)

        def work():
            arithmetic.promise(self.of.onnx, self.of.graph, bindings, sizes)

        held = ctypes.CFUNCTYPE(None)(work)
        self.works = self.works[-1:] + [held]  # a graph calls the one of its capture
        total = sum(seconds for _, _, _, seconds in stages) * (0.5 if self.of.told["form"] != "FP32" else 1.0)
        if CUDART.standInWork(stream, held, total * 1e3 * (1.3 if self.profiler is not None else 1.0)):
            return False
        if self.profiler is not None and self.enqueue_emits_profile:
            self._report()
        else:
            self.untold += 1
        return True

    def _report(self):
        if "IProfiler.report_layer_time" not in plan:
            self.profiler.report_layer_time("Reformatting CopyNode for Input Tensor 0 to conv1", 0.0)
            for name, _, _, seconds in arithmetic.stages(self.of.graph):
                self.profiler.report_layer_time(name, seconds * 1.2e3)


for _name in ("profiler", "enqueue_emits_profile"):
    setattr(IExecutionContext, _name, _setting(_name))


class EngineInspector(object):
    def __init__(self, engine):
        self.of, self._settings = engine, {}

    def get_engine_information(self, format):
        return arithmetic.information(self.of.graph, self.of.told, RELEASE) if format.name == "JSON" else "no JSON"


EngineInspector.execution_context = _setting("execution_context")


def _begun(logger):
    if not getattr(logger, "begun", False):
        raise TypeError("%s.__init__() must be called when overriding __init__" % type(logger).__name__)


def _complain(logger, text):
    logger.log(ILogger.Severity.ERROR, text)


def _fault(how, logger=None):
    """What a planned fault does instead of the call; ``(True, returned)``, or ``(False, None)`` for none."""
    if how == "raise":
        raise Fault("internal error: Assertion failed")
    if how == "memory":
        raise Fault("OutOfMemory (no further information)")
    if how == "type":
        raise TypeError("incompatible function arguments. The following argument types are supported:\n    1. (self: tensorrt)")
    if how == "unicode":
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    if how == "abort":
        raise MemoryError()
    returned = {"none": None, "false": False, "empty": "", "garbage": object(), "minus": -1, "long": (1, 2, 3, 4, 5, 6, 7)}
    return (True, returned[how]) if how in returned else (False, None)


def _held(kind, name, function, overloads):
    """A method that takes what the real one takes, and commits the planned fault."""

    @functools.wraps(function)
    def called(self, *arguments, **words):
        if not any(_takes(one[1:], arguments, words) for one in overloads):
            raise TypeError("%s.%s(): incompatible function arguments" % (kind, name))
        found, returned = _fault(plan.get("%s.%s" % (kind, name)))
        return returned if found else function(self, *arguments, **words)

    return called


def _takes(names, arguments, words):
    known = [name.rstrip("=") for name in names]
    given = set(known[: len(arguments)]) | set(words)
    needed = {name for name in names if not name.endswith("=")}
    return len(arguments) <= len(known) and set(words) <= set(known) and not set(known[: len(arguments)]) & set(words) and needed <= given


def _held_property(kind, name, found):
    def get(self):
        faulty, returned = _fault(plan.get("%s.%s" % (kind, name)))
        return returned if faulty else found.fget(self)

    def put(self, setting):
        _fault(plan.get("%s.%s=" % (kind, name)))
        found.fset(self, setting)

    return property(get, put if found.fset and "w" in RECORD["classes"][kind][name] else None)


def _hold_to_the_record():
    for kind in [name for name, found in globals().items() if isinstance(found, type)]:
        if kind in ("Enumerated", "Fault") or kind in RECORD["enums"]:
            continue
        found = globals()[kind]
        if kind not in RECORD["classes"]:
            del globals()[kind]
            continue
        recorded = RECORD["classes"][kind]
        for name, member in list(vars(found).items()):
            if name == "__init__" and name in recorded:
                setattr(found, name, _held(kind, name, member, recorded[name]))
            elif name.startswith("_") or isinstance(member, (type, Enumerated)):
                continue
            elif name not in recorded:
                delattr(found, name)
            elif isinstance(member, property):
                setattr(found, name, _held_property(kind, name, member))
            elif name not in ("log", "report_layer_time"):
                setattr(found, name, _held(kind, name, member, recorded[name]))


_hold_to_the_record()
