"""Lets pytest-benchmark record samples that a device took: a clock that moves only as far as the device said."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from pytest_benchmark.stats import Metadata

from harness.errors import RecordError
from harness.records import benchmark_json
from harness.records.measurement import Measurement


class DeviceClock:
    """A timer for pytest-benchmark whose reading is set, never measured; seconds."""

    __name__ = "device_clock"  # pytest-benchmark stores it as options.timer

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """The reading, as pytest-benchmark asks for it."""
        return self.now_s


CLOCK = DeviceClock()
WHOLE = "whole network"  # what the parameter ``layer`` of a network's own entry says
LAYER = "espalier_layer"  # key by which a layer's entry is known: in the file, and not in the terminal's table unless it is grouped


def replay(benchmark: Any, measurement: Measurement) -> None:
    """Hand a measurement to pytest-benchmark's fixture, so that ``stats.data`` equals the device's samples bit for bit."""
    # before the replay, or pytest-benchmark shows, and compares, all devices in one table
    benchmark.group = f"{measurement.conditions.device.name} {measurement.network} {measurement.role}, {measurement.provenance}"
    _Replay(measurement.latency.samples_s).through(benchmark)
    benchmark.extra_info.update(benchmark_json.extra_info(measurement))
    if benchmark.enabled and list(benchmark.stats.stats.data) != list(measurement.latency.samples_s):
        raise RecordError("pytest-benchmark changed the device's samples; install the version in constraints.txt")


def add_layers(benchmark: Any, measurement: Measurement) -> None:
    """Beside a network's entry one for each of its layers, of the times that were taken with it, for pytest-benchmark's own tools.

    They are called as the network's, with the layer behind it, so that runs can be compared and grouped (``param:layer``).
    """
    if not benchmark.enabled:
        return
    benchmark.stats.params = {**(benchmark.params or {}), "layer": WHOLE}
    for name, runs_s in measurement.seconds_by_layer():
        entry = Metadata(benchmark, iterations=1, options=dict(benchmark.stats.options))
        entry.name, entry.fullname = f"{benchmark.name}::{name}", f"{benchmark.fullname}::{name}"
        entry.group = f"{benchmark.group}, layers"
        entry.params = {**(benchmark.params or {}), "layer": name}
        entry.param = f"{benchmark.param or ''}-{name}"
        entry.extra_info = {LAYER: name, "network": measurement.network}
        for seconds in runs_s:
            entry.stats.update(seconds)
        benchmark._add_stats(entry)


class _Replay:
    def __init__(self, samples_s: Sequence[float]) -> None:
        self._waiting = deque(samples_s)
        self._rounds = len(samples_s)

    def through(self, benchmark: Any) -> None:
        benchmark.pedantic(self._advance, setup=self._rewind, rounds=self._rounds, iterations=1)

    def _rewind(self) -> None:
        CLOCK.now_s = 0.0  # every round starts at zero, so that end - start is the sample exactly

    def _advance(self) -> None:
        if self._waiting:
            CLOCK.now_s = self._waiting.popleft()
