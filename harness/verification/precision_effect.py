"""Which precision makes a network faster, and where: read off the stored measurements and compilations of unpruned networks, nothing else.

A precision is set beside f32 as it was measured on the same device under the same conditions, nearest in time; the two need not have been
measured in turns, so the interval of their ratio is the wide one, of both medians at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.devices import spec
from harness.latency.verdict import machine_state
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation
from harness.records.conditions import DeviceInfo
from harness.records.measurement import Latency, Measurement

REFERENCE = "f32"
PRECISIONS = (REFERENCE, "bf16", "f16", "int8")  # the page's rows; others are shown where they were measured
MEASURED, COMPILED, NOT_MEASURED = "measured", "compiled", "not measured"
PLACES = ("benchmarks/**/*.json", "campaigns/*/proof*.json", "campaigns/*/compiled/dense.json")  # below a folder of reports
IGNORED = ("effective_precision",)  # of the conditions: it is what is compared
DENSE = ("contender", "dense")  # the note on the unpruned network of a final comparison


@dataclass(frozen=True, slots=True)
class Ratio:
    """Latency over f32's, with an interval of both medians at once: low and high are the furthest that their 95 % intervals allow."""

    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PrecisionEffect:
    """One network in one precision on one device, as far as the records tell.

    processor, network: empty where nothing is known of the device. precision: "" of a compilation, whose record names none. known: one of
    the words above, or what the runtime computed in instead. median_s: seconds; None where it was not measured. against_f32: None for f32
    itself, and where that was not measured alike.
    """

    device: str
    processor: str
    network: str
    precision: str
    known: str
    median_s: float | None = None
    against_f32: Ratio | None = None

    @property
    def verdict(self) -> str:
        """Whether the records show that it reduces latency there."""
        if self.against_f32 is None:
            return ""
        return "yes" if self.against_f32.high < 1.0 else "no: slower" if self.against_f32.low > 1.0 else "not shown"


def read(reports: Path, devices: Iterable[str] | None = None) -> tuple[PrecisionEffect, ...]:
    """All that is stored below ``reports``, by device, processor and network.

    devices: that have rows even where nothing is, by default those of ``pyproject.toml`` that are not simulated. RecordError for a file
    that is broken.
    """
    files = [benchmark_json.read(path) for place in PLACES for path in sorted(reports.glob(place))]
    return of_files(files, _known_devices() if devices is None else devices)


def of_files(files: Sequence[BenchmarkFile], devices: Iterable[str]) -> tuple[PrecisionEffect, ...]:
    """The same of what was read."""
    measured: dict[tuple[str, str, str], list[Measurement]] = {}
    for one in (one for file in files for one in _dense(file)):
        measured.setdefault((one.conditions.device.name, _processor(one.conditions.device), one.network), []).append(one)
    compiled = {}
    for made in (made for file in files for made in file.compilations if _is_whole(file, made)):
        compiled[made.device.name, _processor(made.device), made.network] = PrecisionEffect(
            made.device.name, _processor(made.device), made.network, "", f"{COMPILED}: {made.executed_count} stages"
        )
    found = [effect for place, taken in sorted(measured.items()) for effect in _rows(place, taken)]
    found += [effect for _, effect in sorted(compiled.items())]
    seen = {effect.device for effect in found if effect.median_s is not None}
    found += [PrecisionEffect(name, "", "", precision, NOT_MEASURED) for name in devices if name not in seen for precision in PRECISIONS]
    return tuple(sorted(found, key=lambda effect: (effect.device, effect.processor, effect.network)))


def _rows(place: tuple[str, str, str], taken: Sequence[Measurement]) -> Iterator[PrecisionEffect]:
    others = sorted({one.conditions.precision for one in taken} - set(PRECISIONS))
    for precision in (*PRECISIONS, *others):
        ours = [one for one in taken if one.conditions.precision == precision]
        if not ours:
            yield PrecisionEffect(*place, precision, NOT_MEASURED)
            continue
        references = [one for one in taken if one.conditions.precision == REFERENCE]
        last, reference = _pair(ours, references)
        effective = last.conditions.effective_precision
        known = MEASURED if effective == precision else f"not possible there: computed in {effective}"
        against = None if reference is None or precision == REFERENCE else _ratio(last.latency, reference.latency)
        yield PrecisionEffect(*place, precision, known, _quoted(last.latency).median_s, against)


def _pair(ours: Sequence[Measurement], references: Sequence[Measurement]) -> tuple[Measurement, Measurement | None]:
    """The newest of ``ours`` with an f32 measurement under the same conditions: the last of those before it, or the first after."""
    newest_first = sorted(ours, key=_taken_at, reverse=True)
    for one in newest_first:
        alike = sorted((other for other in references if _is_alike(one, other)), key=_taken_at)
        before = [other for other in alike if _taken_at(other) <= _taken_at(one)]
        if alike:
            return one, before[-1] if before else alike[0]
    return newest_first[0], None


def _is_alike(ours: Measurement, reference: Measurement) -> bool:
    differing = {key for key, _, _ in ours.conditions.differences(reference.conditions)}
    return differing <= set(IGNORED) and ours.architecture_digest == reference.architecture_digest


def _ratio(ours: Latency, reference: Latency) -> Ratio:
    mine, theirs = _quoted(ours), _quoted(reference)
    (low_s, high_s), (least_s, most_s) = mine.interval_s, theirs.interval_s
    return Ratio(mine.median_s / theirs.median_s, low_s / most_s, high_s / least_s if least_s > 0 else float("inf"))


def _quoted(latency: Latency) -> Latency:
    """The blocks in the machine's fast state where it was loud and met that state: medians of two runs are then of the same state."""
    fast = machine_state.in_fast_state(latency) if machine_state.loud(latency) else None
    return fast or latency


def _dense(file: BenchmarkFile) -> Iterator[Measurement]:
    """Measurements of whole, unpruned networks."""
    dense = {architecture.digest: architecture.dense() for architecture in file.architectures}
    for one in file.measurements:
        is_whole = one.config is not None and one.config == dense.get(one.architecture_digest)
        if one.role == "network" and (is_whole or DENSE in one.notes):
            yield one


def _is_whole(file: BenchmarkFile, made: Compilation) -> bool:
    return any(made.config == known.dense() for known in file.architectures if known.digest == made.architecture_digest)


def _taken_at(one: Measurement) -> str:
    return one.conditions.before.taken_at


def _processor(device: DeviceInfo) -> str:
    return f"{device.model}, SIMULATED" if device.simulated else device.model


def _known_devices() -> tuple[str, ...]:
    return tuple(name for name in spec.names() if spec.find(name).runtime != "simulated")
