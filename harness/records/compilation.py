"""Compilation: what a device's compiler made of a network that was not run; a kind of its own, never a latency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import RecordError
from harness.records.conditions import DeviceInfo
from harness.records.pruning_config import PruningConfig

COPY_KINDS = ("Copy",)  # stages that only move data
MOST_COST = 10**12  # of a stage, in the compiler's own unit: sums of any network's fit into eight bytes


@dataclass(frozen=True, slots=True)
class CompiledStage:
    """One stage of the schedule.

    hardware: on the convolution engine, else on the vector processors. executed: False for a mere view of other data.
    cost: the compiler's own estimate, in its own unit. source_layers: the network's layers it belongs to.
    """

    name: str
    kind: str
    hardware: bool
    executed: bool
    cost: int
    source_layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compilation:
    """One network as compiled for one device without running it. blob: the device's executable."""

    network: str
    architecture_digest: str
    config: PruningConfig | None
    artefact_digest: str
    artefact_bytes: int
    device: DeviceInfo
    stages: tuple[CompiledStage, ...]
    blob_bytes: int
    blob_digest: str
    compile_s: float
    versions: tuple[tuple[str, str], ...]
    git_commit: str
    taken_at: str

    @property
    def provenance(self) -> str:
        """Always ``compiled``: nothing was measured."""
        return "compiled"

    @property
    def cost(self) -> int:
        """The compiler's cost of the whole schedule."""
        return sum(stage.cost for stage in self.stages)

    @property
    def executed_count(self) -> int:
        """Stages that run."""
        return sum(stage.executed for stage in self.stages)

    @property
    def hardware_count(self) -> int:
        """Stages that run on the convolution engine."""
        return sum(stage.hardware for stage in self.stages)

    @property
    def view_count(self) -> int:
        """Stages that do not run: views of other stages' data, among them paddings of odd widths."""
        return len(self.stages) - self.executed_count

    @property
    def copies(self) -> int:
        """Stages that only move data."""
        return sum(stage.executed and stage.kind in COPY_KINDS for stage in self.stages)


@dataclass(frozen=True, slots=True)
class CompiledWidth:
    """What a compiler made of the network with one group at one width; its cost is in the compiler's own unit, no duration.

    legal: worth having, see ``compiled_widths``. added_copies: executed stages that only move data, more than at the widest
    width. added_views: stages that do not run (paddings and other views of data), more than there.
    """

    width: int
    cost: int
    executed_count: int
    blob_bytes: int
    legal: bool
    added_copies: int
    added_views: int


def compiled_widths(by_width: Iterable[tuple[int, Compilation]]) -> tuple[CompiledWidth, ...]:
    """The staircase of compiled cost, widest first; RecordError when a width occurs twice.

    A legal width is cheaper than every larger legal one and adds no copies: the compiler's cost is the convolution engine's, and
    the copies that it inserts for odd widths run elsewhere and count nothing. Only in a group none of whose narrower widths
    does without are widths with copies legal too.
    """
    ordered = sorted(by_width, key=lambda pair: -pair[0])
    if len({width for width, _ in ordered}) != len(ordered):
        raise RecordError("a width was compiled twice; give each width once")
    added = {width: one.copies - ordered[0][1].copies for width, one in ordered}
    copies_allowed = all(copies > 0 for copies in list(added.values())[1:])
    rows: list[CompiledWidth] = []
    for width, one in ordered:
        cheaper = all(one.cost < larger.cost for larger in rows if larger.legal)
        legal = cheaper and (copies_allowed or added[width] <= 0)
        views = one.view_count - ordered[0][1].view_count
        rows.append(CompiledWidth(width, one.cost, one.executed_count, one.blob_bytes, legal, added[width], views))
    return tuple(rows)


def to_json(compilation: Compilation) -> dict[str, Any]:
    """A JSON object with everything."""
    config = None if compilation.config is None else dict(compilation.config.channels)
    return {**asdict(compilation), "config": config, "provenance": compilation.provenance}


def from_json(entry: object, origin: str) -> Compilation:
    """What ``to_json`` wrote; RecordError names ``origin`` when it is something else."""
    try:
        if not isinstance(entry, Mapping) or entry.get("provenance") != "compiled":
            raise RecordError(f"{origin} holds no compilation; compile again")
        network = str(entry["network"])
        device = dict(entry["device"])
        device["details"] = tuple((str(key), str(text)) for key, text in device["details"])
        return Compilation(
            network=network,
            architecture_digest=str(entry["architecture_digest"]),
            config=None if entry["config"] is None else PruningConfig.of(network, entry["config"]),
            artefact_digest=str(entry["artefact_digest"]),
            artefact_bytes=int(entry["artefact_bytes"]),
            device=DeviceInfo(**device),
            stages=tuple(map(_stage, entry["stages"])),
            blob_bytes=int(entry["blob_bytes"]),
            blob_digest=str(entry["blob_digest"]),
            compile_s=float(entry["compile_s"]),
            versions=tuple((str(name), str(version)) for name, version in entry["versions"]),
            git_commit=str(entry["git_commit"]),
            taken_at=str(entry["taken_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{origin} lacks or garbles a part of a compilation ({type(error).__name__}: {error}); compile again") from error


def _stage(entry: Mapping[str, Any]) -> CompiledStage:
    """One stage; KeyError, TypeError or ValueError for what is none."""
    flags, cost, layers = (entry["hardware"], entry["executed"]), entry["cost"], entry["source_layers"]
    if not all(isinstance(one, bool) for one in flags):
        raise TypeError("hardware or executed is neither true nor false")
    if isinstance(cost, bool) or not isinstance(cost, int) or not 0 <= cost < MOST_COST:
        raise ValueError(f"a cost is {str(cost)[:20]}, no whole number from 0 to {MOST_COST:g}")
    if not isinstance(layers, list | tuple) or not all(isinstance(one, str) for one in layers):
        raise TypeError("source_layers are no names")
    return CompiledStage(str(entry["name"]), str(entry["kind"]), *flags, cost, tuple(layers))
