"""A measurement's figures against limits: absolute ones of its own, relative ones against the baseline's same figure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harness.compare.baseline import Counterpart
from harness.compare.limits import Limits
from harness.errors import RecordError
from harness.latency.verdict import energy, tails
from harness.latency.verdict.finding import Bound, Finding, from_bounds
from harness.records.measurement import Latency, Measurement

ONE_LOAD = 0.25  # a network is loaded once in a measurement; loads of one network were seen to differ by up to a quarter
NO_METER = "the device has no meter"
PACE = "pace"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a measurement with its 95 % interval; NaN where it could not be had, and ``how`` then says what to do."""

    figure: float
    low: float
    high: float
    how: str

    def times(self, factor: float) -> Figure:
        """The same in another unit."""
        return Figure(self.figure * factor, self.low * factor, self.high * factor, self.how)


# Of every absolute limit but the deadline's: which figure, by how much it is multiplied, in which unit.
_UNITS = {
    "median_ms": ("median", 1e3, "ms"),
    "p90_ms": ("p90", 1e3, "ms"),
    "p99_ms": ("p99", 1e3, "ms"),
    "deadline_miss_ratio": ("deadline misses", 100.0, "%"),
    "load_s": ("load", 1.0, "s"),
    "first_inference_ms": ("first inference", 1e3, "ms"),
    "peak_memory_mb": ("peak memory", 1e-6, "MB"),
    "file_mb": ("file", 1e-6, "MB"),
    "energy_mj": ("energy", 1e3, "mJ"),
}
_RELATIVE = {
    "p90": "p90",
    "p99": "p99",
    "load": "load",
    "first_inference": "first inference",
    "peak_memory": "peak memory",
    "file": "file",
    "energy": "energy",
}


def bounds(ours: Measurement, allowed: Limits) -> tuple[Bound, ...]:
    """Every absolute limit of latency, loading, memory, file and energy that is set."""
    found = []
    for key, (name, factor, unit) in _UNITS.items():
        limit = allowed.at(key)
        if limit is not None:
            told = figure(ours, name, allowed.at("deadline_ms")).times(factor)
            shown = limit * 100.0 if key == "deadline_miss_ratio" else limit
            found.append(Bound(name, told.figure, told.low, told.high, shown, unit, told.how))
    return tuple(found)


def check_baseline(before: Measurement, allowed: Limits) -> None:
    """Refuse a baseline that misses an absolute limit itself: RecordError."""
    if missed := [one for one in bounds(before, allowed) if one.beyond]:
        raise RecordError(f"the baseline misses a limit of its own ({missed[0].sentence()}); measure one that keeps it, or mend the limit")


def relative(ours: Measurement, before: Counterpart, allowed: Limits, same_within: float) -> tuple[Finding, ...]:
    """Every further relative limit that is set; one of a figure that either lacks cannot be told."""
    found = []
    for key, limit in allowed.relative:
        mine, theirs = figure(ours, _RELATIVE[key]), figure(before.measurement, _RELATIVE[key])
        name = _RELATIVE[key]
        if math.isnan(mine.figure) or not theirs.low > 0:
            found.append(
                from_bounds(name, math.nan, 0.0, math.inf, limit, same_within, mine.how if math.isnan(mine.figure) else theirs.how)
            )
            continue
        ratio, low, high = mine.figure / theirs.figure, mine.low / theirs.high, mine.high / theirs.low
        found.append(from_bounds(name, ratio, low, high, limit, same_within, f"{mine.how}, in both runs"))
    return tuple(replace(one, exception=before.differing.exception()) for one in found)


def figure(ours: Measurement, name: str, deadline_ms: float | None = None) -> Figure:
    """One figure by its name, in seconds, bytes, joules or as a ratio."""
    latency = ours.latency
    if name == "median":
        return Figure(latency.median_s, *latency.interval_s, f"{len(latency.samples_s)} samples")
    if name in ("p90", "p99"):
        return _percentile(latency, float(name[1:]) / 100)
    if name == "deadline misses":
        return _misses(ours, deadline_ms)
    if name in ("load", "first inference"):
        seconds = ours.load_s if name == "load" else ours.first_inference_s
        return Figure(seconds, seconds * (1 - ONE_LOAD), seconds * (1 + ONE_LOAD), f"one load; loads differ by up to {ONE_LOAD:.0%}")
    if name == "file":
        return Figure(ours.artefact_bytes, ours.artefact_bytes, ours.artefact_bytes, "bytes of the ONNX file")
    if name == "peak memory" and ours.peak_memory_bytes is not None:
        return Figure(ours.peak_memory_bytes, ours.peak_memory_bytes, ours.peak_memory_bytes, "as the device told")
    return _energy(ours) if name == "energy" else _unknown("the device does not tell its peak memory")


def _energy(ours: Measurement) -> Figure:
    found = energy.per_inference(ours.latency)
    if found is None:
        return _unknown(NO_METER)
    if not found.told:
        needed_s = 2 * energy.FEWEST_STRETCHES * energy.STRETCH_S
        return _unknown(f"metered for {found.seconds:.2g} s, which tells no interval: --min-time={needed_s:g} --precision-target=1e-6")
    told = f"{found.stretches} stretches of {found.seconds:.2g} s in all, idle not subtracted"
    return Figure(found.joules, found.low_j, found.high_j, told)


def _percentile(latency: Latency, share: float) -> Figure:
    needed = tails.samples_for(share)
    if len(latency.samples_s) < needed:
        return _unknown(f"{len(latency.samples_s)} samples, p{100 * share:.0f} needs {needed}: --rounds={needed} --precision-target=1e-6")
    return Figure(*tails.percentile(latency, share), f"{len(latency.samples_s)} samples in {len(latency.block_sizes)} blocks")


def _misses(ours: Measurement, deadline_ms: float | None) -> Figure:
    pace = dict(ours.notes).get(PACE)
    if deadline_ms is None and pace is None:
        return _unknown("no deadline is known; measure at a camera's pace (--pace=30), or set deadline_ms")
    deadline_s = deadline_ms * 1e-3 if deadline_ms is not None else 1 / float(str(pace).removesuffix(" Hz"))
    told = f"deadline {deadline_s * 1e3:.3f} ms, {pace or 'tight loop'}, {len(ours.latency.samples_s)} samples"
    return Figure(*tails.missed_share(ours.latency, deadline_s), told)


def _unknown(how: str) -> Figure:
    return Figure(math.nan, math.nan, math.nan, how)
