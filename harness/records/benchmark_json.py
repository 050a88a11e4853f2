"""pytest-benchmark's JSON to Measurement and back: the only module that knows the file's keys.

Schema history
1  2026-11  first: one ``extra_info["espalier"]`` per benchmark, architectures at the top level under ``espalier``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import RecordError
from harness.records.accuracy import Accuracy, DeviceAccuracy
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, LayerLatency, Measurement
from harness.records.pruning_config import PruningConfig

SCHEMA = 1
KEY = "espalier"

T = TypeVar("T")


@dataclass(frozen=True)
class BenchmarkFile:
    """Everything of ours in one or several benchmark files: measurements, the architectures they are about, accuracies."""

    measurements: tuple[Measurement, ...]
    architectures: tuple[Architecture, ...]
    accuracies: tuple[DeviceAccuracy, ...] = ()

    def architecture(self, digest: str) -> Architecture:
        """The architecture with this digest; RecordError when the files do not hold it."""
        for architecture in self.architectures:
            if architecture.digest == digest:
                return architecture
        raise RecordError(f"the benchmark files hold no architecture {digest}; measure the network again")


def extra_info(measurement: Measurement) -> dict[str, Any]:
    """What goes under ``extra_info`` of a benchmark; the samples themselves are the benchmark's own ``stats.data``."""
    document = asdict(measurement)
    document["latency"].pop("samples_s")
    document["config"] = None if measurement.config is None else dict(measurement.config.channels)
    document["provenance"] = measurement.provenance
    return {KEY: document}


def top_level(architectures: Iterable[Architecture], accuracies: Iterable[DeviceAccuracy] = ()) -> dict[str, Any]:
    """What goes to the top level of the file."""
    distinct = {architecture.digest: architecture for architecture in architectures}
    return {
        KEY: {
            "schema": SCHEMA,
            "architectures": [asdict(architecture) for architecture in distinct.values()],
            "accuracies": [asdict(accuracy) for accuracy in accuracies],
        }
    }


def read(path: Path) -> BenchmarkFile:
    """Read one file; RecordError names the file and the place when it is truncated, foreign, newer or contradictory."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise RecordError(f"cannot read {path} ({error.strerror}); check the path") from error
    except ValueError as error:
        raise RecordError(f"{path} is not whole JSON ({error}); measure again or delete it") from error
    return parse(document, str(path))


def parse(document: object, origin: str) -> BenchmarkFile:
    """Turn a parsed document into records; ``origin`` names it in errors."""
    try:
        if not isinstance(document, dict) or KEY not in document:
            raise RecordError(f"{origin} was not written by Espalier's plugin; give a file of pytest bench/ --benchmark-json=FILE")
        schema = document[KEY].get("schema")
        if not isinstance(schema, int) or schema < 1:
            raise RecordError(f"{origin} has no schema number; measure again")
        if schema > SCHEMA:
            raise RecordError(f"{origin} has schema {schema}, this program knows up to {SCHEMA}; update Espalier")
        architectures = tuple(_architecture(entry) for entry in document[KEY]["architectures"])
        accuracies = tuple(_accuracy(entry) for entry in document[KEY]["accuracies"])
        measurements = tuple(
            _measurement(entry["extra_info"][KEY], entry["stats"]["data"])
            for entry in document["benchmarks"]
            if KEY in entry.get("extra_info", {})
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RecordError(f"{origin} lacks or garbles a part of a record ({type(error).__name__}: {error}); measure again") from error
    return BenchmarkFile(measurements, architectures, accuracies)


def read_all(paths: Sequence[Path]) -> BenchmarkFile:
    """Read several files as one; RecordError when two hold a measurement taken at the same moment of the same artefact."""
    files = [(path, read(path)) for path in paths]
    seen: dict[tuple[str, str, str], Path] = {}
    for path, file in files:
        for measurement in file.measurements:
            key = (
                measurement.artefact_digest,
                measurement.conditions.device.name,
                measurement.conditions.before.taken_at,
            )
            if seen.setdefault(key, path) != path:
                raise RecordError(f"{path} and {seen[key]} hold the same measurement of {measurement.network}; remove one of the files")
    architectures = {a.digest: a for _, file in files for a in file.architectures}
    accuracies = tuple(dict.fromkeys(accuracy for _, file in files for accuracy in file.accuracies))
    return BenchmarkFile(tuple(m for _, file in files for m in file.measurements), tuple(architectures.values()), accuracies)


def _architecture(entry: Mapping[str, Any]) -> Architecture:
    groups = tuple(ChannelGroup(**{**group, "members": tuple(group["members"])}) for group in entry["groups"])
    layers = tuple(_frozen(LayerSite, site) for site in entry["layers"])
    return Architecture(entry["network"], _triple(entry["input_shape"]), int(entry["classes"]), groups, layers)


def _accuracy(entry: Mapping[str, Any]) -> DeviceAccuracy:
    host = entry["on_host"]
    answered = {"on_device": Accuracy(**entry["on_device"]), "on_host": None if host is None else Accuracy(**host)}
    return DeviceAccuracy(**{**entry, **answered})


def _frozen(kind: type[T], entry: Mapping[str, Any]) -> T:
    return kind(**{key: tuple(part) if isinstance(part, list) else part for key, part in entry.items()})


def _triple(values: Sequence[int]) -> tuple[int, int, int]:
    first, second, third = (int(number) for number in values)
    return first, second, third


def _pairs(entry: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {**entry, **{key: tuple((str(name), value) for name, value in entry[key]) for key in keys}}


def _snapshot(entry: Mapping[str, Any]) -> Snapshot:
    return Snapshot(**_pairs(entry, "clocks_mhz", "temperatures_c", "power_w"))


def _conditions(entry: Mapping[str, Any]) -> Conditions:
    device = DeviceInfo(**_pairs(entry["device"], "details"))
    return Conditions(
        **{
            **_pairs(entry, "versions"),
            "device": device,
            "before": _snapshot(entry["before"]),
            "after": _snapshot(entry["after"]),
        }
    )


def _latency(entry: Mapping[str, Any], samples: Sequence[float]) -> Latency:
    return Latency(
        tuple(float(sample) for sample in samples),
        tuple(int(size) for size in entry["block_sizes"]),
        tuple(int(index) for index in entry["preempted"]),
        tuple(float(sample) for sample in entry["cpu_samples_s"]),
    )


def _layer(entry: Mapping[str, Any]) -> LayerLatency:
    runs = tuple(float(run) for run in entry["runs_s"])
    return LayerLatency(str(entry["node"]), tuple(entry["source_layers"]), str(entry["kind"]), runs, int(entry["channels"]))


def _measurement(entry: Mapping[str, Any], samples: Sequence[float]) -> Measurement:
    network = str(entry["network"])
    return Measurement(
        network=network,
        architecture_digest=str(entry["architecture_digest"]),
        config=None if entry["config"] is None else PruningConfig.of(network, entry["config"]),
        artefact_digest=str(entry["artefact_digest"]),
        artefact_bytes=int(entry["artefact_bytes"]),
        latency=_latency(entry["latency"], samples),
        conditions=_conditions(entry["conditions"]),
        load_s=float(entry["load_s"]),
        first_inference_s=float(entry["first_inference_s"]),
        peak_memory_bytes=None if entry["peak_memory_bytes"] is None else int(entry["peak_memory_bytes"]),
        layers=tuple(_layer(layer) for layer in entry["layers"]),
        profiled=None if entry["profiled"] is None else _latency(entry["profiled"], entry["profiled"]["samples_s"]),
        role=str(entry["role"]),
        notes=tuple((str(key), str(text)) for key, text in entry["notes"]),
    )
