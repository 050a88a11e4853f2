"""Compile networks, also with one group of channels at several widths, and keep every answer on disk as soon as it is there.

``python -m harness.sweeps.compiled --device=ncs2`` compiles many and tells each one's compiled cost, or by which layers it is refused.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich import box
from rich.table import Table

from harness import exported
from harness.devices import spec
from harness.devices.compiling import compile_network
from harness.devices.session import Device, Session
from harness.errors import HarnessError, ModelRefused, PruningError
from harness.exported import Exported
from harness.latency.explanation.width_series import grid
from harness.networks import export, zoo
from harness.networks.pictures import preparing
from harness.pages import layout
from harness.pages.layout import Cell, Section
from harness.pipeline import Network, latency_subject
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation, CompiledWidth, compiled_widths
from harness.records.pruning_config import PruningConfig
from harness.records.stored_files import stem
from harness.sweeps import widths as width_sweep

TITLE = "Compiled, not measured"
NETWORKS = (
    *("resnet20", "resnet56", "mobilenetv2", "mobilenetv3-small"),
    *("torchvision:resnet18", "torchvision:mobilenet_v2", "torchvision:squeezenet1_1"),
)
SMALL, SMALL_CLASSES = (1, 32, 32), 10  # what a network is compiled for that names no size: the digits, which every suite takes
RGB, IMAGENET_CLASSES = 3, 1000  # of one that says the size of its pictures, as torchvision's do
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


@dataclass(frozen=True)
class Row:
    """One network by a device's compiler: made, or, where that is None, why it was refused. input_shape: channels x height x width."""

    network: str
    input_shape: tuple[int, ...]
    made: Compilation | None
    refusal: str = ""


def named(name: str, input_shape: tuple[int, int, int] | None = None) -> Network | Exported:
    """A network with random weights at this size, or at the one that it says itself, or the digits'; or an ONNX file as it is.

    Raises UnknownName and UsageError.
    """
    if exported.is_file(name):
        return Exported.read(Path(name), image=input_shape)
    size = None if input_shape else zoo.told_size(name)
    shape = input_shape or ((RGB, *size) if size else SMALL)
    classes = IMAGENET_CLASSES if size else SMALL_CLASSES
    model = zoo.build(name, shape, classes, task=None)
    try:
        return Network.wrap(name, model, shape, classes)
    except PruningError:  # none of its channels can go exactly, and nobody asks that here
        return Exported.of(export.export(model, shape, name))


def compiled_row(network: Network | Exported, session: Session, path: Path) -> Row:
    """The whole network on the device's compiler, kept in ``path``, or taken from there; a refusal is told, and is no error."""
    shape = network.architecture.input_shape
    try:
        return Row(network.name, shape, CompiledSweep(network, session, path).config(network.architecture.dense()))
    except ModelRefused as refused:
        return Row(network.name, shape, None, str(refused))


def section(rows: Sequence[Row], device: str) -> Section:
    """Compiled costs of networks, and which are refused by which layers; nothing in it is a duration."""
    text = (
        f"By the compiler of {device}; what is no file has random weights. Cost: the compiler's own unit, of what runs in hardware "
        "alone, no duration; copies: "
        "stages that only move data, which cost nothing in that unit."
    )
    columns = ("network", "images", "compiled cost", "stages run", "in hardware", "copies", "blob, kB", "refused")
    return Section("Compiled cost", text, columns, tuple(map(_cells, rows)))


def _cells(row: Row) -> tuple[Cell, ...]:
    made, images = row.made, "x".join(map(str, row.input_shape))
    counts = () if made is None else (made.cost, made.executed_count, made.hardware_count, made.copies, round(made.blob_bytes / 1000))
    figures = [Cell(str(count), number=True) for count in counts] or [Cell("—", number=True)] * 5
    return (Cell(row.network), Cell(images), *figures, Cell(row.refusal))


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


def _words() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="python -m harness.sweeps.compiled", description="compiled cost of networks, without the device")
    words.add_argument("--device", default="ncs2", metavar="NAME", help="whose compiler (default %(default)s)")
    words.add_argument("--network", action="append", metavar="NAME", help=f"or FILE.py:factory, FILE.onnx (default {' '.join(NETWORKS)})")
    words.add_argument("--input-shape", metavar="CxHxW", help="of all that are no file (default: as each says itself, else 1x32x32)")
    words.add_argument("--benchmark-json", type=Path, metavar="FILE", help="keep every compilation there, and go on with those it holds")
    words.add_argument("--html", type=Path, metavar="FILE", help="the page")
    words.add_argument("--md", type=Path, metavar="FILE", help="the same as Markdown, which is also printed")
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 0 when everything was compiled, 1 where something was refused, 2 for what could not be asked."""
    asked = _words().parse_args(arguments)
    try:
        found = spec.find(asked.device).with_options(compile_only=True)
        channels, *size = preparing.parsed_shape(asked.input_shape) if asked.input_shape else (None,)
        shape = (channels or SMALL[0], size[0], size[1]) if size else None
        networks = [named(name, shape) for name in dict.fromkeys(asked.network or NETWORKS)]
        rows = []
        with tempfile.TemporaryDirectory() as nowhere, Device(found).open() as session:
            for network in networks:
                rows.append(compiled_row(network, session, asked.benchmark_json or Path(nowhere) / "compiled.json"))
                ended = "refused" if rows[-1].made is None else "compiled"
                print(f"{len(rows)} of {len(networks)}: {network.name} {ended}", file=sys.stderr)
            told = (TITLE, f"{len(rows)} networks for {session.info.name} ({session.info.model}, {session.info.runtime_version}).")
        page = (section(rows, found.name),)
        print(layout.as_markdown(*told, page))
        for path, as_page in ((asked.html, layout.as_html), (asked.md, layout.as_markdown)):
            if path is not None:
                print(f"written: {layout.write(path, as_page(*told, page))}")
    except (HarnessError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, HarnessError) else 2
    return int(any(row.made is None for row in rows))


if __name__ == "__main__":
    sys.exit(main())
