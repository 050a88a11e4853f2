"""What OpenVINO is told when it compiles a network: its plugins for CPU, GPU and NPU do not know the same properties.

[OpenVINO-devices] OpenVINO documentation, inference devices and modes: CPU, GPU and NPU device, supported properties. What a plugin
really knows is asked of it; what it does not know is not set, and said where it changes what a time means.
"""

import re

import faults

# Precision to the hint, by plugin; of a quantised network what is not quantised runs in it.
HINTS = {
    "CPU": {"f32": "f32", "bf16": "bf16", "f16": "f16", "int8": "f32"},
    "GPU": {"f32": "f32", "f16": "f16", "int8": "f16"},
    "NPU": {"f16": "f16", "int8": "f16"},  # it has no float of 32 bits
}
ELSEWHERE = ("AUTO", "HETERO", "MULTI", "BATCH")  # may run on several devices, or wait for more pictures
MISSING = {
    "GPU": "install its OpenCL driver: intel-opencl-icd",
    "NPU": "install its driver: intel-level-zero-npu with intel-driver-compiler-npu",
}
PROCESSOR = "CPU"


def plugin(device):
    """``GPU`` of ``GPU.1``."""
    return device.split(".")[0]


def check(core, device):
    """Refuse a device that is none, or may be another: Unusable, Unavailable."""
    if device.split(":")[0] in ELSEWHERE:
        raise faults.Unusable("device %r may silently run elsewhere; name one device, for example CPU" % device)
    if device in core.available_devices:
        return
    there = ", ".join(core.available_devices) or "none"
    told = "OpenVINO has no device %r here, only %s" % (device, there)
    if plugin(device) in [plugin(one) for one in core.available_devices]:
        raise faults.Unavailable(told)
    try:
        core.get_property(plugin(device), "SUPPORTED_PROPERTIES")
    except RuntimeError as error:
        words = " ".join(str(error).split()).rsplit('": ', 1)[-1]  # behind the library that cannot be loaded
        told += " (%s)" % re.sub(r"(Exception from \S+ )+", "", words)[:160]
    raise faults.Unavailable(told + ("; " + MISSING[plugin(device)] if plugin(device) in MISSING else ""))


def config(core, device, wanted, threads):
    """Property to what it is set to, of those that the device's plugin knows; Refused for a precision that it has not."""
    hints = HINTS.get(plugin(device), HINTS["GPU"])
    if wanted["precision"] not in hints:
        raise faults.Refused(
            "OpenVINO on %s has no precision %r; choose one of %s" % (device, wanted["precision"], ", ".join(sorted(hints)))
        )
    streams = wanted.get("streams", 0)
    if streams > threads and plugin(device) == PROCESSOR:
        raise faults.Refused("%d streams need a thread each, %d is allowed; give --threads=%d or more" % (streams, threads, streams))
    wishes = {
        "PERFORMANCE_HINT": "THROUGHPUT" if streams else "LATENCY",
        "NUM_STREAMS": streams or 1,
        "INFERENCE_PRECISION_HINT": hints[wanted["precision"]],
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": True,
        "ENABLE_HYPER_THREADING": False,
        "PERF_COUNT": bool(wanted["profile"]),
        "NPU_BYPASS_UMD_CACHING": True,  # else the driver answers from a cache of its own, and loading is not compiling
    }
    known = settable(core, device)
    return {name: wish for name, wish in wishes.items() if name in known}


def settable(core, device):
    """The properties that a device's plugin lets be set."""
    told = core.get_property(device, "SUPPORTED_PROPERTIES")
    return {str(name) for name in told if not hasattr(told, "items") or str(told[name]) != "RO"}


def precision(compiled, device, asked):
    """What the compiled network computes in; the hint that was asked for where the plugin does not tell."""
    try:
        return compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except RuntimeError:
        return HINTS.get(plugin(device), HINTS["GPU"])[asked]


def number(compiled, name, otherwise):
    """A whole property of the compiled network, or ``otherwise`` where its plugin has none of the name."""
    try:
        return int(compiled.get_property(name))
    except RuntimeError:
        return otherwise
