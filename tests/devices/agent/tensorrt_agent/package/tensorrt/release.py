"""The release that the stand-in stands for: its record, its enumerations, its library of CUDA, and the faults to commit."""

import ctypes
import json
import os

with open(os.path.join(os.path.dirname(__file__), "..", "..", "recorded.json")) as _file:
    RECORD = json.load(_file)[os.environ["STAND_IN_TENSORRT"]]
VERSION = os.environ["STAND_IN_TENSORRT"] + ".1"
RELEASE = tuple(int(part) for part in os.environ["STAND_IN_TENSORRT"].split("."))
CUDART = ctypes.CDLL(os.environ["STAND_IN_CUDART"])
CUDART.standInWork.argtypes = (ctypes.c_void_p, ctypes.CFUNCTYPE(None), ctypes.c_double)
CUDART.standInIsDevice.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
DLA_CORES = int(os.environ.get("STAND_IN_DLA_CORES", "2"))
NOT_ON_DLA = ("Gemm", "MatMul", "Softmax")
plan = {}


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


ENUMS = {kind: _enumeration(kind, values) for kind, values in RECORD["enums"].items()}
SEVERITY = ENUMS["ILogger.Severity"]


def setting(name):
    return property(lambda self: self._settings.get(name), lambda self, setting: self._settings.update({name: setting}))


def begun(logger):
    if not getattr(logger, "begun", False):
        raise TypeError("%s.__init__() must be called when overriding __init__" % type(logger).__name__)


def complain(logger, text):
    logger.log(SEVERITY.ERROR, text)
