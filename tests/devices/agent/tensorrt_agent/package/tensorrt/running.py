"""The stand-in's engines: their tensors, their runs on the stand-in of CUDA, the times and the facts of their layers."""

import ctypes
import json

from tensorrt import arithmetic
from tensorrt.release import CUDART, ENUMS, RELEASE, VERSION, begun, complain, plan, setting


class Runtime(object):
    def __init__(self, logger):
        begun(logger)
        self.made_for, self._settings = logger, {}

    def deserialize_cuda_engine(self, serialized_engine):
        head, _, onnx = bytes(serialized_engine).partition(b"\n")
        try:
            told = json.loads(head.decode())
            if told["version"] != VERSION:
                return complain(self.made_for, "The engine plan file is not compatible with this version of TensorRT")
            if told["dla"] is not None and told["dla"] != self.DLA_core:
                return complain(self.made_for, "the engine is for another DLA core")
            return ICudaEngine(self.made_for, told, onnx)
        except (ValueError, KeyError):
            return complain(self.made_for, "Serialization assertion magicTagRead == kMAGIC_TAG failed")


Runtime.DLA_core = setting("DLA_core")


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
        return ENUMS["DataType"].FLOAT

    def _named(self, name):
        return next(tensor for tensor in self.tensors if tensor[0] == name)

    def get_tensor_mode(self, name):
        return ENUMS["TensorIOMode"].INPUT if self._named(name)[2] else ENUMS["TensorIOMode"].OUTPUT

    def get_tensor_shape(self, name):
        return tuple(self._named(name)[1])

    def get_tensor_dtype(self, name):
        return ENUMS["DataType"].FLOAT

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
            complain(self.of.made_for, "an address is not set, or not of the device")
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
    setattr(IExecutionContext, _name, setting(_name))


class EngineInspector(object):
    def __init__(self, engine):
        self.of, self._settings = engine, {}

    def get_engine_information(self, format):
        return arithmetic.information(self.of.graph, self.of.told, RELEASE) if format.name == "JSON" else "no JSON"


EngineInspector.execution_context = setting("execution_context")
