"""Legal widths by a device's own compiler, which can be had before the device is: costs in its unit, never seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.devices import spec
from harness.errors import CampaignError, RecordError
from harness.latency.explanation import width_series
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation, CompiledWidth, compiled_widths
from harness.sweeps.compiled import FOLDER, compiler, store_path
from search.records.outcome import COMPILED
from search.space.bench_run import Bench, Say, run_bench

WIDTHS = 4  # of every group, beside the full one, the one just below it, and 0: each takes the compiler five seconds


@dataclass(frozen=True)
class CompiledStaircases:
    """Staircases of compiled cost by group, each widest first. compilations: what they are read off."""

    device: str
    by_group: Mapping[str, tuple[CompiledWidth, ...]]
    compilations: tuple[Compilation, ...]

    def legal(self) -> dict[str, tuple[int, ...]]:
        """Per group the widths worth trying, ascending, the dense one among them."""
        return {group: tuple(sorted(row.width for row in rows if row.legal)) for group, rows in self.by_group.items()}

    def sentence(self) -> str:
        """How many of the compiled widths are legal, and how many are not for which reason."""
        rows = [row for staircase in self.by_group.values() for row in staircase]
        refused = [row for row in rows if not row.legal]
        copying = sum(row.added_copies > 0 for row in refused)
        return (
            f"legal widths: compiled for {self.device}, not measured; {len(rows) - len(refused)} of {len(rows)} widths in "
            f"{len(self.by_group)} groups are legal, {copying} add copies, {len(refused) - copying} cost no less than a larger one"
        )


def staircases(compilations: Iterable[Compilation], architecture: Architecture, device: str) -> CompiledStaircases:
    """From compilations with one group narrowed each; a group's twins are taken to be alike.

    Only those by the compiler of the last one count. RecordError when a group has no narrower width.
    """
    ours = [one for one in compilations if one.architecture_digest == architecture.digest and one.config is not None]
    ours = [one for one in ours if compiler(one) == compiler(ours[-1])]
    dense = [one for one in ours if one.config == architecture.dense()]
    points: dict[str, dict[int, Compilation]] = {}
    for one in ours:
        changed = [group for group in architecture.groups if one.config and one.config.kept(group.name) != group.channels]
        if len(changed) == 1 and one.config and dense:
            points.setdefault(changed[0].name, {changed[0].channels: dense[-1]})[one.config.kept(changed[0].name)] = one
    found: dict[str, tuple[CompiledWidth, ...]] = {}
    for names in width_series.twins(architecture):
        first = next((name for name in names if name in points), None)
        if first is None:
            raise RecordError(f"nothing narrower of {names[0]} is compiled for {device}; run: {_command(architecture.network, device)}")
        found |= {name: compiled_widths(points[name if name in points else first].items()) for name in names}
    used = {id(one): one for by_width in points.values() for one in by_width.values()}
    return CompiledStaircases(device, {group.name: found[group.name] for group in architecture.groups}, tuple(used.values()))


def find_or_compile(bench: Bench, device: str, architecture: Architecture, say: Say) -> CompiledStaircases:
    """The newest stored compilations of this network for ``device``, or new ones, by its compiler and without it.

    UnknownName when there is no such device; CampaignError when its runtime has no compiler, or the compiler fails.
    """
    spec.find(device)
    folder = bench.reports / "benchmarks" / device / FOLDER
    for path in sorted(folder.glob("*.json"), key=lambda found: found.stat().st_mtime, reverse=True):
        try:
            found = staircases(benchmark_json.read(path).compilations, architecture, device)
        except RecordError as error:
            say(f"legal widths: passing over {path}: {error}")
            continue
        say(f"legal widths: {path} ({len(found.compilations)} compiled networks)")
        return found
    kept = store_path(bench.reports / "benchmarks", device, bench.network, bench.dataset)
    options = [*replace(bench, device=device).options(), "--compile-only", "--group=all", f"--widths={WIDTHS}"]
    options.append(f"--store={bench.reports / 'benchmarks'}")
    made = kept.with_name(f"{kept.stem}-widths.json")
    run_bench(("test_compiled.py",), made, options, say)
    return staircases(benchmark_json.read(made).compilations, architecture, device)


def of_campaign(folder: Path, bench: Bench, device: str, architecture: Architecture) -> CompiledStaircases:
    """What a campaign took its widths from: its own copy, or, before it has one, what is stored, of which it keeps a copy."""
    copy = folder / COMPILED
    if copy.is_file():
        return staircases(benchmark_json.read(copy).compilations, architecture, device)
    found = find_or_compile(bench, device, architecture, lambda line: None)
    if folder.is_dir():
        benchmark_json.write(copy, BenchmarkFile((), (architecture,), compilations=found.compilations))
    return found


def replaced(legal: Mapping[str, Sequence[int]], by: CompiledStaircases) -> dict[str, tuple[int, ...]]:
    """The same groups with the compiler's legal widths; CampaignError when it tells of other groups."""
    if set(legal) != set(by.legal()):
        raise CampaignError(f"the widths compiled for {by.device} are of other groups; delete them and start again")
    return {group: by.legal()[group] for group in legal}


def _command(network: str, device: str) -> str:
    return f"pytest bench/test_compiled.py --device={device} --compile-only --network={network} --group=all"
