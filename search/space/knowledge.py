"""What a campaign knows of the costs of configurations: stored measurements, or compilations, which never stand for each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.pipeline import Network
from harness.pruning import off_the_shelf
from harness.records.architecture import Architecture
from search.records import folder as folders
from search.records.display import Display
from search.records.outcome import MEASUREMENTS
from search.records.request import Request
from search.space import compiling, legal_widths, measurements
from search.space.bench_run import Bench
from search.space.compiling import Compiled
from search.space.goals import objective_of
from search.space.measurements import Stored

Knowledge = Stored | Compiled

COMPILING = "compiling designed networks"  # the step, for a person


def read(folder: Path, request: Request, architectures: Sequence[Architecture]) -> Knowledge:
    """What a campaign took with it. architectures: one for every size of the pictures, the full one first."""
    full, *smaller = architectures
    if objective_of(request).is_compiled:
        return compiling.of_folder(folder, full, request.device)
    return measurements.read(folder / MEASUREMENTS, full, *request.precisions, sizes=smaller)


def keep(known: Knowledge, folder: Path) -> Knowledge:
    """Put into a campaign's folder what ``read`` reads, and return what that will be."""
    if isinstance(known, Compiled):
        known.keep(folder)
        return known
    return known.keep_all(folder / MEASUREMENTS)


def is_kept(folder: Path, request: Request) -> bool:
    """Whether it is there: a campaign may be killed between laying its folder and copying its compilations."""
    return folders.known(folder, request).is_file() and (not objective_of(request).is_compiled or compiling.is_kept(folder))


def legal(known: Knowledge) -> dict[str, tuple[int, ...]]:
    """Per group the widths that pay in any precision and at any size: what one of them does not reward, its costs will tell."""
    if isinstance(known, Compiled):
        return known.staircases.legal()
    each = [legal_widths.of(one.predictor, one.file.measurements).by_group() for one in (known, *known.others)]
    return {name: tuple(sorted({width for found in each for width in found[name]})) for name in each[0]}


def compiled(bench: Bench, network: Network, display: Display) -> Compiled:
    """Everything compiled that such a campaign needs, taken from the store or compiled now; how good that is, is said."""
    published = [named.config for named in off_the_shelf.named_configs(network.architecture)]
    with display.step(COMPILING) as bar:
        found = compiling.gather(bench, network, published, lambda done, total: bar.at(done, total))
    display.say(found.judged.sentence())
    display.say(found.staircases.sentence())
    return found
