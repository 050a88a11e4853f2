"""Stands in for NVIDIA's trtexec: its flags, log, files and number format of one TensorRT version; times are made up.

Run as ``python trtexec_stand_in.py VERSION [flags]``. An engine is a JSON file with the ONNX bytes in it.
"""

import base64
import json
import random
import shlex
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "harness" / "devices" / "agent"))
import int8_nodes
import onnx_reader
import onnx_shapes
import roofline

sys.path.pop(0)

COMMON = (
    *("help", "verbose", "onnx", "noTF32", "sparsity", "useDLACore", "allowGPUFallback", "saveEngine", "loadEngine", "timingCacheFile"),
    *("warmUp", "iterations", "duration", "idleTime", "useSpinWait", "noDataTransfers", "useCudaGraph", "avgRuns", "percentile"),
    *("dumpProfile", "exportProfile", "exportTimes", "separateProfileRun", "loadInputs", "exportOutput"),
)
FIRST, LAST = (0, 0), (99, 0)
FLAGS = {  # from this release, before that one
    "exportLayerInfo": ((8, 2), LAST),
    "profilingVerbosity": ((8, 2), LAST),
    "workspace": (FIRST, (10, 0)),
    "memPoolSize": ((8, 4), LAST),
    "buildOnly": (FIRST, (10, 0)),
    "skipInference": ((8, 6), LAST),
    "fp16": (FIRST, (11, 0)),
    "int8": (FIRST, (11, 0)),
    "bf16": ((10, 0), (11, 0)),
    "best": (FIRST, (11, 0)),
    "noCudaGraph": ((11, 0), LAST),
    "noSpinWait": ((11, 0), LAST),
    "includeDataTransfers": ((11, 0), LAST),
}
SLEEPS_FROM_S = 5  # a longer duration is really waited for


def install(directory: Path, version: str) -> Path:
    """A program in ``directory`` that behaves as trtexec of this TensorRT version."""
    script = directory / f"trtexec-{version}"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(Path(__file__)), version])} "$@"\n')
    script.chmod(0o755)
    return script


def main() -> int:
    release = tuple(int(part) for part in sys.argv[1].split("."))
    major, minor, patch = (*release, 0, 0)[:3]
    number = major * 1000 + minor * 100 + patch if major < 10 else major * 10000 + minor * 100 + patch
    banner = f"TensorRT.trtexec [TensorRT v{number}] # trtexec {' '.join(sys.argv[2:])}"
    print(f"&&&& RUNNING {banner}")
    try:
        run(release, options(release, sys.argv[2:]))
    except (ValueError, OSError, onnx_reader.NotOnnx) as error:
        print(f"[11/23/2026-10:00:00] [E] {error}")
        print(f"&&&& FAILED {banner}")
        return 1
    print(f"&&&& PASSED {banner}")
    print("[11/23/2026-10:00:01] [I] done")
    return 0


def options(release: tuple[int, ...], words: list[str]) -> dict[str, str]:
    known = {*COMMON, *(flag for flag, (first, last) in FLAGS.items() if first <= release < last)}
    found = {}
    for word in words:
        name, _, setting = word.removeprefix("--").partition("=")
        if name not in known or not word.startswith("--"):
            raise ValueError(f"Unknown option: {word}")
        found[name] = setting
    if "help" in found:
        print("\n".join(f"  --{flag}=N   does what it says" for flag in sorted(known)))
    return found


def run(release: tuple[int, ...], chosen: dict[str, str]) -> None:
    if "help" in chosen:
        return
    for line in ("Selected Device: NVIDIA Stand-in", "Compute Capability: 5.3", "SMs: 1", "Compute Clock Rate: 0.9216 GHz"):
        print(f"[11/23/2026-10:00:00] [I] {line}")
    if "onnx" in chosen:
        onnx = Path(chosen["onnx"]).read_bytes()
        onnx_reader.read(onnx)
        luck = 1.0 + random.random() / 10
        if int8_nodes.is_quantised(onnx_reader.read(onnx)) and release < (11, 0) and not chosen.keys() & {"int8", "best"}:
            raise ValueError("Networks with Q/DQ layers need --int8")
        if "useDLACore" in chosen and "allowGPUFallback" not in chosen:
            raise ValueError("/fc/Gemm: layer is not supported on DLA and GPU fallback is not enabled")
        short = bool(chosen.keys() & {"fp16", "bf16", "best"})
        engine = {"onnx": base64.b64encode(onnx).decode(), "factor": luck * (0.5 if short else 1.0), "dla": chosen.get("useDLACore")}
        engine["forms"] = "BF16" if "bf16" in chosen else "FP16" if short else "FP32"
        Path(chosen["saveEngine"]).write_text(json.dumps(engine))
    if "timingCacheFile" in chosen:
        Path(chosen["timingCacheFile"]).write_text("tactics")
    if "loadEngine" in chosen:
        infer(release, chosen)


def infer(release: tuple[int, ...], chosen: dict[str, str]) -> None:
    engine = json.loads(Path(chosen["loadEngine"]).read_text())
    if chosen.get("useDLACore") != engine["dla"]:
        raise ValueError("the engine was built for another DLA core")
    onnx = base64.b64decode(engine["onnx"])
    graph = onnx_reader.read(onnx)
    stages = roofline.stages(graph, onnx_shapes.infer(graph, graph.inputs[0][1][0]), roofline.Jetson(), 8e-6)
    graph_launched = "useCudaGraph" in chosen if release < (11, 0) else "noCudaGraph" not in chosen
    slow = (1.3 if "dumpProfile" in chosen else 1.0) * (0.8 if graph_launched else 1.0)
    total_ms = sum(stage.seconds for stage in stages) * 1e3 * engine["factor"]
    duration_s, count = float(chosen.get("duration", 3)), int(chosen.get("iterations", 10))
    if duration_s > SLEEPS_FROM_S:
        time.sleep(duration_s)
    count = max(count, int(duration_s * 1e3 / total_ms))
    if "exportTimes" in chosen:
        Path(chosen["exportTimes"]).write_text(times(release, count, total_ms * slow, float(chosen.get("warmUp", 200))))
    if "exportProfile" in chosen:
        Path(chosen["exportProfile"]).write_text(profile(release, count, stages, engine["factor"] * 1.2))
    if "exportLayerInfo" in chosen:
        read = {stage.sources[0]: form(graph, stage.sources[0], engine["forms"]) for stage in stages}
        Path(chosen["exportLayerInfo"]).write_text(layers(release, stages, "detailed" in chosen.get("profilingVerbosity", ""), read))
    if "exportOutput" in chosen:
        Path(chosen["exportOutput"]).write_text(output(onnx, graph, chosen["loadInputs"].split(":", 1)[1]))


def six(number: float) -> str:
    """A C++ stream's default: six significant digits."""
    return f"{number:.6g}"


def times(release: tuple[int, ...], count: int, median_ms: float, warm_up_ms: float) -> str:
    clock, rows, wanted = 0.0, [], count
    while wanted:
        compute_ms = median_ms * random.lognormvariate(0, 0.01)
        warm = clock < warm_up_ms
        if warm and (release >= (8, 5) or len(rows) > 50):
            clock = warm_up_ms  # from 8.5 on the warm-up is not exported; here it is kept short before
            continue
        end = clock + compute_ms
        stamps = {"startEnqMs": clock, "endEnqMs": clock, "startH2dMs": clock, "endH2dMs": clock, "startComputeMs": clock}
        stamps |= {"endComputeMs": end, "startD2hMs": end, "endD2hMs": end, "h2dMs": 0, "computeMs": compute_ms, "d2hMs": 0}
        stamps |= {"latencyMs": compute_ms, **({"endToEndMs": compute_ms * 1.7} if release < (8, 4) else {})}
        rows.append("{ " + ", ".join(f'"{key}" : {six(number)}' for key, number in stamps.items()) + " }")
        clock, wanted = end, wanted - (0 if warm else 1)
    return "[\n  " + "\n, ".join(rows) + "\n]\n"


def profile(release: tuple[int, ...], count: int, stages: list[roofline.Stage], factor: float) -> str:
    rows = [(f"Reformatting CopyNode for Input Tensor 0 to {stages[0].node}", 0.0)]
    rows += [(stage.node, stage.seconds * 1e3 * factor) for stage in stages]
    total = sum(ms for _, ms in rows)
    lines = [f'{{ "count" : {count} }}']
    for name, ms in rows:
        median = f'"medianMs" : {six(ms)}, ' if release >= (8, 4) else ""
        means = f'"timeMs" : {six(ms * count)}, "averageMs" : {six(ms)}, {median}"percentage" : {six(100 * ms / total)}'
        lines.append(f'{{ "name" : "{name}", {means} }}')
    return "[\n  " + "\n, ".join(lines) + "\n]\n"


def form(graph: onnx_reader.Graph, name: str, others: str) -> str:
    """What a layer reads: INT8 where its input and its weights come dequantised, else the engine's other form."""
    made = {tensor for node in graph.nodes if node.op in ("DequantizeLinear", "Flatten") for tensor in node.outputs}
    node = next(node for node in graph.nodes if node.name == name)
    quantised = len(node.inputs) > 1 and made.issuperset(node.inputs[:2])
    return f"Row major linear {'Int8' if quantised else others} format"


def layers(release: tuple[int, ...], stages: list[roofline.Stage], detailed: bool, forms: dict[str, str]) -> str:
    if not detailed:
        return json.dumps({"Layers": [stage.node for stage in stages], "Bindings": ["input", "logits"]})
    told = [{"Name": stage.node, "LayerType": f"Cask{stage.kind}", "TacticName": "stand_in"} for stage in stages]
    for layer, stage in zip(told, stages, strict=True):
        layer["Inputs"] = [{"Name": "x", "Format/Datatype": forms[stage.sources[0]]}]
    if release >= (8, 6):
        for layer, stage in zip(told, stages, strict=True):
            layer["Metadata"] = "\x1e".join(f"[ONNX Layer: {name}]" for name in stage.sources)
    return json.dumps({"Layers": told, "Bindings": ["input", "logits"]})


def output(onnx: bytes, graph: onnx_reader.Graph, path: str) -> str:
    import numpy as np
    import openvino

    images = np.frombuffer(Path(path).read_bytes(), dtype=np.float32).reshape(graph.inputs[0][1])
    answer = openvino.Core().compile_model(openvino.Core().read_model(onnx), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]
    dims, numbers = "x".join(str(side) for side in answer.shape), ", ".join(six(float(one)) for one in answer.ravel())
    return f'[\n  {{ "name" : "{graph.outputs[0][0]}"\n  , "dimensions" : "{dims}"\n  , "values" : [ {numbers} ]\n  }}\n]\n'


if __name__ == "__main__":
    sys.exit(main())
