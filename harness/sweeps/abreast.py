"""The same networks on several devices in turns, on one page: ``python -m harness.sweeps.abreast --device=cpu --device=ort``.

All devices are open at once, and block k of one lies beside block k of the other (A-B-B-A), so that what disturbs a machine disturbs
both: the ratio is a comparison of runtimes, not of moments.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich import box
from rich.table import Table

from harness import exported
from harness.devices import spec
from harness.devices.measure import PROFILED_INFERENCES, Protocol, canary_of, comparison, load_shares, turn_orders
from harness.devices.provenance import host_facts
from harness.devices.samples import Subject, Turn, canary_quiet_s, conditions_of, latency_of, merge_runs, record
from harness.devices.session import CANARY_ROUNDS, Device, Loaded, Session
from harness.errors import HarnessError, UsageError
from harness.exported import Exported
from harness.files import numbers
from harness.latency.verdict.judgement import ADVISED_PAIRS, FEWEST_PAIRS, Verdict, verdicts
from harness.networks import export, zoo
from harness.networks.pictures import preparing
from harness.pages import device_tables, layout, tables
from harness.pages.layout import Cell, Section
from harness.pipeline import in_int8
from harness.quantisation import answering
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import INT8
from harness.records.measurement import Measurement

TITLE = "Devices in turns"
SHAPE, CLASSES = (1, 32, 32), 10  # of the digits, which every suite takes by default


@dataclass(frozen=True)
class Row:
    """One network on every device, in their order; verdicts: of each further device against the first."""

    network: Exported
    measurements: tuple[Measurement, ...]
    verdicts: tuple[Verdict, ...]


def compare(sessions: Sequence[Session], networks: Sequence[Exported], protocol: Protocol, precision: str = "f32") -> tuple[Row, ...]:
    """Every network on all devices, one network after the other; raises ModelRefused and the errors of a failing device.

    protocol: its blocks are of each device; loads, rounds and times as in a comparison of networks.
    """
    taken = [_measured(sessions, network, protocol, precision) for network in networks]
    pairs = [(other.latency, found[0].latency) for found in taken for other in found[1:]]
    judged = iter(verdicts(pairs))
    return tuple(Row(network, found, tuple(next(judged) for _ in found[1:])) for network, found in zip(networks, taken, strict=True))


def sections(rows: Sequence[Row]) -> tuple[Section, ...]:
    """The verdicts, then what the page of devices tells: identities, conditions, whole networks, layers beside each other."""
    first = rows[0].measurements[0].conditions.device.name
    names = [one.conditions.device.name for one in rows[0].measurements[1:]]
    columns = ("network", first, *(column for name in names for column in (name, f"{name} against {first}")))
    text = "Medians with their 95 % intervals, and the latency of one as a multiple of the other's by neighbouring blocks alone."
    return (Section("In turns", text, columns, tuple(map(_cells, rows))), *device_tables.sections(as_file(rows)))


def terminal(rows: Sequence[Row], columns: int) -> str:
    """What is printed: verdicts, then each device's layers; never wider than ``columns``, which are 80 at least."""
    first = rows[0].measurements[0].conditions.device.name
    told = Table(title=TITLE, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0), show_edge=False)
    for name in ("network", "device"):
        told.add_column(name, overflow="fold")
    for name in ("median", f"against {first}", "verdict"):
        told.add_column(name, justify="right")
    for row in rows:
        judged = (None, *row.verdicts)
        for one, verdict in zip(row.measurements, judged, strict=True):
            network = row.network.name if verdict is None else ""
            median = f"{tables.duration(one.latency.median_s)}\n{tables.interval(one.latency)}"
            ratio = f"{verdict.ratio:.3f} ×\n{verdict.low:.3f} to {verdict.high:.3f}" if verdict else "1"
            told.add_row(network, one.conditions.device.name, median, ratio, f"{verdict.outcome}\n{verdict.pairs} pairs" if verdict else "")
    file = as_file(rows)
    layers = [tables.layers(one, file.architectures) for one in file.measurements if one.layers]
    return tables.text([told, tables.networks(file.measurements), *layers], max(tables.LEAST_COLUMNS, columns))


def as_file(rows: Sequence[Row]) -> BenchmarkFile:
    """Everything that was measured, as every suite writes it."""
    architectures = {row.network.architecture.digest: row.network.architecture for row in rows}
    return BenchmarkFile(tuple(one for row in rows for one in row.measurements), tuple(architectures.values()))


def _cells(row: Row) -> tuple[Cell, ...]:
    first, *others = (Cell(tables.duration(one.latency.median_s), tables.interval(one.latency), True) for one in row.measurements)
    cells = [Cell(row.network.name), first]
    for cell, judged in zip(others, row.verdicts, strict=True):
        cells += [cell, Cell(f"{judged.ratio:.3f} ×, {judged.outcome}", f"{judged.low:.3f} to {judged.high:.3f}, {judged.pairs} pairs")]
    return tuple(cells)


def _measured(sessions: Sequence[Session], network: Exported, protocol: Protocol, precision: str) -> tuple[Measurement, ...]:
    subjects = [_subject(network, session, precision) for session in sessions]
    orders = turn_orders(len(sessions), protocol)
    turns: list[list[Turn]] = [[] for _ in sessions]
    canaries_s: list[float] = []
    before = [session.snapshot() for session in sessions]
    first: list[Loaded] | None = None
    for load, share in enumerate(load_shares(orders, protocol.loads)):
        loaded = [one.load(s.onnx, s.network, s.precision or precision) for one, s in zip(sessions, subjects, strict=True)]
        first = first or loaded
        canary = canary_of(loaded[0], protocol)
        for number, order in enumerate(share):
            for index in order:
                warmup = (protocol.warmup_s, protocol.warmup_rounds) if number == 0 else (0.0, protocol.turn_warmup_rounds)
                block = loaded[index].infer(protocol.block_rounds, protocol.block_s, *warmup)
                if canary is not None:  # of the first device, beside the blocks of all: one machine has one state
                    block = replace(block, canary_ns=canary.infer(CANARY_ROUNDS, warmup_rounds=1).wall_ns)
                turns[index].append(Turn(block, load, canaries_s[-1] if canaries_s else None))
                canaries_s += [] if block.canary_s is None else [block.canary_s]
        for network_there in loaded:
            network_there.unload()
    if first is None:
        raise UsageError("no block was asked for; give --rounds and --blocks of at least 1")
    found, quiet_s = [], canary_quiet_s(canaries_s)
    for session, subject, one, taken, earlier in zip(sessions, subjects, first, turns, before, strict=True):
        layers = session.load(subject.onnx, subject.network, subject.precision or precision, True, subject.node_layers)
        block = layers.infer(PROFILED_INFERENCES, warmup_rounds=protocol.warmup_rounds)
        nodes = merge_runs([layers.profile(0)])
        layers.unload()
        conditions = conditions_of(session, one, subject.precision or precision, earlier, session.snapshot(), host_facts())
        notes = (("in turns with", ", ".join(other.info.name for other in sessions if other is not session)),)
        profiled = latency_of([Turn(block)]) if nodes else None
        found.append(record(subject, one, latency_of(taken, quiet_s), conditions, nodes, profiled, notes))
    return tuple(found)


def _subject(network: Exported, session: Session, precision: str) -> Subject:
    subject = network.subject()
    return in_int8(subject, None, answering.as_taken(session.spec.name)) if precision == INT8 else subject


def _network(name: str, shape: tuple[int, int, int]) -> Exported:
    if exported.is_file(name):
        return Exported.read(Path(name))
    return Exported.of(export.export(zoo.build(name, shape, CLASSES).eval(), shape, name))


def _open(names: Sequence[str], stack: ExitStack) -> tuple[Session, ...]:
    """All devices at once: those that share a resource, which one of them holds for all."""
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError("several devices are measured in turns, each once; give for example --device=cpu --device=ort")
    held: set[str] = set()
    sessions = []
    for found in map(spec.find, names):
        chosen = replace(found, exclusive=False) if found.identity in held else found
        held.add(found.identity)
        sessions.append(stack.enter_context(Device(chosen).open()))
    if len({session.info.simulated for session in sessions}) > 1:
        raise UsageError("measured and simulated devices do not run beside each other; give devices of one kind")
    return tuple(sessions)


def _words() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="python -m harness.sweeps.abreast", description="the same networks on several devices, in turns")
    words.add_argument("--device", action="append", default=[], metavar="NAME", help="two at least, held against the first")
    words.add_argument("--network", action="append", default=[], metavar="NAME", help="or FILE.py:factory or FILE.onnx (default resnet20)")
    words.add_argument("--input-shape", metavar="CxHxW", help="of networks that are no file (default 1x32x32)")
    words.add_argument("--precision", default="f32", help="what the runtimes compute in (default %(default)s)")
    words.add_argument("--rounds", type=numbers.whole, default=1500, help="timed inferences of each (default %(default)s)")
    words.add_argument("--blocks", type=numbers.whole, default=ADVISED_PAIRS, help="that they are split into (default %(default)s)")
    words.add_argument("--html", type=Path, metavar="FILE", help="the page")
    words.add_argument("--md", type=Path, metavar="FILE", help="the same as Markdown")
    words.add_argument("--benchmark-json", type=Path, metavar="FILE", help="everything measured, for every other command")
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 0 when everything was measured."""
    asked = _words().parse_args(arguments)
    try:
        if asked.blocks < FEWEST_PAIRS:
            raise UsageError(f"--blocks={asked.blocks} decide nothing; give at least {FEWEST_PAIRS}")
        channels, height, width = preparing.parsed_shape(asked.input_shape) if asked.input_shape else SHAPE
        networks = [_network(name, (channels or SHAPE[0], height, width)) for name in asked.network or ["resnet20"]]
        with ExitStack() as stack:
            rows = compare(_open(asked.device, stack), networks, comparison(asked.rounds, asked.blocks), asked.precision)
        page, lead = sections(rows), f"{', '.join(row.network.name for row in rows)}; {asked.precision}."
        print(terminal(rows, shutil.get_terminal_size().columns))
        for path, as_page in ((asked.html, layout.as_html), (asked.md, layout.as_markdown)):
            if path is not None:
                print(f"written: {layout.write(path, as_page(TITLE, lead, page))}")
        if asked.benchmark_json is not None:
            benchmark_json.write(asked.benchmark_json, as_file(rows))
            print(f"written: {asked.benchmark_json}")
    except (HarnessError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, HarnessError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
