"""Measurement: raw latency samples of one network on one device, with the conditions under which they were taken."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.errors import RecordError
from harness.records.conditions import Conditions
from harness.records.pruning_config import PruningConfig

P99_MIN_SAMPLES = 1000  # fewer: the 99th percentile rests on under ten samples
NOISY_BLOCK_SPREAD = 0.05  # above: the blocks of one measurement disagree, it is marked "noisy"
NOISY_PREEMPTED = 0.05  # above: the scheduler took the processor away too often
NOISY_WALL_OVER_CPU = 1.05  # above: the calling thread waited for something else than its own work
CANARY_QUIET_WITHIN = 0.10  # of its best: then the machine was in its fast state; slow states cost a fifth and more
ENOUGH_QUIET = 3  # blocks in the fast state: their median then errs less than a model of the network does

# Of Student's t by degrees of freedom, for intervals over few blocks.
_T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093),
)
_Z_975 = 1.960


def student_975(count: int) -> float:
    """Student's 97.5 % quantile for a mean of ``count`` values, at least 2."""
    return _T_975[count - 2] if count - 2 < len(_T_975) else _Z_975


@dataclass(frozen=True, slots=True)
class Occasion:
    """When a block ran, and what the canary, one network timed around every block of a run, took just then.

    start_s: on the device's clock, which starts anywhere. load: how often the network had been loaded before. canary_s: the slower of
    the canary's times before and after the block; None where none was timed. energy_j: joules that a meter counted meanwhile, or None.
    """

    start_s: float
    load: int = 0
    canary_s: float | None = None
    energy_j: float | None = None


@dataclass(frozen=True)
class Latency:
    """Durations of single inferences, in the order in which they ran, in blocks.

    samples_s: seconds, all positive and finite. block_sizes: samples per block, adding up to all samples; blocks of
    one measurement lie apart in time. preempted: indices of samples during which the operating system took the
    processor away. cpu_samples_s: processor time of the calling thread per sample, where the device can tell.
    occasions: of every block, where it was kept. canary_quiet_s: what the canary takes in the machine's fast state, as far as
    the whole run saw it. Raises RecordError for anything else.
    """

    samples_s: tuple[float, ...]
    block_sizes: tuple[int, ...]
    preempted: tuple[int, ...] = ()
    cpu_samples_s: tuple[float, ...] = ()
    occasions: tuple[Occasion, ...] = ()
    canary_quiet_s: float | None = None

    def __post_init__(self) -> None:
        if not self.samples_s:
            raise RecordError("a latency has no samples; measure again")
        if not (min(self.samples_s) > 0 and all(map(math.isfinite, self.samples_s))):
            index, sample = next(pair for pair in enumerate(self.samples_s) if not (math.isfinite(pair[1]) and pair[1] > 0))
            raise RecordError(f"latency sample {index} is {sample} s, not a positive duration; measure again, the clock cannot be trusted")
        if sum(self.block_sizes) != len(self.samples_s) or min(self.block_sizes, default=0) < 1:
            raise RecordError(f"blocks of {list(self.block_sizes)} do not add up to {len(self.samples_s)} samples; measure again")
        if self.cpu_samples_s and len(self.cpu_samples_s) != len(self.samples_s):
            raise RecordError(f"{len(self.cpu_samples_s)} processor times for {len(self.samples_s)} samples; measure again")
        if any(not 0 <= index < len(self.samples_s) for index in self.preempted):
            raise RecordError("a preempted sample's index lies outside the samples; measure again")
        if self.occasions and len(self.occasions) != len(self.block_sizes):
            raise RecordError(f"{len(self.occasions)} occasions for {len(self.block_sizes)} blocks; measure again")
        canaries_s = [one for one in (self.canary_quiet_s, *(one.canary_s for one in self.occasions)) if one is not None]
        if not all(one.energy_j is None or (math.isfinite(one.energy_j) and one.energy_j >= 0) for one in self.occasions):
            raise RecordError("a block took no finite energy of 0 or more; measure again, the meter cannot be trusted")
        if not all(math.isfinite(one) and one > 0 for one in canaries_s):
            raise RecordError(f"the canary took {min(canaries_s)} s, not a positive duration; measure again, the clock cannot be trusted")

    @cached_property
    def median_s(self) -> float:
        """Median of all samples, in seconds: the figure to quote."""
        return statistics.median(self.samples_s)

    def quantile_s(self, share: float) -> float:
        """Nearest-rank quantile, in seconds; ``share`` in (0, 1]."""
        ordered = self._ordered
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    @property
    def p90_s(self) -> float:
        """90th percentile, in seconds."""
        return self.quantile_s(0.90)

    @property
    def p99_s(self) -> float | None:
        """99th percentile, in seconds; None below ``P99_MIN_SAMPLES`` samples."""
        return self.quantile_s(0.99) if len(self.samples_s) >= P99_MIN_SAMPLES else None

    @cached_property
    def block_medians_s(self) -> tuple[float, ...]:
        """Median of each block, in seconds."""
        medians, start = [], 0
        for size in self.block_sizes:
            medians.append(statistics.median(self.samples_s[start : start + size]))
            start += size
        return tuple(medians)

    @property
    def canary_ratios(self) -> tuple[float, ...]:
        """By how much the machine slowed the canary around each block; empty where no canary was timed."""
        quiet_s = self.canary_quiet_s
        if quiet_s is None:
            return ()
        return tuple(1.0 if one.canary_s is None else one.canary_s / quiet_s for one in self.occasions)

    @property
    def quiet(self) -> tuple[bool, ...]:
        """Of every block whether the canary beside it saw the machine's fast state; empty where no canary was timed."""
        return tuple(ratio <= 1.0 + CANARY_QUIET_WITHIN for ratio in self.canary_ratios)

    @property
    def block_spread_ratio(self) -> float:
        """(largest - smallest block median) / median."""
        return (max(self.block_medians_s) - min(self.block_medians_s)) / self.median_s

    @property
    def preempted_ratio(self) -> float:
        """Share of samples during which the processor was taken away."""
        return len(self.preempted) / len(self.samples_s)

    @property
    def wall_over_cpu(self) -> float | None:
        """Median duration / median processor time; None where the device does not tell processor time."""
        return self.median_s / statistics.median(self.cpu_samples_s) if self.cpu_samples_s else None

    @cached_property
    def interval_s(self) -> tuple[float, float]:
        """95 % interval of the median, in seconds.

        The wider, on each side, of the distribution-free interval of order statistics over all samples and Student's
        interval over the block medians: neighbouring samples are correlated, blocks much less.
        """
        ordered, count = self._ordered, len(self.samples_s)
        half = _Z_975 * math.sqrt(count) / 2
        low = ordered[max(0, math.floor(count / 2 - half))]
        high = ordered[min(count - 1, math.ceil(count / 2 + half))]
        blocks = self.block_medians_s
        if len(blocks) >= 3:
            margin = student_975(len(blocks)) * statistics.stdev(blocks) / math.sqrt(len(blocks))
            low, high = min(low, self.median_s - margin), max(high, self.median_s + margin)
        return max(low, 0.0), high

    @property
    def noise(self) -> tuple[str, ...]:
        """Why the samples are noisy, in words; empty when they are not."""
        reasons = []
        if len(self.block_sizes) > 1 and self.block_spread_ratio > NOISY_BLOCK_SPREAD:
            reasons.append(f"blocks differ by {self.block_spread_ratio:.1%}")
        if self.preempted_ratio > NOISY_PREEMPTED:
            reasons.append(f"{self.preempted_ratio:.1%} of the samples were preempted")
        wall = self.wall_over_cpu
        if wall is not None and wall > NOISY_WALL_OVER_CPU:
            reasons.append(f"the clock ran {wall:.2f} times as long as the processor worked")
        return tuple(reasons)

    def joined(self, later: Latency) -> Latency:
        """The blocks of both, ``later`` taken after this one with the network loaded anew, beside the same canary."""
        count, loads = len(self.samples_s), max((one.load for one in self.occasions), default=-1) + 1
        kept = len(self.occasions) == len(self.block_sizes) and len(later.occasions) == len(later.block_sizes)
        told = bool(self.cpu_samples_s) and bool(later.cpu_samples_s)
        quiet_s = [one for one in (self.canary_quiet_s, later.canary_quiet_s) if one is not None]
        return Latency(
            self.samples_s + later.samples_s,
            self.block_sizes + later.block_sizes,
            self.preempted + tuple(count + index for index in later.preempted),
            self.cpu_samples_s + later.cpu_samples_s if told else (),
            self.occasions + tuple(replace(one, load=one.load + loads) for one in later.occasions) if kept else (),
            min(quiet_s, default=None) if kept else None,
        )

    @cached_property
    def _ordered(self) -> list[float]:
        return sorted(self.samples_s)


@dataclass(frozen=True, slots=True)
class LayerLatency:
    """Time of one executed node of the compiled network.

    node: the runtime's name of it. source_layers: the network's own layers that were fused into it, in network order;
    empty when it cannot be attributed (a reorder, a copy). kind: the runtime's word for its type. runs_s: seconds per
    inference, one value per profiled compilation, or per run where the device tells several of one. channels: output channels where
    known, else 0. precision: what the node computes in, empty where the runtime does not tell. Raises RecordError for times that are none.
    """

    node: str
    source_layers: tuple[str, ...]
    kind: str
    runs_s: tuple[float, ...]
    channels: int = 0
    precision: str = ""

    def __post_init__(self) -> None:
        if not self.runs_s or not all(math.isfinite(run) and run >= 0 for run in self.runs_s):
            raise RecordError(f"node {self.node} took {list(self.runs_s)} s; profile the network again, the clock cannot be trusted")

    @property
    def median_s(self) -> float:
        """Median over the profiled compilations, in seconds."""
        return statistics.median(self.runs_s)


@dataclass(frozen=True)
class Measurement:
    """What one network cost on one device. Simulated ones are told by ``provenance`` and never mix with measured ones.

    config: None for a network that was not pruned by configuration (a foreign ONNX file). artefact_digest: SHA-256 of
    the ONNX bytes. load_s: read and compile; first_inference_s: the first one after it. layers: per-node times of
    profiled runs (never added up into ``latency``); profiled: the whole-network latency while profiling was on.
    """

    network: str
    architecture_digest: str
    config: PruningConfig | None
    artefact_digest: str
    artefact_bytes: int
    latency: Latency
    conditions: Conditions
    load_s: float
    first_inference_s: float
    peak_memory_bytes: int | None = None
    layers: tuple[LayerLatency, ...] = ()
    profiled: Latency | None = None
    role: str = "network"  # "network", "design" or "held-out": what it was measured for
    notes: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        for name, seconds in (("loading", self.load_s), ("the first inference", self.first_inference_s)):
            if not math.isfinite(seconds) or seconds < 0:
                raise RecordError(f"{name} of {self.network} took {seconds} s; measure again, the clock cannot be trusted")

    @property
    def provenance(self) -> str:
        """``measured`` or ``SIMULATED``."""
        return "SIMULATED" if self.conditions.device.simulated else "measured"

    def seconds_by_layer(self) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """``(layers, seconds per compilation)`` of every fused set of layers, its nodes added up; nodes without a layer are left out."""
        found: dict[str, tuple[float, ...]] = {}
        for layer in self.layers:
            name = "+".join(layer.source_layers)
            before = found.get(name, (0.0,) * len(layer.runs_s))
            if name and len(before) == len(layer.runs_s):
                found[name] = tuple(map(sum, zip(before, layer.runs_s, strict=True)))
        return tuple(found.items())

    @property
    def noise(self) -> tuple[str, ...]:
        """Why the figures are not to be trusted, in words: the device throttled, or the samples are noisy; empty when neither."""
        slowed = self.conditions.throttling
        return (*((f"the device throttled: {slowed}",) if slowed else ()), *self.latency.noise)

    def joined(self, later: Measurement) -> Measurement:
        """The same network measured again under the same conditions, as one measurement that ended when ``later`` did."""
        conditions = replace(self.conditions, after=later.conditions.after)
        return replace(self, latency=self.latency.joined(later.latency), conditions=conditions, notes=(*self.notes, *later.notes))


@dataclass(frozen=True, slots=True)
class Prediction:
    """A latency that was computed from stored measurements, never to be shown as measured.

    seconds: the estimate; low_s, high_s: its conformal interval of ``confidence``.
    """

    seconds: float
    low_s: float
    high_s: float
    confidence: float = 0.90
