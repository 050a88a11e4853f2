"""Compile a network, also with one group of channels at several widths, and keep every answer on disk as soon as it is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich import box
from rich.table import Table

from harness.devices.compiling import compile_network
from harness.devices.session import Session
from harness.exported import Exported
from harness.latency.explanation.width_series import grid
from harness.pipeline import Network, latency_subject
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation, CompiledWidth, compiled_widths
from harness.records.pruning_config import PruningConfig
from harness.records.stored_files import stem
from harness.sweeps import widths as width_sweep

FOLDER = "compiled"  # under the device's: apart from measurements, which no program may take these for


@dataclass
class CompiledSweep:
    """Compilations of one network on one device's compiler, resumed from ``path`` and written to it.

    Stored ones by another version of the compiler stay in the file and are not used. compiled_now: how many were made here.
    used: every one that was asked for, each once.
    """

    network: Network | Exported
    session: Session
    path: Path
    compiled_now: int = 0
    used: list[Compilation] = field(default_factory=list)
    _stored: BenchmarkFile = field(init=False)

    def __post_init__(self) -> None:
        self._stored = benchmark_json.read(self.path) if self.path.is_file() else BenchmarkFile((), ())

    def config(self, config: PruningConfig) -> Compilation:
        """The network at these widths: stored, or compiled now and stored; ModelRefused when the compiler cannot."""
        found = self._find(config) or self._compile(config)
        if found not in self.used:
            self.used.append(found)
        return found

    def group(self, name: str, count: int) -> tuple[CompiledWidth, ...]:
        """The staircase of one group at ``count`` widths spread evenly, the full one and the one just below it, all others whole."""
        architecture = self.network.architecture
        widths = grid(architecture.group(name), count)
        return compiled_widths((width, self.config(architecture.partial({name: width}))) for width in widths)

    def _find(self, config: PruningConfig) -> Compilation | None:
        for one in self._stored.compilations:
            same = one.architecture_digest == self.network.architecture.digest and one.config == config
            if isinstance(self.network, Exported):
                same = same and one.artefact_digest == self.network.artefact.digest
            if same and compiler(one) == _compiler(self.session):
                return one
        return None

    def _compile(self, config: PruningConfig) -> Compilation:
        network = self.network
        made = compile_network(self.session, network.subject() if isinstance(network, Exported) else latency_subject(network, config))
        self.compiled_now += 1
        architectures = {one.digest: one for one in (*self._stored.architectures, self.network.architecture)}
        compilations = (*self._stored.compilations, made)
        self._stored = replace(self._stored, architectures=tuple(architectures.values()), compilations=compilations)
        width_sweep.write(self.path, self._stored)
        return made


def compiler(one: Compilation) -> tuple[str, ...]:
    """What must agree between compilations that are compared: chip, version, firmware."""
    return (one.device.model, one.device.runtime, one.device.runtime_version, *(text for _, text in one.device.details))


def store_path(store: Path, device: str, network: str, dataset: str) -> Path:
    """Where the compilations of a network are kept."""
    return store / device / FOLDER / f"{stem(network, dataset)}.json"


def table(group: str, rows: Iterable[CompiledWidth], device: str, twins: Iterable[str] = ()) -> Table:
    """A staircase of compiled cost as a table, widest first; nothing in it is a duration."""
    drawn = Table(title=f"{group}: compiled for {device}, not measured", box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    drawn.caption = (
        "cost: the compiler's own unit, of the whole network with this group alone narrowed; copies and paddings: more than at the "
        "widest width; legal: cheaper than every larger legal width, and no copies added where the group has widths without"
    )
    also = list(twins)
    if also:
        drawn.caption += f"; the same holds for {', '.join(also)}"
    for heading in ("channels kept", "compiler's cost", "stages run", "copies", "paddings", "blob bytes"):
        drawn.add_column(heading, justify="right")
    drawn.add_column("legal")
    for row in rows:
        counts = (str(row.executed_count), f"{row.added_copies:+d}", f"{row.added_views:+d}", str(row.blob_bytes))
        drawn.add_row(str(row.width), str(row.cost), *counts, "yes" if row.legal else "no")
    return drawn


def _compiler(session: Session) -> tuple[str, ...]:
    info = session.info
    return (info.model, info.runtime, info.runtime_version, *(text for _, text in info.details))
