"""What a campaign that lowers compiled cost knows: the staircases, and designed networks; compiled once, and kept on disk one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.devices import spec
from harness.devices.compiling import has_compiler, with_compilers
from harness.devices.session import Device
from harness.errors import UsageError
from harness.latency.explanation import width_series
from harness.latency.model.sites import SiteMap
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation
from harness.records.pruning_config import PruningConfig
from harness.sweeps.compiled import CompiledSweep, store_path
from search.records.outcome import COMPILED
from search.records.trial import Ints, KnownCost
from search.space.bench_run import Bench
from search.space.compiled_costs import CompiledCosts, CostsJudged
from search.space.compiled_widths import WIDTHS, CompiledStaircases, staircases

HELD_OUT_COPY = "compiled-held-out.json"  # in a campaign's folder: what its model is judged by
DESIGNS, HELD_OUT = 24, 12  # compiled beside the staircases, each in five seconds
UNIFORM = tuple(tenth / 10 for tenth in range(1, 10))  # keep ratios: of widths that no search proposes little else is known
DRAWN = 200  # random networks for each design, of which the one is taken that shows most pairs of widths for the first time
SEED = 20  # the same designs for every campaign on a network: what one compiled serves the next

Tell = Callable[[int, int], None]
"""Called with how many networks are compiled, and how many there are."""


@dataclass(frozen=True)
class Compiled:
    """Compilations of one network by a device's compiler. made_from: all that costs are predicted from; held_out: others."""

    device: str
    architecture: Architecture
    made_from: tuple[Compilation, ...]
    held_out: tuple[Compilation, ...]

    @cached_property
    def costs(self) -> CompiledCosts:
        """The cost of any configuration."""
        return CompiledCosts(self.architecture, self.made_from)

    @property
    def known(self) -> KnownCost:
        """The same, as a search asks for it."""
        return self.costs

    @cached_property
    def staircases(self) -> CompiledStaircases:
        """Of every group."""
        return staircases(self.made_from, self.architecture, self.device)

    @cached_property
    def judged(self) -> CostsJudged:
        """How wrong a predicted cost is."""
        return self.costs.judged(self.held_out)

    @property
    def error_ratio(self) -> float:
        """The middle error of what was held out."""
        return self.judged.median_ratio

    def keep(self, folder: Path) -> None:
        """Copies in a campaign's folder, from which ``of_folder`` reads all of this."""
        for name, compilations in ((HELD_OUT_COPY, self.held_out), (COMPILED, self.made_from)):
            benchmark_json.write(folder / name, BenchmarkFile((), (self.architecture,), compilations=compilations))


def of_folder(folder: Path, architecture: Architecture, device: str) -> Compiled:
    """What a campaign took with it; RecordError where a file is broken."""
    each = (benchmark_json.read(folder / name).compilations for name in (COMPILED, HELD_OUT_COPY))
    made_from, held_out = ([one for one in found if one.architecture_digest == architecture.digest] for found in each)
    return Compiled(device, architecture, tuple(made_from), tuple(held_out))


def is_kept(folder: Path) -> bool:
    """Whether a campaign's folder has its copies."""
    return (folder / COMPILED).is_file() and (folder / HELD_OUT_COPY).is_file()


def check_device(name: str) -> None:
    """UsageError for a device whose runtime compiles nothing by itself, naming those that do; UnknownName for one that there is not."""
    if not has_compiler(spec.find(name)):
        able = ", ".join(with_compilers()) or "none here"
        raise UsageError(f"--objective=compiled-cost: {name} has no compiler that answers without running; give --device, one of: {able}")


def compile_all(
    bench: Bench, network: Network, configs: Iterable[PruningConfig], tell: Tell = lambda done, total: None
) -> list[Compilation]:
    """Each configuration by the device's compiler, taken from the store or compiled now and stored at once.

    DeviceUnavailable where the compiler cannot be started, ModelRefused where it refuses the network.
    """
    wanted = list(configs)
    path = store_path(bench.reports / "benchmarks", bench.device, bench.network, bench.dataset)
    found = []
    with Device(spec.find(bench.device).with_options(compile_only=True)).open() as session:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep = CompiledSweep(network, session, path)
        for done, config in enumerate(wanted):
            tell(done, len(wanted))
            found.append(sweep.config(config))
    return found


def missing(bench: Bench, architecture: Architecture) -> int:
    """How many networks ``gather`` will have to compile, by any version of the compiler; a guess that may be a few too many."""
    path = store_path(bench.reports / "benchmarks", bench.device, bench.network, bench.dataset)
    stored = {one.config for one in benchmark_json.read(path).compilations} if path.is_file() else set()
    lacking = [config for config in _usual(architecture) if config not in stored]
    return len(lacking) + (DESIGNS + HELD_OUT if lacking else 0)


def gather(bench: Bench, network: Network, published: Sequence[PruningConfig], tell: Tell = lambda done, total: None) -> Compiled:
    """Staircases of every group and uniform cuts, then designs among legal widths and others to judge by; ``published`` too.

    Raises what ``compile_all`` raises.
    """
    architecture = network.architecture
    first = list(dict.fromkeys((*_usual(architecture), *published)))
    whole = len(first) + DESIGNS + HELD_OUT
    stairs = compile_all(bench, network, first, lambda done, _: tell(done, whole))
    legal = staircases(stairs, architecture, bench.device).legal()
    designed, apart = designs(architecture, legal, first)
    others = compile_all(bench, network, (*designed, *apart), lambda done, _: tell(len(first) + done, whole))
    return Compiled(bench.device, architecture, (*stairs, *others[: len(designed)]), tuple(others[len(designed) :]))


def _usual(architecture: Architecture) -> tuple[PruningConfig, ...]:
    """The dense network, the first group of every class at its widths with all others whole, and uniform cuts."""
    each = (
        (names[0], width) for names in width_series.twins(architecture) for width in width_series.grid(architecture.group(names[0]), WIDTHS)
    )
    narrowed = (architecture.partial({name: width}) for name, width in each)
    return tuple(dict.fromkeys((architecture.dense(), *narrowed, *(architecture.uniform(ratio) for ratio in UNIFORM))))


def designs(
    architecture: Architecture, legal: Mapping[str, Sequence[int]], known: Sequence[PruningConfig]
) -> tuple[list[PruningConfig], list[PruningConfig]]:
    """Networks of legal widths that show most pairs of a layer's widths which ``known`` ones do not, and random ones to judge by.

    None of the latter is among the former, or known.
    """
    site_map, rng, groups = SiteMap.of(architecture), np.random.default_rng(SEED), architecture.groups
    seen = set().union(*_pairs(site_map, site_map.widths(list(known))))
    chosen: list[PruningConfig] = []
    for _ in range(DESIGNS):
        drawn = np.stack([rng.choice(np.asarray(legal[group.name]), DRAWN) for group in groups], axis=1)
        pairs = _pairs(site_map, drawn)
        best = max(range(DRAWN), key=lambda place: len(pairs[place] - seen))
        seen |= pairs[best]
        chosen.append(site_map.config(drawn[best]))
    drawn = np.stack([rng.choice(np.asarray(legal[group.name]), DRAWN) for group in groups], axis=1)
    taken = {*chosen, *known}
    apart = [config for config in dict.fromkeys(map(site_map.config, drawn)) if config not in taken]
    return list(dict.fromkeys(chosen)), apart[:HELD_OUT]


def _pairs(site_map: SiteMap, widths: Ints) -> list[set[tuple[int, int, int]]]:
    """Of every network the kinds of its layers with their widths."""
    inputs, outputs, present = site_map.gather(widths)
    kinds = [site.site_class for site in site_map.sites]
    return [
        {(kind, int(i), int(o)) for kind, i, o, there in zip(kinds, *row, strict=True) if there}
        for row in zip(inputs, outputs, present, strict=True)
    ]
