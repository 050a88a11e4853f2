"""What one run of the benchmarks measured, for its file and for the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import RenderableType

from harness.records.accuracy import DeviceAccuracy, WidthAccuracy
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation
from harness.records.measurement import Measurement
from harness.records.throughput import Throughput


@dataclass
class Collected:
    """What this run measured, for the file and for the terminal."""

    measurements: list[Measurement] = field(default_factory=list)
    architectures: list[Architecture] = field(default_factory=list)
    accuracies: list[DeviceAccuracy] = field(default_factory=list)
    sensitivities: list[WidthAccuracy] = field(default_factory=list)
    compilations: list[Compilation] = field(default_factory=list)
    learnt_from: list[Measurement] = field(default_factory=list)
    throughputs: list[Throughput] = field(default_factory=list)
    texts: list[RenderableType] = field(default_factory=list)  # printed behind the tables

    def file(self) -> BenchmarkFile:
        """Everything that goes into a file."""
        return BenchmarkFile(
            tuple(self.measurements),
            tuple(self.architectures),
            tuple(self.accuracies),
            tuple(self.sensitivities),
            tuple(self.compilations),
            tuple(self.learnt_from),
            tuple(self.throughputs),
        )
