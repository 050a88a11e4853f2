"""``python -m harness.compare.profiles ours.json theirs.json``: two engines layer by layer, from benchmark files or trtexec's exports.

A trtexec export is a profile (``--exportProfile``), several of one engine by comma, and after ``=`` its layers' description
(``--exportLayerInfo --profilingVerbosity=detailed``), which tells widths and types: ``a1.json,a2.json=graph.json``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.compare import engines
from harness.compare.baseline import Baseline
from harness.compare.engines import Alignment, Engine
from harness.errors import HarnessError, RecordError
from harness.files import json_text
from harness.pages import tables
from harness.records.measurement import LayerLatency

_COPY = re.compile(r"^(Reformatting CopyNode for |reshape_(before|after)_|copied_squeeze_after_|\S+ copy$)")
_WRAPPED = re.compile(r"^(?:PWN\(|\{ForeignNode\[)|[\])}]+$")
# What quantisation puts between layers, and what holds a layer's weights: no layers themselves.
_QUANTISING = re.compile(r"QuantLinear|QuantizeLinear|QuantizeAndDequantize|_quantized_|^transpose_(before|after)_")
_ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_TYPES = (("Int8", "int8"), ("INT8", "int8"), ("FP16", "f16"), ("Half", "f16"), ("BF16", "bf16"), ("FP32", "f32"), ("Float", "f32"))


def read(words: str) -> Engine:
    """An engine from one side of the command line; RecordError for a file that is neither kind, or of another engine."""
    profiles, _, graph = words.partition("=")
    if not all(profiles.split(",")):
        raise RecordError(f"{words!r} names no file between its commas; give FILE.json, or PROFILE.json,PROFILE.json=LAYERS.json")
    paths = [Path(word) for word in profiles.split(",")]
    documents = [_document(path) for path in paths]
    if isinstance(documents[0], dict):
        if graph or len(paths) > 1:
            raise RecordError(
                f"{paths[0]} is a benchmark file, which tells its layers itself; give it without {words[len(str(paths[0])) :]}"
            )
        return _stored(paths[0])
    rows = [_rows(document, path) for document, path in zip(documents, paths, strict=True)]
    names = [name for name, _ in rows[0]]
    for other, path in zip(rows, paths, strict=True):
        if [name for name, _ in other] != names:
            raise RecordError(f"{path} profiles another engine than {paths[0]}; give profiles of one engine by comma")
    told = _described(_document(Path(graph)), graph) if graph else {}
    runs = zip(*rows, strict=True)
    nodes = tuple(_node(name, tuple(run[1] for run in every), told) for name, every in zip(names, runs, strict=True))
    precisions = [node.precision for node in nodes if node.precision and node.channels]
    return Engine(paths[0].name, nodes, max(set(precisions), key=precisions.count) if precisions else "")


def _stored(path: Path) -> Engine:
    """The network of a benchmark file whose layers were timed; of several the last."""
    profiled = [m for m in Baseline.read(path).rows() if m.layers]
    if not profiled:
        raise RecordError(f"{path} holds no network with its layers; run: pytest bench/test_layer_latency.py --benchmark-json={path}")
    last = profiled[-1]
    return Engine(f"{tables.label(last)} ({path.name})", last.layers, last.conditions.effective_precision)


def _document(path: Path) -> Any:
    try:
        return json_text.read(path)
    except OSError as error:
        raise RecordError(f"cannot read {path} ({error.strerror}); check the path") from error
    except ValueError as error:
        raise RecordError(f"{path} is not whole JSON ({error}); export it again") from error


def _rows(document: Any, path: Path) -> list[tuple[str, float]]:
    """``(layer, seconds)`` of a profile, medians where the release writes them."""
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise RecordError(f"{path} is no profile of trtexec (a list of layers); write one with trtexec --exportProfile={path}")
    found = [(row["name"], row.get("medianMs", row.get("averageMs"))) for row in document if "name" in row]
    for name, spent in found:
        if not isinstance(name, str) or not isinstance(spent, int | float) or isinstance(spent, bool) or not 0 <= spent <= 1e9:
            raise RecordError(
                f"{path} tells no time in milliseconds of a layer {name!r:.80}; write it again with trtexec --exportProfile={path}"
            )
    if not found:
        raise RecordError(f"{path} is a profile of no layer; write one with trtexec --exportProfile={path}")
    if not any(spent for _, spent in found):
        raise RecordError(f"{path} tells no time of any layer; write it again with trtexec --exportProfile={path}")
    return [(name, spent * 1e-3) for name, spent in found]


def _described(document: Any, path: str) -> dict[str, Mapping[str, Any]]:
    layers = document.get("Layers") if isinstance(document, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise RecordError(f"{path} describes no layers; write it with trtexec --exportLayerInfo={path} --profilingVerbosity=detailed")
    return {str(layer.get("Name")): layer for layer in layers}


def _node(name: str, runs_s: tuple[float, ...], told: Mapping[str, Mapping[str, Any]]) -> LayerLatency:
    layer = told.get(name, {})
    kind, maps = str(layer.get("LayerType", "")), layer.get("OutMaps")
    inputs = layer.get("Inputs") or [{}]
    form = str(inputs[0].get("Format/Datatype", "")) if isinstance(inputs[0], dict) else ""
    precision = next((ours for theirs, ours in _TYPES if theirs in form), "")
    copies = bool(_COPY.match(name)) or kind in ("Reformat", "NoOp")
    behind = () if copies else sources(name, str(layer.get("Metadata", "")))
    return LayerLatency(name, behind, kind, runs_s, maps if isinstance(maps, int) else 0, precision)


def sources(name: str, metadata: str = "") -> tuple[str, ...]:
    """The layers of the network that a TensorRT layer runs: by its metadata where the release tells, else by its name."""
    parts = _ONNX_LAYER.findall(metadata) or [_WRAPPED.sub("", part.strip()) for part in re.split(r" \+ | \|\| |, ", name)]
    return tuple(dict.fromkeys(_layer(part) for part in parts if part and not _QUANTISING.search(part)))


def _layer(node: str) -> str:
    """Without the operation and without what quantisation-aware training puts before names: then two engines call it alike."""
    path, _, operation = node.rpartition("/")
    return re.sub(r"(^|/)quant_", r"\1", path or operation)


def lines(found: Alignment) -> list[str]:
    """A line for every row, then the reasons."""
    told = []
    for row in found.rows:
        ours, theirs = row.widths
        widths = f"{theirs} → {ours}" if ours and theirs else ""
        seconds = [sum(node.median_s for node in nodes) for nodes in (row.theirs, row.ours)]
        times = " → ".join(tables.duration(one) if nodes else "–" for one, nodes in zip(seconds, (row.theirs, row.ours), strict=True))
        both = f"{row.finding.ratio:.3f}×, {row.finding.outcome}" if row.ours and row.theirs else "in one only"
        told.append("  ".join(filter(None, (row.finding.subject, widths, times, both))))
    return [*told, "", *engines.reasons(found)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print two engines side by side, aligned by layer, and why ours is not faster; 2 where a file cannot serve."""
    words = argparse.ArgumentParser(prog="python -m harness.compare.profiles", description=main.__doc__)
    words.add_argument("ours", help="benchmark file with layers, or PROFILE.json[,PROFILE.json][=LAYERS.json] of trtexec")
    words.add_argument("theirs", help="the same, of the engine that it is held against")
    options = words.parse_args(arguments)
    try:
        found = engines.align(read(options.ours), read(options.theirs))
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
