"""CUDA's runtime library by ctypes: memory, copies, a stream, events, graphs; every error by its code, with what to do.

Neither cuda-python nor pycuda comes with a JetPack, and both are built for one Python and one CUDA; libcudart is there wherever TensorRT
is, from CUDA 10.2 (JetPack 4.6) to 13, and its C functions are the same in all of them but ``cudaGraphInstantiate``.
"""

import ctypes
import glob
import os
import re
import sys

import faults

NAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so.10.2", "libcudart.so")
PLACES = ("/usr/local/cuda/lib64/", "/usr/local/cuda-*/lib64/", "/usr/local/cuda*/targets/*/lib/")
SPIN = 1  # cudaDeviceScheduleSpin: the thread that waits keeps its processor, as trtexec --useSpinWait
TO_DEVICE, TO_HOST = 1, 2
RELAXED = 2  # cudaStreamCaptureModeRelaxed
MAJOR, MINOR = 75, 76  # of the compute capability, among the device's attributes
OUT_OF_MEMORY = 2
GRAPH_FLAGS_SINCE = 12000  # of CUDA: cudaGraphInstantiate takes flags from there on, before them a place for a log

_MEMORY = "free some on the device (end other programs, add swap), or give a smaller network or batch"
_LOST = "the GPU's context is lost with it: start again, and look into dmesg if it comes back"
_DRIVER = "install a CUDA that the driver knows, or a newer driver"
ADVICE = {
    OUT_OF_MEMORY: _MEMORY,
    3: "start again; if it comes back, restart the device",
    35: _DRIVER,
    46: "another process holds the GPU in exclusive mode: end it",
    100: "no GPU is seen: look at nvidia-smi, or give the container one (--runtime nvidia, --gpus all)",
    101: "no GPU of that number is seen: unset CUDA_VISIBLE_DEVICES",
    209: "this TensorRT or CUDA was not built for this GPU: install those of its JetPack",
    222: _DRIVER,
    700: _LOST,
    710: _LOST,
    719: _LOST,
    801: "leave the option out that asks for it (cuda_graph), or update the driver",
    802: "the system is not ready: wait for the GPU's services, or restart it",
    803: _DRIVER,
    804: _DRIVER,
    900: "leave cuda_graph out: this network cannot be captured",
    901: "leave cuda_graph out: this network cannot be captured",
}
OTHERWISE = "look for this cudaError_t in CUDA's documentation, and at dmesg"

_P, _I, _U, _Z, _F = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint, ctypes.c_size_t, ctypes.c_float
_OUT = ctypes.POINTER(_P)
SIGNATURES = {
    "cudaRuntimeGetVersion": (ctypes.POINTER(_I),),
    "cudaDriverGetVersion": (ctypes.POINTER(_I),),
    "cudaGetDeviceCount": (ctypes.POINTER(_I),),
    "cudaSetDeviceFlags": (_U,),
    "cudaDeviceGetAttribute": (ctypes.POINTER(_I), _I, _I),
    "cudaMemGetInfo": (ctypes.POINTER(_Z), ctypes.POINTER(_Z)),
    "cudaMalloc": (_OUT, _Z),
    "cudaFree": (_P,),
    "cudaMallocHost": (_OUT, _Z),
    "cudaFreeHost": (_P,),
    "cudaMemcpyAsync": (_P, _P, _Z, _I, _P),
    "cudaStreamCreate": (_OUT,),
    "cudaStreamDestroy": (_P,),
    "cudaStreamSynchronize": (_P,),
    "cudaEventCreate": (_OUT,),
    "cudaEventDestroy": (_P,),
    "cudaEventRecord": (_P, _P),
    "cudaEventSynchronize": (_P,),
    "cudaEventElapsedTime": (ctypes.POINTER(_F), _P, _P),
    "cudaStreamBeginCapture": (_P, _I),
    "cudaStreamEndCapture": (_P, _OUT),
    "cudaGraphLaunch": (_P, _P),
    "cudaGraphDestroy": (_P,),
    "cudaGraphExecDestroy": (_P,),
}


class Cuda:
    """One library and the first GPU that it sees. path: the library. version, driver: of CUDA, 12060 for 12.6."""

    def __init__(self, wanted=""):
        self.library, self.path = _load(str(wanted))
        for name, arguments in SIGNATURES.items():
            if not hasattr(self.library, name):
                raise faults.Unavailable("%s has no %s; give the path of CUDA's own: options = { cudart = PATH }" % (self.path, name))
            function = getattr(self.library, name)
            function.argtypes, function.restype = arguments, _I
        self.library.cudaGetErrorString.restype = ctypes.c_char_p
        self.version, self.driver = self._number("cudaRuntimeGetVersion"), self._number("cudaDriverGetVersion")
        if self._number("cudaGetDeviceCount") < 1:
            raise faults.Unavailable("CUDA sees no GPU; %s" % ADVICE[100])
        self.library.cudaSetDeviceFlags(SPIN)  # refused where something has used the GPU before; then the driver chooses

    def call(self, name, *arguments):
        """Call a function of the library; Refused where memory is short, Unavailable for any other error."""
        code = getattr(self.library, name)(*arguments)
        if code:
            told = (self.library.cudaGetErrorString(code) or b"no such error").decode("utf-8", "replace")
            said = "%s failed with %d (%s); %s" % (name, code, told, ADVICE.get(code, OTHERWISE))
            raise faults.Refused(said) if code == OUT_OF_MEMORY else faults.Unavailable(said)

    def capability(self):
        """``8.7``."""
        found = []
        for attribute in (MAJOR, MINOR):
            number = _I()
            self.call("cudaDeviceGetAttribute", ctypes.byref(number), attribute, 0)
            found.append(number.value)
        return "%d.%d" % tuple(found)

    def free_bytes(self):
        """Memory of the device that is not in use."""
        free, total = _Z(), _Z()
        self.call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def made(self, name, *arguments):
        """The handle or the address that a function makes."""
        handle = _P()
        self.call(name, ctypes.byref(handle), *arguments)
        if not handle.value:
            raise faults.Unavailable("%s made nothing and told no error; %s" % (name, OTHERWISE))
        return handle.value

    def copy(self, to, source, count, kind, stream):
        """Begin to copy ``count`` bytes."""
        self.call("cudaMemcpyAsync", to, source, count, kind, stream)

    def elapsed_ms(self, begin, end):
        """Between two events that have passed."""
        found = _F()
        self.call("cudaEventElapsedTime", ctypes.byref(found), begin, end)
        return found.value

    def capture(self, stream, work):
        """What ``work`` puts into the stream as a graph."""
        self.call("cudaStreamBeginCapture", stream, RELAXED)
        try:
            work()
        finally:
            graph = _P()
            code = self.library.cudaStreamEndCapture(stream, ctypes.byref(graph))
        if code or not graph.value:
            raise faults.Refused("CUDA cannot capture the inference as a graph (cudaStreamEndCapture: %d); leave cuda_graph out" % code)
        return graph.value

    def instantiated(self, graph):
        """A graph that can be launched; before CUDA 12 the function takes a place for its log instead of flags."""
        executable = _P()
        if self.version >= GRAPH_FLAGS_SINCE:
            self.library.cudaGraphInstantiate.argtypes = (_OUT, _P, ctypes.c_ulonglong)
            self.call("cudaGraphInstantiate", ctypes.byref(executable), graph, 0)
        else:
            self.library.cudaGraphInstantiate.argtypes = (_OUT, _P, _P, _P, _Z)
            self.call("cudaGraphInstantiate", ctypes.byref(executable), graph, None, None, 0)
        return executable.value

    def _number(self, name):
        number = _I()
        self.call(name, ctypes.byref(number))
        return number.value


def _load(wanted):
    """``(library, path)``: as given, as something has loaded it already, by name, or where CUDA, JetPack and pip put it."""
    tried = []
    for path in [os.path.expanduser(wanted)] if wanted else _candidates():
        try:
            return ctypes.CDLL(path), path
        except OSError as error:
            tried.append(str(error).split("\n")[0])
    advice = "install CUDA's runtime (cuda-cudart), or set options = { cudart = PATH }"
    raise faults.Unavailable("no libcudart can be loaded (%s); %s" % (tried[0] if wanted else "tried %d places" % len(tried), advice))


def _candidates():
    try:
        with open("/proc/self/maps") as maps:
            loaded = re.findall(r"(/\S*/libcudart\.so[\w.]*)$", maps.read(), re.M)
    except OSError:
        loaded = []
    pip = [os.path.join(folder, "nvidia", "*", "lib", "libcudart.so*") for folder in sys.path if folder]
    globs = [place + "libcudart.so*" for place in PLACES] + pip
    return sorted(set(loaded)) + list(NAMES) + [path for one in globs for path in sorted(glob.glob(one), reverse=True)]
