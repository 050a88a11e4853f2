"""An engine on the GPU with its buffers: one inference at a time by stream, events and, on request, a CUDA graph."""

import array
import ctypes
import random
import struct

import faults
import tensorrt_package as package
from libcudart import TO_DEVICE, TO_HOST
from tensorrt_package import LOG, ask, assign, attempt, named, tensorrt

NAMES_SINCE = (8, 5)  # releases before know tensors by the number of their binding
ITEM_BYTES = {"FLOAT": 4, "HALF": 2, "BF16": 2, "INT8": 1, "UINT8": 1, "BOOL": 1, "INT32": 4, "INT64": 8}
NOISE = 1 << 14  # values drawn; longer inputs repeat them
COPIES = 20  # timed for the record, each way
HALF = struct.Struct("<e")


class Unloadable(faults.Refused):
    """TensorRT does not take the bytes of an engine: made by another release, or for another GPU."""


class LayerTimes(tensorrt.IProfiler):
    """Milliseconds of every layer, inference by inference, in the order in which TensorRT reports them; it must never raise."""

    def __init__(self):
        tensorrt.IProfiler.__init__(self)
        self.inferences, self.now = [], []

    def report_layer_time(self, layer_name, ms):
        self.now.append((str(layer_name), float(ms)))

    def end(self):
        """End an inference; whether any layer was told."""
        told, self.now = self.now, []
        self.inferences += [told] if told else []
        return bool(told)


class Tensor:
    """An input or output: name, dims, type (``FLOAT``), whether it goes in, and where it lies on the device and, pinned, on the host."""

    def __init__(self, name, dims, kind, goes_in):
        self.name, self.dims, self.kind, self.goes_in = name, dims, kind, goes_in
        if kind not in ITEM_BYTES or min(dims, default=1) < 1:
            said = "x".join(map(str, dims)), kind
            raise faults.Refused(
                "the engine's tensor %s is of %s %s; give a network with all sizes fixed, in float or integers" % ((name,) + said)
            )
        self.count = _product(dims)
        self.bytes = self.count * ITEM_BYTES[kind]
        self.device = self.host = None

    def told(self):
        """``input FLOAT 1x3x32x32``."""
        return "%s %s %s" % (self.name, self.kind, "x".join(map(str, self.dims)) or "one")

    def values(self):
        """The host's copy as floats; Refused for what is none."""
        content = ctypes.string_at(self.host, self.bytes)
        if self.kind == "FLOAT":
            return array.array("f", content)
        if self.kind == "HALF":
            return array.array("f", [one for (one,) in HALF.iter_unpack(content)])
        raise faults.Refused("the output %s is in %s, answers are asked for in float alone" % (self.name, self.kind))


class Execution:
    """An engine that can run. plan: its bytes. profiled: whether layers are timed. graph: whether it is launched as a CUDA graph."""

    def __init__(self, cuda, plan, profiled, graph, dla_core=-1):
        self.cuda, self.owned, self.launched, self.times = cuda, [], None, None
        before = cuda.free_bytes()
        runtime = ask("start its runtime", named(tensorrt, "Runtime"), LOG, advice="look at nvidia-smi whether the GPU is seen")
        if dla_core >= 0:
            assign("use DLA core %d" % dla_core, runtime, "DLA_core", dla_core)
        self.runtime = runtime  # an engine must not outlive it
        try:
            try:
                self.engine = ask("load the engine", runtime.deserialize_cuda_engine, plan, advice="start again, it is then built anew")
            except faults.Refused as error:
                raise Unloadable(str(error))
            self.context = ask("make an execution context", self.engine.create_execution_context)
            self.stream = self._made("cudaStreamCreate", "cudaStreamDestroy")
            self.begin, self.end = (self._made("cudaEventCreate", "cudaEventDestroy") for _ in range(2))
            self.tensors = self._tensors()
            for number, tensor in enumerate(self.tensors):
                tensor.device = self._made("cudaMalloc", "cudaFree", tensor.bytes)
                tensor.host = self._made("cudaMallocHost", "cudaFreeHost", tensor.bytes)
                if tensor.goes_in:
                    _fill(tensor, number)
            self.enqueue = self._enqueuing()
            self.copy_in()
            if profiled:
                self._profile()
            self.first_ms = self.run()
            if graph and not profiled:
                self._capture()
            self.used_bytes = max(0, before - cuda.free_bytes())
        except BaseException:
            self.close()
            raise

    def run(self):
        """One inference from begin to end; milliseconds between two events on the GPU."""
        call = self.cuda.call
        call("cudaEventRecord", self.begin, self.stream)
        if self.launched is not None:
            call("cudaGraphLaunch", self.launched, self.stream)
        elif self.enqueue() is not True:
            raise faults.Refused(_failed())
        call("cudaEventRecord", self.end, self.stream)
        call("cudaEventSynchronize", self.end)
        if self.times is not None:
            self._collect()
        return self.cuda.elapsed_ms(self.begin, self.end)

    def copy_in(self):
        """Every input from the host to the device."""
        for tensor in self.inputs():
            self.cuda.copy(tensor.device, tensor.host, tensor.bytes, TO_DEVICE, self.stream)
        self.cuda.call("cudaStreamSynchronize", self.stream)

    def copy_out(self, tensor):
        """One output from the device to the host."""
        self.cuda.copy(tensor.host, tensor.device, tensor.bytes, TO_HOST, self.stream)
        self.cuda.call("cudaStreamSynchronize", self.stream)

    def inputs(self):
        """Tensors that go in."""
        return [tensor for tensor in self.tensors if tensor.goes_in]

    def output(self, name):
        """The output of that name, or the first where TensorRT renamed it."""
        outputs = [tensor for tensor in self.tensors if not tensor.goes_in]
        if not outputs:
            raise faults.Refused("the engine has no output; remove the engine_cache folder and build again")
        return next((tensor for tensor in outputs if tensor.name == name), outputs[0])

    def copies(self):
        """What is copied around an inference, outside of its time: each tensor, its bytes, and the median of its copies by events."""
        found = []
        for tensor in self.tensors:
            to, source, kind = (tensor.device, tensor.host, TO_DEVICE) if tensor.goes_in else (tensor.host, tensor.device, TO_HOST)
            times = []
            for _ in range(COPIES):
                self.cuda.call("cudaEventRecord", self.begin, self.stream)
                self.cuda.copy(to, source, tensor.bytes, kind, self.stream)
                self.cuda.call("cudaEventRecord", self.end, self.stream)
                self.cuda.call("cudaEventSynchronize", self.end)
                times.append(self.cuda.elapsed_ms(self.begin, self.end))
            told = "%s, %d bytes, %.4g ms (median of %d), outside of the latency" % (
                tensor.told(),
                tensor.bytes,
                sorted(times)[COPIES // 2],
                COPIES,
            )
            found.append(["copied to the device" if tensor.goes_in else "copied to the host", told])
        return found

    def layer_information(self):
        """The inspector's JSON of the whole engine, as trtexec exports it; empty where TensorRT tells nothing."""
        if not hasattr(self.engine, "create_engine_inspector"):
            return ""
        inspector = ask("inspect the engine", self.engine.create_engine_inspector)
        if hasattr(inspector, "execution_context"):
            attempt("inspect the engine", setattr, inspector, "execution_context", self.context)
        form = named(tensorrt, "LayerInformationFormat", "JSON")
        return str(ask("tell its layers", inspector.get_engine_information, form))

    def close(self):
        """Give back everything that was made, the last first; what does not go is left to the process's end."""
        self.context = self.engine = self.enqueue = None
        while self.owned:
            free, handle = self.owned.pop()
            getattr(self.cuda.library, free)(handle)

    def _made(self, make, free, *arguments):
        handle = self.cuda.made(make, *arguments)
        self.owned.append((free, handle))
        return handle

    def _tensors(self):
        engine, by_name = self.engine, package.release() >= NAMES_SINCE
        found = []
        for number in range(int(named(engine, "num_io_tensors" if by_name else "num_bindings"))):
            if by_name:
                name = ask("name its tensors", engine.get_tensor_name, number)
                goes_in = engine.get_tensor_mode(name) == named(tensorrt, "TensorIOMode", "INPUT")
                dims, kind = engine.get_tensor_shape(name), engine.get_tensor_dtype(name)
            else:
                name = ask("name its tensors", engine.get_binding_name, number)
                goes_in, dims, kind = engine.binding_is_input(number), engine.get_binding_shape(number), engine.get_binding_dtype(number)
            try:
                sizes = [int(size) for size in dims]
            except (TypeError, ValueError) as error:
                raise faults.Refused("TensorRT %s tells no size of tensor %s (%s); %s" % (package.version(), name, error, package.TRTEXEC))
            found.append(Tensor(str(name), sizes, str(kind).split(".")[-1], bool(goes_in)))
        if not any(tensor.goes_in for tensor in found):
            raise faults.Refused("the engine has no input; remove the engine_cache folder and build again")
        return found

    def _enqueuing(self):
        """The call that puts one inference into the stream."""
        context, stream = self.context, self.stream
        if package.release() >= NAMES_SINCE:
            for tensor in self.tensors:
                ask("take the address of %s" % tensor.name, context.set_tensor_address, tensor.name, tensor.device)
            execute = named(context, "execute_async_v3")
            return lambda: execute(stream_handle=stream)
        execute, bindings = named(context, "execute_async_v2"), [tensor.device for tensor in self.tensors]
        return lambda: execute(bindings=bindings, stream_handle=stream)

    def _profile(self):
        self.times = LayerTimes()
        assign("time its layers", self.context, "profiler", self.times)
        assign("time its layers", self.context, "enqueue_emits_profile", False)  # told after the inference, which stays asynchronous

    def _collect(self):
        ask("tell the layers' times", self.context.report_to_profiler)
        if not self.times.end():
            raise faults.Refused("TensorRT %s times no layer of this engine; %s" % (package.version(), package.TRTEXEC))

    def _capture(self):
        def work():
            if self.enqueue() is not True:
                raise faults.Refused(_failed())

        graph = self.cuda.capture(self.stream, work)
        self.owned.append(("cudaGraphDestroy", graph))
        self.launched = self.cuda.instantiated(graph)
        self.owned.append(("cudaGraphExecDestroy", self.launched))
        self.run()


def _failed():
    return "TensorRT %s cannot run the model (%s); %s" % (package.version(), LOG.complaints() or "it says not why", package.MEMORY)


def _fill(tensor, seed):
    """Noise where an input is in float, ones where it counts, masks or points at rows of a table."""
    drawn = random.Random(seed)
    if tensor.kind == "FLOAT":
        block = array.array("f", [drawn.gauss(0, 1) for _ in range(min(tensor.count, NOISE))]).tobytes()
    elif tensor.kind == "HALF":
        block = b"".join(HALF.pack(drawn.gauss(0, 1)) for _ in range(min(tensor.count, NOISE)))
    else:
        block = (1).to_bytes(ITEM_BYTES[tensor.kind], "little") * min(tensor.count, NOISE)
    ctypes.memmove(tensor.host, (block * (-(-tensor.bytes // len(block))))[: tensor.bytes], tensor.bytes)


def _product(dims):
    product = 1
    for size in dims:
        product *= size
    return product
