"""pytest-benchmark's JSON to Measurement and back: the only module that knows the file's keys.

Schema history
1  2026-11  first: one ``extra_info["espalier"]`` per benchmark, architectures at the top level under ``espalier``;
            ``sensitivities``, ``compilations``, ``learnt_from``, ``throughputs`` beside them are newer and may be absent.
2  2026-11  packed: the samples lie in a file beside it, as ``harness.files.packed_numbers`` says; written by ``harness.packing`` alone.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import RecordError, UsageError
from harness.files import json_text, packed_numbers
from harness.records import compilation, stored_files
from harness.records.accuracy import DeviceAccuracy, WidthAccuracy
from harness.records.architecture import Architecture
from harness.records.compilation import Compilation
from harness.records.decoding import decode, decode_counts
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig
from harness.records.throughput import Throughput

SCHEMA, PACKED = 1, 2
KEY = "espalier"
LISTS = ("architectures", "accuracies", "sensitivities", "compilations", "learnt_from", "throughputs")


@dataclass(frozen=True)
class BenchmarkFile:
    """Everything of ours in one or several benchmark files: measurements, the architectures they are about, accuracies.

    learnt_from: measurements of the same networks under other conditions, from which their latency predictor starts.
    """

    measurements: tuple[Measurement, ...]
    architectures: tuple[Architecture, ...]
    accuracies: tuple[DeviceAccuracy, ...] = ()
    sensitivities: tuple[WidthAccuracy, ...] = ()
    compilations: tuple[Compilation, ...] = ()
    learnt_from: tuple[Measurement, ...] = ()
    throughputs: tuple[Throughput, ...] = ()

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


def top_level(
    architectures: Iterable[Architecture],
    accuracies: Iterable[DeviceAccuracy] = (),
    sensitivities: Iterable[WidthAccuracy] = (),
    compilations: Iterable[Compilation] = (),
    learnt_from: Iterable[Measurement] = (),
    throughputs: Iterable[Throughput] = (),
) -> dict[str, Any]:
    """What goes to the top level of the file."""
    distinct = {architecture.digest: architecture for architecture in architectures}
    return {
        KEY: {
            "schema": SCHEMA,
            "architectures": [asdict(architecture) for architecture in distinct.values()],
            "accuracies": [asdict(accuracy) for accuracy in accuracies],
            "sensitivities": [asdict(point) for point in sensitivities],
            "compilations": [compilation.to_json(one) for one in compilations],
            "learnt_from": _entries(learnt_from),
            "throughputs": [asdict(one) for one in throughputs],
        }
    }


def document(file: BenchmarkFile) -> dict[str, Any]:
    """A whole document without pytest-benchmark's statistics, for files that a run writes on its way."""
    ours = top_level(file.architectures, file.accuracies, file.sensitivities, file.compilations, file.learnt_from, file.throughputs)
    return {"benchmarks": _entries(file.measurements), **ours}


def _entries(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    return [
        {"name": f"{m.network}-{index}", "extra_info": extra_info(m), "stats": {"data": list(m.latency.samples_s)}}
        for index, m in enumerate(measurements)
    ]


def read(path: Path) -> BenchmarkFile:
    """Read one file; RecordError names the file and the place when it is truncated, foreign, newer or contradictory."""
    with _uncollected():
        return parse(_document(path), str(path))  # the document is gone before the collector looks at what was made of it


def parse_with_commit(content: bytes, path: Path) -> tuple[str, BenchmarkFile]:
    """The bytes of the file at ``path``, and the commit of the repository that it was run in, empty where pytest-benchmark found none.

    12 digits, with ``+`` where the tree was changed. RecordError as for ``read``.
    """
    try:
        document = packed_numbers.restored(json_text.parse(content), path)
    except ValueError as error:
        raise RecordError(f"{path} is not whole JSON ({error}); measure again or delete it") from error
    info = document.get("commit_info") if isinstance(document, dict) else None
    told = info if isinstance(info, dict) else {}
    commit = str(told.get("id") or "")[:12] + ("+" if told.get("id") and told.get("dirty") else "")
    return ("" if commit.startswith("unknown") or commit.startswith("unversioned") else commit), parse(document, str(path))


def parse(document: object, origin: str) -> BenchmarkFile:
    """Turn a parsed document into records; ``origin`` names it in errors, which name the place inside it as well."""
    ours, benchmarks = _sections(document, origin)
    lists = {key: _list(ours.get(key, []), f"{origin}: {key}") for key in LISTS}
    architectures = tuple(
        decode(Architecture, entry, f"{origin}: architectures[{index}]").consistent(origin)
        for index, entry in enumerate(lists["architectures"])
    )
    known = {architecture.digest: _Known.of(architecture) for architecture in architectures}
    return BenchmarkFile(
        _measurements(benchmarks, known, origin, "benchmarks"),
        architectures,
        tuple(decode(DeviceAccuracy, entry, f"{origin}: accuracies[{index}]") for index, entry in enumerate(lists["accuracies"])),
        tuple(decode(WidthAccuracy, entry, f"{origin}: sensitivities[{index}]") for index, entry in enumerate(lists["sensitivities"])),
        tuple(compilation.from_json(entry, f"{origin}: compilations[{index}]") for index, entry in enumerate(lists["compilations"])),
        _measurements(lists["learnt_from"], known, origin, "learnt_from"),
        tuple(decode(Throughput, entry, f"{origin}: throughputs[{index}]") for index, entry in enumerate(lists["throughputs"])),
    )


def write(path: Path, file: BenchmarkFile) -> None:
    """Write ``file`` whole or not at all; OSError when the folder refuses it."""
    stored_files.replace(path, json.dumps(document(file), allow_nan=False).encode())


def read_all(paths: Sequence[Path]) -> BenchmarkFile:
    """Read several files as one; RecordError when two hold a measurement taken at the same moment of the same artefact."""
    files = [(path, read(path)) for path in paths]
    seen: dict[tuple[str, str, str], Path] = {}
    for path, file in files:
        for measurement in file.measurements:
            key = (measurement.artefact_digest, measurement.conditions.device.name, measurement.conditions.before.taken_at)
            if seen.setdefault(key, path) != path:
                raise RecordError(f"{path} and {seen[key]} hold the same measurement of {measurement.network}; remove one of the files")
    architectures = {a.digest: a for _, file in files for a in file.architectures}
    accuracies = tuple(dict.fromkeys(accuracy for _, file in files for accuracy in file.accuracies))
    points = tuple(dict.fromkeys(point for _, file in files for point in file.sensitivities))
    compiled = tuple(one for _, file in files for one in file.compilations)
    measured, learnt = (tuple(m for _, file in files for m in getattr(file, which)) for which in ("measurements", "learnt_from"))
    flows = tuple(dict.fromkeys(one for _, file in files for one in file.throughputs))
    return BenchmarkFile(measured, tuple(architectures.values()), accuracies, points, compiled, learnt, flows)


def _document(path: Path) -> object:
    try:
        return packed_numbers.restored(json_text.read(path), path)
    except OSError as error:
        raise RecordError(f"cannot read {path} ({error.strerror}); check the path") from error
    except ValueError as error:
        raise RecordError(f"{path} is not whole JSON ({error}); measure again or delete it") from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for reference cycles, of which JSON has none: it takes half of the time that a large file needs."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True)
class _Known:
    """What a measurement of an architecture may name: channels of each group, the layers."""

    channels: tuple[tuple[str, int], ...]  # sorted by group, as in a configuration
    layers: frozenset[str]

    @classmethod
    def of(cls, architecture: Architecture) -> _Known:
        channels = tuple(sorted((group.name, group.channels) for group in architecture.groups))
        return cls(channels, frozenset(site.name for site in architecture.layers))

    def contradicted_by(self, config: PruningConfig) -> str | None:
        """The first group that ``config`` lacks, has beside these or keeps more of than there is; None where it fits."""
        if len(config.channels) == len(self.channels):
            pairs = zip(config.channels, self.channels, strict=True)
            if all(ours == theirs and kept <= most for (ours, kept), (theirs, most) in pairs):
                return None
        kept, known = dict(config.channels), dict(self.channels)
        return (sorted(kept.keys() ^ known.keys()) or [name for name, count in kept.items() if count > known[name]])[0]


def _sections(document: object, origin: str) -> tuple[dict[str, Any], list[Any]]:
    """The two parts of a document that are read: ours at the top level, and pytest-benchmark's list."""
    if not isinstance(document, dict) or not isinstance(document.get(KEY), dict):
        raise RecordError(f"{origin} was not written by Espalier's plugin; give a file of pytest bench/ --benchmark-json=FILE")
    ours = document[KEY]
    schema = ours.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        raise RecordError(f"{origin} has no schema number; measure again")
    if schema > PACKED:
        raise RecordError(f"{origin} has schema {schema}, this program knows up to {PACKED}; update Espalier")
    if "architectures" not in ours:
        raise RecordError(f"{origin} lacks its architectures; measure again")
    return ours, _list(document.get("benchmarks"), f"{origin}: benchmarks")


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise RecordError(f"{place} is no list; measure again")
    return value


def _measurements(entries: Sequence[Any], known: Mapping[str, _Known], origin: str, where: str) -> tuple[Measurement, ...]:
    """Of a list, what the plugin wrote."""
    return tuple(
        _measurement(entry, known, f"{origin}: {entry.get('name', f'{where}[{index}]')}")
        for index, entry in enumerate(entries)
        if isinstance(entry, dict) and isinstance(entry.get("extra_info"), dict) and KEY in entry["extra_info"]
    )


def _measurement(entry: Mapping[str, Any], known: Mapping[str, _Known], place: str) -> Measurement:
    told = entry["extra_info"][KEY]
    stats = entry.get("stats")
    if not isinstance(told, dict) or not isinstance(told.get("latency"), dict):
        raise RecordError(f"{place} lacks its latency; measure again")
    if not isinstance(stats, dict) or "data" not in stats:
        raise RecordError(f"{place} lacks its samples (stats.data); save with --benchmark-json=FILE, or --benchmark-save-data")
    config = told.get("config")
    plain = {**told, "latency": {**told["latency"], "samples_s": stats["data"]}}
    provenance = plain.pop("provenance", None)
    try:
        if config is not None:
            plain["config"] = PruningConfig.of(told.get("network", ""), decode_counts(config, f"{place}.config"))
        measurement = decode(Measurement, plain, place)
    except RecordError as error:
        raise error if str(error).startswith(place) else RecordError(f"{place}: {error}") from error
    except UsageError as error:
        raise RecordError(f"{place}: {error}") from error
    _check(measurement, provenance, known.get(measurement.architecture_digest), place)
    return measurement


def _check(measurement: Measurement, provenance: object, known: _Known | None, place: str) -> None:
    """Refuse a record that contradicts itself or its architecture: RecordError."""
    if provenance != measurement.provenance:
        raise RecordError(f"{place} calls itself {provenance!r} but was {measurement.provenance}; measure again")
    before, after = (_moment(state.taken_at) for state in (measurement.conditions.before, measurement.conditions.after))
    if before is not None and after is not None and after < before:
        raise RecordError(f"{place} ended ({after}) before it began ({before}); set the device's clock and measure again")
    if known is None:
        return
    if measurement.config is not None:
        wrong = known.contradicted_by(measurement.config)
        if wrong is not None:
            raise RecordError(f"{place}: its configuration and its architecture disagree about group {wrong}; measure again")
    for node in measurement.layers if measurement.config is not None else ():  # a foreign file's may be called as they like
        if lost := sorted(set(node.source_layers) - known.layers):
            raise RecordError(f"{place}: layer {lost[0]} of node {node.node} vanished from {measurement.network}; measure again")


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime | None:
    """A point in time, None where the device wrote something that is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
