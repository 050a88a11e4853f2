"""What a user of Torch-Pruning would get at the chosen network's speed: its global pruning, cut until the predicted latency is as low.

Latency does not fall evenly with the channels: it falls in steps, and rises where a group that was to go as a whole is kept as a whole. So
the first cut on a coarse walk that is quick enough is found, and then the mildest between it and the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import PruningError
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.pruning.global_pruning import MAGNITUDE, TAYLOR, GlobalPruning
from harness.records.pruning_config import PruningConfig
from search.proof.entrants import Entrant
from search.records.costs.objective import LATENCY, Objective
from search.records.trial import KnownCost
from search.space.screened_latency import as_it_runs, cost_of
from search.workers.sized import size_of

ROLE = "global-pruning"
WORDS = {MAGNITUDE: "magnitude", TAYLOR: "Taylor"}
STRIDES = 20  # of the coarse walk from the dense network to nothing


@dataclass(frozen=True)
class Cut:
    """Torch-Pruning's entrants, and a line on each that cannot enter."""

    entered: tuple[Entrant, ...]
    left_out: tuple[str, ...]


def entrants(
    network: Network,
    dataset: Dataset,
    known: KnownCost,
    chosen: Entrant,
    size: str | None = None,
    objective: Objective = LATENCY,
) -> Cut:
    """One entrant per importance, at most as slow (or dear) as ``chosen`` by prediction, its channels chosen by the same importance.

    network, dataset: at ``size``, where that is another one than the chosen network's; empty for the full one.

    It is called the dense network, in the precision of ``chosen``, where nothing needs to go: then it is tuned and measured once.
    """
    runs_in = chosen.runs_in if size is None else chosen.runs_in._replace(size=size)
    target_cost, known = cost_of(network.architecture, known, chosen.config, *chosen.runs_in), as_it_runs(known, runs_in)
    entered, left_out = [], []
    for importance, word in WORDS.items():
        name = f"global-{word.lower()}" + ("" if size is None else f"-{size_of(network.architecture)}")
        try:
            config = cut_to(network.global_pruning(importance, dataset), known, target_cost, objective)
        except PruningError as error:
            left_out.append(f"{name} (global pruning by Torch-Pruning) is left out of the comparison: {error}")
            continue
        if config == network.architecture.dense():
            same = "-".join(part for part in ("dense", runs_in.size, runs_in.precision) if part)
            entered.append(Entrant(name, ROLE, config, "l1", f"the same network as {same}", *runs_in))
        else:
            source = f"Torch-Pruning, global pruning by {word}, cut to the same {objective.noun}"
            entered.append(Entrant(name, ROLE, config, importance, source, *runs_in))
    return Cut(tuple(entered), tuple(left_out))


def cut_to(pruning: GlobalPruning, known: KnownCost, target_cost: float, objective: Objective = LATENCY) -> PruningConfig:
    """The mildest cut that is predicted to cost ``target_cost`` at most; with one channel less removed it would cost more.

    PruningError where no cut costs as little.
    """

    def cost(removed: int) -> float:
        return cost_of(pruning.architecture, known, pruning.config(removed))

    walk = [round(stride * (pruning.channels - 1) / STRIDES) for stride in range(STRIDES + 1)]
    taken: list[float] = []
    for removed in walk:
        taken.append(cost(removed))
        if taken[-1] <= target_cost:
            break
    else:
        verb = "has a predicted compiled cost of" if objective.is_compiled else "would take"
        raise PruningError(
            f"cut as far as it goes it {verb} {objective.figure(min(taken))}, the optimised network {objective.figure(target_cost)}"
        )
    place = len(taken) - 1
    slow, quick = walk[max(place - 1, 0)], walk[place]
    while quick - slow > 1:
        middle = (slow + quick) // 2
        slow, quick = (slow, middle) if cost(middle) <= target_cost else (middle, quick)
    return pruning.config(quick)
