"""Who enters the final comparison: the dense network, published ones, a uniform one, a rival's, and the found ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from harness.errors import CampaignError
from harness.pruning import off_the_shelf
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from search.campaign import ends
from search.campaign.ends import AllOverLimit
from search.campaign.result import CampaignResult
from search.optimizer import choice
from search.optimizer.choice import Standing
from search.records.outcome import IN_INT8
from search.records.request import QUANTISED
from search.records.trial import KnownCost, RunsIn
from search.space.screened_latency import as_it_runs, cost_of
from search.workers.sized import size_of

ALIKE_RATIO = 0.03  # of latency


@dataclass(frozen=True)
class Entrant:
    """A configuration that enters the final comparison, not yet tuned.

    criterion: which of its channels stay; "" for a network that is trained from nothing. precision: what it runs in; size: of the pictures
    that it is tuned, judged and run on (``HxW``); each empty for what the dense network is compared in.
    """

    name: str
    role: str
    config: PruningConfig
    criterion: str = "l1"
    source: str = ""
    precision: str = ""
    size: str = ""

    @property
    def runs_in(self) -> RunsIn:
        """Precision and size."""
        return RunsIn(self.precision, self.size)


class Found(NamedTuple):
    """A configuration, the criterion that chooses its channels, and what it runs in, empty for what the dense network is compared in."""

    config: PruningConfig
    criterion: str = "l1"
    precision: str = ""
    size: str = ""


def finalists(result: CampaignResult, count: int, reference: str = "", own: str = "", full: str = "") -> list[Found]:
    """The recommended configuration, one in reserve, then those that might be chosen; first those that differ in latency.

    The last validation, with more seeds, may find that the recommended one keeps the limit by luck only, and with it all that are about
    as fast: one that is slower and surer enters too. Networks within ``ALIKE_RATIO`` of each other are one answer with two names; they
    come last. Nobody enters that has no chance to keep the limit, even where fewer than ``count`` have one; of a campaign for the whole
    front, the front does, and so it does where all are over the limit, the least harmed first. reference: the precision that the dense
    network is compared in, full: its size. own: what its networks run in where it does not choose; the reference too, but for a rival's.
    CampaignError when there is nothing.
    """
    if result.chosen is None:
        ends.refuse(ends.of(result))
        raise CampaignError("the campaign recommends nothing, so there is nothing to compare; give it more --trials")
    goal = result.settings.goal
    in_reserve = choice.reserve(result.standings, goal)
    surer = [] if in_reserve is None else [in_reserve]
    others = result.front if goal.kind == "pareto" else choice.finalists(result.standings, goal, len(result.standings))
    if isinstance(ends.of(result), AllOverLimit):
        others = choice.front([one for one in result.standings if one.candidate])[::-1]
    ranked = [result.chosen, *surer, *others]
    different: list[Standing] = []
    for standing in ranked:
        if all(abs(standing.cost / other.cost - 1) > ALIKE_RATIO for other in different):
            different.append(standing)
    distinct: dict[tuple[PruningConfig, RunsIn], Found] = {}
    for standing in (*different, *ranked):
        runs_in = _named(RunsIn(standing.recipe.precision or own, standing.recipe.size), reference, full)
        distinct.setdefault((standing.config, runs_in), Found(standing.config, standing.recipe.criterion, *runs_in))
    return list(distinct.values())[:count]


def curses(result: CampaignResult, reference: str, full: str = "") -> dict[tuple[PruningConfig, RunsIn], float]:
    """By how many points the search's luck flatters each configuration, as it runs, named as entrants name it."""
    return {(one.config, _named(one.recipe.runs_in, reference, full)): one.curse_points for one in result.standings}


def entrants(
    architecture: Architecture,
    found: Sequence[Found],
    rival: Found | None = None,
    quantises: bool = False,
    smaller: Sequence[str] = (),
) -> list[Entrant]:
    """Who is compared before there is a choice: dense, the published configurations, a rival's, the found ones.

    found: best first; all start as candidates, a published configuration too, which the search tries first and may hold in reserve.
    rival: what random search recommends, on as many trials. quantises: whether the device runs INT8: then what anybody gets by quantising
    the trained network in seconds is held against what was found. smaller: further sizes of the pictures, at which all of that enters too.
    """
    entered = [Entrant("dense", "dense", architecture.dense()), *published_entrants(architecture)]
    entered += [at_size(one, size) for size in smaller for one in entered[:]]
    if quantises:
        entered += [in_int8(one) for one in entered]
    if rival is not None:
        entered.append(Entrant("random", "random", rival.config, rival.criterion, "random search, equal trials", *rival[2:]))
    best = [
        Entrant(f"optimised-{place}", "candidate", one.config, one.criterion, precision=one.precision, size=one.size)
        for place, one in enumerate(found, start=1)
    ]
    return [*entered, *(replace(one, source=same_as(one, entered)) for one in best)]


def in_int8(entrant: Entrant) -> Entrant:
    """The same network quantised after training: what a person gets without pruning anything further."""
    source = f"{entrant.name} quantised after training (NNCF)"
    return replace(entrant, name=f"{entrant.name}-int8", role="off-the-shelf", source=source, precision=QUANTISED)


def at_size(entrant: Entrant, size: str) -> Entrant:
    """The same network on pictures of another size: what a person gets without pruning anything further."""
    source = f"{entrant.name} on pictures of {size}"
    return replace(entrant, name=f"{entrant.name}-{size}", role="off-the-shelf", source=source, size=size)


def chosen_in_int8(chosen: Entrant, others: Sequence[Entrant]) -> Entrant:
    """The network that stands for the campaign, quantised after training: what its user gets in seconds, where f32 was searched for.

    It is called the same network where one of ``others`` is that already, and then measured once.
    """
    found = replace(chosen, name=IN_INT8, role=IN_INT8, precision=QUANTISED)
    return replace(found, source=same_as(found, others) or "optimised, quantised after training (NNCF)")


def _named(runs_in: RunsIn, reference: str, full: str) -> RunsIn:
    return RunsIn("" if runs_in.precision == reference else runs_in.precision, "" if runs_in.size == full else runs_in.size)


def with_published(architecture: Architecture, found: Sequence[Found], quantises: bool = False, smaller: Sequence[str] = ()) -> list[Found]:
    """The found configurations, best first, then the published ones that are not among them.

    Where few trials found nothing that is as fast and as surely within the limit as what lies on the shelf, that is the better answer.
    quantises: the campaign chooses among precisions, INT8 one of them: then what is quantised after training stands there too. smaller:
    further sizes among which it chooses: then what runs on those does.
    """
    published = [Found(entrant.config, entrant.criterion) for entrant in published_entrants(architecture)]
    shelf = [Found(architecture.dense()), *published]
    at_sizes = [one._replace(size=size) for size in smaller for one in shelf]
    published += at_sizes
    if quantises:
        published += [one._replace(precision=QUANTISED) for one in (*shelf, *at_sizes)]
    return [*found, *(one for one in published if one not in found)]


def is_spare(entrant: Entrant, found: Sequence[Found], chosen: Entrant) -> bool:
    """Whether a candidate is a published network that was neither found nor chosen: its own row tells all of it."""
    return entrant.role == "candidate" and entrant is not chosen and _network(entrant) not in found


def same_as(entrant: Entrant, others: Sequence[Entrant]) -> str:
    """Whose network it is too, in words, by widths and the criterion that chooses the channels; empty for one of its own."""
    return next((f"the same network as {one.name}" for one in others if _network(one) == _network(entrant)), "")


def _network(entrant: Entrant) -> Found:
    return Found(entrant.config, entrant.criterion, *entrant.runs_in)


def published_entrants(architecture: Architecture) -> list[Entrant]:
    """The off-the-shelf configurations of this network, none where nothing was published for it."""
    return [Entrant(named.name, "off-the-shelf", named.config, source=named.source) for named in off_the_shelf.named_configs(architecture)]


def uniform(architecture: Architecture, known: KnownCost, chosen: Entrant, size: str | None = None) -> Entrant:
    """What anybody could have done without a search: every width cut alike, to the chosen network's predicted cost.

    size: another one of the pictures than the chosen network's, at which that is done; empty for the full one.

    It is called the same network where it has the chosen one's widths: then it keeps the same channels too, and is tuned and measured once.
    """
    target_cost, runs_in = cost_of(architecture, known, chosen.config, *chosen.runs_in), chosen.runs_in
    name = "uniform"
    if size is not None:
        runs_in, name = runs_in._replace(size=size), f"uniform-{size or size_of(architecture)}"
    config = uniform_at(architecture, as_it_runs(known, runs_in), target_cost)
    if (config, runs_in) == (chosen.config, chosen.runs_in):
        return Entrant(name, "uniform", config, chosen.criterion, "the same network as optimised", *runs_in)
    return Entrant(name, "uniform", config, precision=runs_in.precision, size=runs_in.size)


def from_scratch(chosen: Entrant) -> Entrant:
    """The chosen network's shape with random weights: [Liu2019]_'s question to every pruned network.

    .. [Liu2019] Z. Liu, M. Sun, T. Zhou, G. Huang, T. Darrell: Rethinking the Value of Network Pruning. ICLR 2019.
    """
    source = "the optimised shape, trained from nothing"
    return Entrant("from-scratch", "from-scratch", chosen.config, "", source, *chosen.runs_in)


def uniform_at(architecture: Architecture, known: KnownCost, cost: float) -> PruningConfig:
    """The uniform keep ratio, in steps of 1 %, whose predicted cost is nearest to ``cost``; of several as near, the largest."""
    ratios = np.arange(0.05, 1.0001, 0.01)
    configs = [architecture.uniform(float(ratio)) for ratio in ratios]
    rows = np.array([[config.kept(group.name) for group in architecture.groups] for config in configs], dtype=np.int64)
    apart = np.abs(known.costs(rows) - cost)
    return configs[int(np.flatnonzero(apart == apart.min())[-1])]
