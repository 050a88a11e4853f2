"""What trtexec is asked by flags, release by release: precisions, CUDA graphs, DLA, and the flags that a device's table hands through."""

import faults
import trtexec_files

OLD_WORKSPACE_MIB = 512  # before 8.4 the default of 16 MiB excludes the fast tactics
STRONGLY_TYPED = (11, 0, 0)  # from this release on types come from the network alone
PRECISIONS = {"f32": None, "f16": "fp16", "bf16": "bf16", "int8": "int8", "best": "best"}
OPTION_OF = {  # flags that the runtime sets itself, with where they are set instead
    "fp16": "--precision",
    "bf16": "--precision",
    "int8": "--precision",
    "fp8": "--precision",
    "best": "--precision",
    "noTF32": "--precision",
    "stronglyTyped": "--precision",
    "useCudaGraph": "cuda_graph",
    "noCudaGraph": "cuda_graph",
    "useDLACore": "dla_core",
    "allowGPUFallback": "allow_gpu_fallback",
    "workspace": "workspace_mib",
    "memPoolSize": "workspace_mib",
    "timingCacheFile": "timing_cache",
    "idleTime": "--pace",
    "iterations": "--rounds",
    "duration": "--min-time",
}
OURS = (
    *("help", "h", "onnx", "saveEngine", "loadEngine", "loadInputs", "exportOutput", "exportTimes", "exportProfile", "exportLayerInfo"),
    *("dumpProfile", "separateProfileRun", "profilingVerbosity", "skipInference", "buildOnly", "useSpinWait", "noSpinWait"),
    *(
        "noDataTransfers",
        "includeDataTransfers",
        "warmUp",
        "batch",
        "shapes",
        "minShapes",
        "optShapes",
        "maxShapes",
        "streams",
        "infStreams",
        "threads",
    ),
    *("avgRuns", "percentile", "verbose", "v", "safe", "buildDLAStandalone"),
)


class Flags:
    """chosen: options of the device's table. known: what ``--help`` lists. release: ``(8, 5, 2)`` or None, in words: told."""

    def __init__(self, chosen, known, release, told):
        self.known, self.release, self.told = known, release, told
        self.workspace_mib, self.dla_core, self.fallback = chosen["workspace_mib"], chosen["dla_core"], chosen["allow_gpu_fallback"]
        self.cuda_graph, self.handed = chosen["cuda_graph"], list(chosen["flags"])
        for word in self.handed:
            self._check(word)
        if self.cuda_graph and not known & {"useCudaGraph", "noCudaGraph"}:
            raise faults.Unusable("trtexec of TensorRT %s has no CUDA graphs; leave cuda_graph out" % told)
        if self.dla_core >= 0 and "useDLACore" not in known:
            raise faults.Unusable("trtexec of TensorRT %s has no --useDLACore; leave dla_core out" % told)

    def settings(self):
        """``[key, text]`` of what changes times beside the precision: conditions of a measurement."""
        found = [["set: cuda_graph", "True"]] if self.cuda_graph else []
        found += [["set: dla_core", str(self.dla_core)]] if self.dla_core >= 0 else []
        found += [["set: allow_gpu_fallback", "True"]] if self.fallback else []
        found += [["set: workspace_mib", str(self.workspace_mib)]] if self.workspace_mib else []
        return found + ([["set: flags", " ".join(self.handed)]] if self.handed else [])

    def of_building(self, precision, timing_cache):
        """Arguments of a build. timing_cache: a path, or empty for none."""
        flags = self._of_precision(precision) + self._of_dla(precision)
        flags += ["--skipInference"] if "skipInference" in self.known else ["--buildOnly"] if "buildOnly" in self.known else []
        flags += ["--profilingVerbosity=detailed"] if "profilingVerbosity" in self.known else []
        if "memPoolSize" in self.known:
            flags += ["--memPoolSize=workspace:%d" % self.workspace_mib] if self.workspace_mib else []
        elif "workspace" in self.known:
            flags.append("--workspace=%d" % (self.workspace_mib or OLD_WORKSPACE_MIB))
        flags += ["--timingCacheFile=" + timing_cache] if timing_cache and "timingCacheFile" in self.known else []
        return flags + self.handed

    def of_running(self):
        """Arguments of every run of an engine: a tight loop without copies, alike in every release.

        From 11.0 on trtexec captures a CUDA graph unless it is told not to, and the flags for what is usual there warn.
        """
        flags = [] if "noSpinWait" in self.known else ["--useSpinWait"]
        flags += [] if "includeDataTransfers" in self.known else ["--noDataTransfers"]
        if "noCudaGraph" in self.known:
            flags += [] if self.cuda_graph else ["--noCudaGraph"]
        elif self.cuda_graph:
            flags.append("--useCudaGraph")
        flags += ["--useDLACore=%d" % self.dla_core] if self.dla_core >= 0 else []
        return flags + self.handed

    def _check(self, word):
        name = word.lstrip("-").split("=")[0]
        if not word.startswith("--") or not name:
            raise faults.Unusable("flags holds %r, which is no flag; write for example flags = ['--sparsity=enable']" % word)
        if name in OPTION_OF:
            raise faults.Unusable("flags holds %s, which this runtime sets itself; set it by %s" % (word, OPTION_OF[name]))
        if name in OURS:
            raise faults.Unusable("flags holds %s, which this runtime sets itself, or could not read the outcome of; leave it out" % word)
        if name not in self.known:
            raise faults.Unusable("flags holds %s, trtexec of TensorRT %s has no --%s; see trtexec --help" % (word, self.told, name))

    def _of_precision(self, precision):
        if precision not in PRECISIONS:
            raise faults.Refused("TensorRT has no precision %r here; choose one of %s" % (precision, ", ".join(sorted(PRECISIONS))))
        name, typed = PRECISIONS[precision], bool(self.release) and self.release >= STRONGLY_TYPED
        if typed and precision == "int8":
            name = None  # a quantised network says by itself what runs in INT8, with --int8 or without
        if name and name not in self.known:
            if typed:
                why = "TensorRT %s has no --%s: it computes in what a file says, and ours say float or INT8; "
                raise faults.Refused((why + "measure with --precision=f32 or int8, or with a TensorRT before 11") % (self.told, name))
            raise faults.Refused("trtexec of TensorRT %s has no --%s; measure with --precision=f32, or update TensorRT" % (self.told, name))
        flags = ["--" + name] if name else []
        flags += ["--fp16"] if precision == "int8" and "fp16" in self.known else []  # for what is not between INT8 operations
        flags += ["--noTF32"] if precision == "f32" and "noTF32" in self.known else []  # 19-bit multiplications are no f32
        return flags

    def _of_dla(self, precision):
        if self.dla_core < 0:
            return []
        if precision in ("f32", "bf16"):
            raise faults.Refused(
                "DLA computes in half precision and INT8 alone; measure with --precision=f16 or int8, or leave dla_core out"
            )
        return ["--useDLACore=%d" % self.dla_core] + (["--allowGPUFallback"] if self.fallback else [])


def refused(told, log):
    """Why a build failed, in one line; layers that DLA cannot run are TensorRT's to name."""
    said = trtexec_files.complaints(log)[:600]
    advice = "; let them run on the GPU: options = { allow_gpu_fallback = true }" if "DLA" in said and "allback" in said else ""
    return faults.Refused("TensorRT %s cannot build the model: %s%s" % (told, said, advice))
