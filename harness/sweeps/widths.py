"""Measure a network at every width of one group after the other, and keep each group's answer on disk as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.devices.measure import Protocol, Subject
from harness.errors import RecordError
from harness.latency.explanation.width_series import ROLE, grid, set_of
from harness.pipeline import Network, latency_subject
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import Conditions
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig
from harness.records.stored_files import stem

# Ten short turns of every width: the interval rests on blocks that lie apart, not on many samples of one moment.
SWEEP = Protocol(warmup_s=0.005, warmup_rounds=15, rounds=400, min_time_s=0.0, blocks=10, precision_target=None, profile_compiles=0)
LOOK = Protocol(warmup_s=0.0, warmup_rounds=5, rounds=10, min_time_s=0.0, blocks=1, precision_target=None, profile_compiles=0)

MeasureTogether = Callable[[Sequence[Subject]], Sequence[Measurement]]


@dataclass
class Sweep:
    """A sweep over the groups of one network, resumed from ``path`` and written to it.

    present: conditions under which new measurements would be taken; stored ones of other conditions stay in the file and are
    not used. count: widths of the grid. measured_now: how many networks were really measured, anchors included.
    """

    network: Network
    present: Conditions
    path: Path
    count: int
    batch_size: int
    measure_together: MeasureTogether
    measured_now: int = 0
    _stored: BenchmarkFile = field(init=False)

    def __post_init__(self) -> None:
        self._stored = read(self.path)

    @property
    def architecture(self) -> Architecture:
        """The network's layers and groups."""
        return self.network.architecture

    @property
    def usable(self) -> tuple[Measurement, ...]:
        """Stored measurements of this network under these conditions."""
        digest = self.architecture.digest
        return tuple(
            m
            for m in self._stored.measurements
            if m.role == ROLE
            and m.architecture_digest == digest
            and m.conditions.precision == self.present.precision
            and not m.conditions.differences(self.present)
        )

    def group(self, name: str) -> dict[int, Measurement]:
        """Width to measurement of one group, widest first; measures what is not stored and stores it.

        At the full width stands the dense network that was measured in turns with the others, their anchor.
        """
        group = self.architecture.group(name)
        narrower = [width for width in grid(group, self.count) if width != group.channels]
        configs = {width: self.architecture.partial({name: width}) for width in narrower}
        missing = [config for config in configs.values() if config not in self._anchored()]
        if missing:
            wanted = [self.architecture.dense(), *missing]
            subjects = [latency_subject(self.network, config, ROLE, self.batch_size) for config in wanted]
            found = tuple(self.measure_together(subjects))
            self.measured_now += len(found)
            self._keep(found)
        measured = self._anchored()
        if not configs:
            return {}
        _, anchor = measured[configs[narrower[-1]]]
        return {group.channels: anchor, **{width: measured[config][0] for width, config in configs.items()}}

    def _anchored(self) -> dict[PruningConfig | None, tuple[Measurement, Measurement]]:
        """Configuration to its measurement and the dense network's of the same set; what lacks one is left out."""
        dense, usable = self.architecture.dense(), self.usable
        anchors = {set_of(m): m for m in usable if m.config == dense}
        return {m.config: (m, anchors[set_of(m)]) for m in usable if m.config != dense and set_of(m) in anchors}

    def _keep(self, found: Sequence[Measurement]) -> None:
        architectures = {a.digest: a for a in (*self._stored.architectures, self.architecture)}
        self._stored = BenchmarkFile((*self._stored.measurements, *found), tuple(architectures.values()))
        write(self.path, self._stored)


def store_path(store: Path, device: str, network: str, dataset: str, precision: str) -> Path:
    """Where the widths of a network are kept."""
    return store / device / "widths" / f"{stem(network, dataset, precision)}.json"


def read(path: Path) -> BenchmarkFile:
    """What is stored at ``path``, nothing where there is no file; RecordError for a broken one, which is never overwritten."""
    return benchmark_json.read(path) if path.is_file() else BenchmarkFile((), ())


def write(path: Path, file: BenchmarkFile) -> None:
    """Write whole or not at all; RecordError when the folder refuses it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        benchmark_json.write(path, file)
    except OSError as error:
        raise RecordError(f"cannot write {path} ({error.strerror}); make room, or give another folder with --store") from error
