"""An engine from an ONNX file by TensorRT's Python package, from 8.2 to 11: what each release knows of precisions, caches and DLA."""

import hashlib

import faults
import int8_nodes
import tensorrt_package as package
from tensorrt_package import LOG, ask, assign, attempt, named, tensorrt

EXPLICIT_ALONE = (10, 0)  # from this release on there is no implicit batch, and no flag against it
STRONGLY_TYPED = (11, 0)  # from this release on types come from the network alone
OLD_WORKSPACE_MIB = 512  # before 8.4 the default of 16 MiB excludes the fast tactics
FLAGS = {  # precision to what TensorRT may compute in, beside f32
    "f32": (),
    "f16": ("FP16",),
    "bf16": ("BF16",),
    "int8": ("INT8", "FP16"),  # half precision for what is not between INT8 operations
    "best": ("FP16", "BF16", "INT8"),
}
WIDER = {"INT8": "int8", "FP16": "f16", "BF16": "bf16"}
FEW = 4  # layers that are named before "and N more"


class Recipe:
    """What makes an engine beside the network: options of the device's table, and the precision asked for."""

    def __init__(self, chosen, precision, release):
        if precision not in FLAGS:
            raise faults.Refused("TensorRT has no precision %r here; choose one of %s" % (precision, ", ".join(sorted(FLAGS))))
        self.precision, self.release = precision, release
        self.workspace_mib, self.dla_core = chosen["workspace_mib"], chosen["dla_core"]
        self.allow_gpu_fallback, self.calibration = chosen["allow_gpu_fallback"], chosen["calibration_cache"]
        if release >= STRONGLY_TYPED and precision not in ("f32", "int8"):
            told = ".".join(map(str, release)), precision
            why = "TensorRT %s computes in what a file says, and ours say float or INT8, not %s; "
            raise faults.Refused((why + "measure with --precision=f32 or int8, or with a TensorRT before 11") % told)
        if self.on_dla and precision in ("f32", "bf16"):
            raise faults.Refused(
                "DLA computes in half precision and INT8 alone; measure with --precision=f16 or int8, or leave dla_core out"
            )

    @property
    def on_dla(self):
        """Whether the engine is for a deep-learning accelerator."""
        return self.dla_core >= 0

    def flags(self, quantised):
        """The builder's flags, or Refused for one that this release lacks; what "best" may be, it need not have."""
        if self.release >= STRONGLY_TYPED:
            return []
        known, wanted = named(tensorrt, "BuilderFlag"), list(FLAGS[self.precision])
        if self.precision == "best" and not (quantised or self.calibration):
            wanted.remove("INT8")  # without scales it would compute nonsense, quickly
        missing = [name for name in wanted if not hasattr(known, name)]
        if missing and self.precision != "best":
            told = package.version(), WIDER[missing[0]]
            raise faults.Refused("TensorRT %s has no %s; measure with --precision=f32, or update TensorRT" % told)
        return [getattr(known, name) for name in wanted if name not in missing]

    def digest(self, onnx, *circumstances):
        """The name of the engine that this makes of ``onnx`` on this board."""
        told = (self.precision, self.workspace_mib, self.dla_core, self.allow_gpu_fallback, self.calibration) + circumstances
        found = hashlib.sha256(onnx)
        found.update(repr(told).encode("utf-8") + self.calibration_bytes())
        return found.hexdigest()[:32]

    def calibration_bytes(self):
        """The calibration cache's contents; empty without one."""
        if not self.calibration:
            return b""
        try:
            with open(self.calibration, "rb") as file:
                return file.read()
        except OSError as error:
            raise faults.Unusable("calibration_cache %s cannot be read on the board: %s" % (self.calibration, error.strerror))


def build(onnx, recipe, graph, timing):
    """``(engine's bytes, timing cache's bytes, notes)``. timing: a timing cache's bytes, empty for a new one, None for none at all."""
    builder = ask("start its builder", named(tensorrt, "Builder"), LOG, advice="look at nvidia-smi whether the GPU is seen")
    network = ask("make a network", builder.create_network, _network_flags(recipe.release))
    parser = ask("start its ONNX parser", named(tensorrt, "OnnxParser"), network, LOG)
    ask("read the model", _parse, parser, onnx, advice="export it at opset 13 or lower, or leave the layer out that is named")
    config = ask("make a configuration", builder.create_builder_config)
    notes = _configure(config, builder, recipe, int8_nodes.is_quantised(graph))
    notes += _onto_dla(config, builder, network, recipe) if recipe.on_dla else []
    cache, told = _timing_cache(config, timing)
    plan = ask(
        "build the model",
        builder.build_serialized_network,
        network,
        config,
        advice="ask for another precision, or see what trtexec says of it: runtime = 'trtexec'",
    )
    engine = ask("give the engine's bytes", bytes, plan)
    if not engine:
        raise faults.Refused("TensorRT %s built an engine of no bytes; %s" % (package.version(), package.MEMORY))
    return engine, _serialized(cache), notes + told


def _network_flags(release):
    if release >= EXPLICIT_ALONE:
        return 0
    return 1 << int(named(tensorrt, "NetworkDefinitionCreationFlag", "EXPLICIT_BATCH"))


def _parse(parser, onnx):
    if parser.parse(onnx):
        return True
    said = []
    for number in range(parser.num_errors):
        error = parser.get_error(number)
        said.append(str(error.desc()) if hasattr(error, "desc") else str(error))
    raise ValueError("; ".join(said)[:300] or "it says not why")


def _configure(config, builder, recipe, quantised):
    notes = []
    for flag in recipe.flags(quantised):
        attempt("compute in %s" % str(flag).split(".")[-1], config.set_flag, flag)
    if recipe.precision == "int8" and not getattr(builder, "platform_has_fast_int8", True):
        raise faults.Refused("this GPU computes nothing in INT8; measure with --precision=f16 or f32")
    if recipe.precision in ("f32", "int8"):  # 19-bit multiplications are no f32
        attempt("leave TF32 out", config.clear_flag, named(tensorrt, "BuilderFlag", "TF32"))
    if recipe.calibration:
        notes.append(["calibration cache", _calibrated(config, recipe, quantised)])
    detailed = named(tensorrt, "ProfilingVerbosity", "DETAILED")
    assign("tell its layers", config, "profiling_verbosity", detailed)
    if hasattr(config, "set_memory_pool_limit"):
        if recipe.workspace_mib:
            pool = named(tensorrt, "MemoryPoolType", "WORKSPACE")
            attempt("limit its workspace", config.set_memory_pool_limit, pool, recipe.workspace_mib << 20)
    else:
        assign("limit its workspace", config, "max_workspace_size", (recipe.workspace_mib or OLD_WORKSPACE_MIB) << 20)
    return notes


def _calibrated(config, recipe, quantised):
    if quantised:
        return "not used: the network tells its own scales (QDQ)"
    kind = getattr(tensorrt, "IInt8EntropyCalibrator2", None)
    if kind is None or not hasattr(config, "int8_calibrator"):
        told = (
            "TensorRT %s takes no calibration cache, a network tells its own scales; leave calibration_cache out, pytest bench/ quantises"
        )
        raise faults.Unusable(told % package.version())
    content = recipe.calibration_bytes()

    class Calibrated(kind):
        """Scales of a file; no pictures are asked for."""

        def __init__(self):
            kind.__init__(self)

        def get_batch_size(self):
            return 1

        def get_batch(self, names):
            return None

        def read_calibration_cache(self):
            return content

        def write_calibration_cache(self, cache):
            return None

    recipe.keeps = Calibrated()  # TensorRT holds no reference of its own in every release
    assign("take a calibration cache", config, "int8_calibrator", recipe.keeps)
    return "%s, sha256 %s" % (recipe.calibration, hashlib.sha256(content).hexdigest()[:16])


def _onto_dla(config, builder, network, recipe):
    cores = int(getattr(builder, "num_DLA_cores", 0))
    if recipe.dla_core >= cores:
        raise faults.Unusable("this device has %d DLA cores, dla_core = %d is none of them; leave dla_core out" % (cores, recipe.dla_core))
    assign("use DLA", config, "default_device_type", named(tensorrt, "DeviceType", "DLA"))
    assign("use DLA core %d" % recipe.dla_core, config, "DLA_core", recipe.dla_core)
    layers = [ask("tell its layers", network.get_layer, number) for number in range(network.num_layers)]
    elsewhere = [str(layer.name) for layer in layers if not config.can_run_on_DLA(layer)]
    named_ones = ", ".join(elsewhere[:FEW]) + (" and %d more" % (len(elsewhere) - FEW) if len(elsewhere) > FEW else "")
    if elsewhere and not recipe.allow_gpu_fallback:
        told = "DLA cannot run %d of %d layers (%s); allow them on the GPU: options = { dla_core = %d, allow_gpu_fallback = true }"
        raise faults.Refused(told % (len(elsewhere), len(layers), named_ones, recipe.dla_core))
    if recipe.allow_gpu_fallback:
        attempt("let layers run on the GPU", config.set_flag, named(tensorrt, "BuilderFlag", "GPU_FALLBACK"))
    return [["on the GPU beside DLA", "%d of %d layers%s" % (len(elsewhere), len(layers), ": " + named_ones if elsewhere else "")]]


def _timing_cache(config, timing):
    """``(cache, notes)``: of a damaged one, or of another release or GPU, is begun anew."""
    if timing is None:
        return None, []
    for content in [timing, b""] if timing else [b""]:
        try:
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, False) is not False:
                return cache, [] if content == timing else [["timing cache", "begun anew, the one there is of another release or GPU"]]
        except Exception as error:
            LOG.errors.append("timing cache: %s" % error)
    return None, [["timing cache", "none: TensorRT takes none here (%s)" % (LOG.complaints() or "no reason")]]


def _serialized(cache):
    if cache is None:
        return b""
    try:
        return bytes(cache.serialize())
    except Exception as error:
        LOG.errors.append("timing cache: %s" % error)  # an engine is worth more than the minutes that the next one may take
        return b""
