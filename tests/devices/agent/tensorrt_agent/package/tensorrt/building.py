"""The stand-in's builder: an ONNX file in, an engine out that holds it, refused for what the real one refuses."""

import json

from tensorrt import arithmetic
from tensorrt.release import DLA_CORES, ENUMS, NOT_ON_DLA, RECORD, RELEASE, SEVERITY, VERSION, begun, complain, setting


class ILogger(object):
    def __init__(self):
        self.begun = True

    def log(self, severity, msg):
        raise NotImplementedError


ILogger.Severity = SEVERITY
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
        return IHostMemory(self.content or b"tactics of " + VERSION.encode())


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
        explicit = RELEASE >= (10, 0) or self.network.flags & 1 << int(ENUMS["NetworkDefinitionCreationFlag"].EXPLICIT_BATCH)
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
        return None if content and VERSION.encode() not in content else ITimingCache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        self.cache = cache
        return True

    def can_run_on_DLA(self, layer):
        return layer.node.op not in NOT_ON_DLA


for _name in ("max_workspace_size", "profiling_verbosity", "default_device_type", "DLA_core", "int8_calibrator"):
    setattr(IBuilderConfig, _name, setting(_name))


class Builder(object):
    def __init__(self, logger):
        begun(logger)
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
            return complain(network.logger, "Networks with QDQ operations must set BuilderFlag::kINT8")
        if "INT8" in config.chosen and not quantised and not (calibrator and calibrator.read_calibration_cache()):
            return complain(network.logger, "Calibration failure occurred with no scaling factors detected")
        on_dla = config.default_device_type is not None and config.default_device_type.name == "DLA"
        if on_dla and "GPU_FALLBACK" not in config.chosen and not all(config.can_run_on_DLA(ILayer(node)) for node in network.graph.nodes):
            return complain(network.logger, "layer cannot run on DLA and GPU fallback is not enabled")
        detailed = config.profiling_verbosity is not None and config.profiling_verbosity.name == "DETAILED"
        form = "FP16" if "FP16" in config.chosen else "BF16" if "BF16" in config.chosen else "FP32"
        told = {
            "version": VERSION,
            "detailed": detailed,
            "form": form,
            "quantised": quantised,
            "dla": config.DLA_core if on_dla else None,
        }
        return IHostMemory(json.dumps(dict(told, calibrated=bool(calibrator))).encode() + b"\n" + network.onnx)
