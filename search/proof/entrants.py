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
from search.records.trial import KnownLatency
from search.space.screened_latency import in_precision, seconds_of

ALIKE_RATIO = 0.03  # of latency


@dataclass(frozen=True)
class Entrant:
    """A configuration that enters the final comparison, not yet tuned.

    criterion: which of its channels stay; "" for a network that is trained from nothing. precision: what it runs in; empty for what the
    dense network is compared in.
    """

    name: str
    role: str
    config: PruningConfig
    criterion: str = "l1"
    source: str = ""
    precision: str = ""


class Found(NamedTuple):
    """A configuration, the criterion that chooses its channels, and what it runs in, empty for what the dense network is compared in."""

    config: PruningConfig
    criterion: str = "l1"
    precision: str = ""


def finalists(result: CampaignResult, count: int, reference: str = "", own: str = "") -> list[Found]:
    """The recommended configuration, one in reserve, then those that might be chosen; first those that differ in latency.

    The last validation, with more seeds, may find that the recommended one keeps the limit by luck only, and with it all that are about
    as fast: one that is slower and surer enters too. Networks within ``ALIKE_RATIO`` of each other are one answer with two names; they
    come last. Nobody enters that has no chance to keep the limit, even where fewer than ``count`` have one; of a campaign for the whole
    front, the front does, and so it does where all are over the limit, the least harmed first. reference: the precision that the dense
    network is compared in. own: what its networks run in where it does not choose; the reference too, but for a rival's.
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
        if all(abs(standing.latency_s / other.latency_s - 1) > ALIKE_RATIO for other in different):
            different.append(standing)
    distinct: dict[tuple[PruningConfig, str], Found] = {}
    for standing in (*different, *ranked):
        runs_in = _named(standing.recipe.precision or own, reference)
        distinct.setdefault((standing.config, runs_in), Found(standing.config, standing.recipe.criterion, runs_in))
    return list(distinct.values())[:count]


def curses(result: CampaignResult, reference: str) -> dict[tuple[PruningConfig, str], float]:
    """By how many points the search's luck flatters each configuration, in each precision, named as entrants name it."""
    return {(one.config, _named(one.recipe.precision, reference)): one.curse_points for one in result.standings}


def entrants(architecture: Architecture, found: Sequence[Found], rival: Found | None = None, quantises: bool = False) -> list[Entrant]:
    """Who is compared before there is a choice: dense, the published configurations, a rival's, the found ones.

    found: best first; all start as candidates, a published configuration too, which the search tries first and may hold in reserve.
    rival: what random search recommends, on as many trials. quantises: whether the device runs INT8: then what anybody gets by quantising
    the trained network in seconds is held against what was found.
    """
    entered = [Entrant("dense", "dense", architecture.dense()), *published_entrants(architecture)]
    if quantises:
        entered += [in_int8(one) for one in entered]
    if rival is not None:
        entered.append(Entrant("random", "random", rival.config, rival.criterion, "random search, equal trials", rival.precision))
    best = [
        Entrant(f"optimised-{place}", "candidate", one.config, one.criterion, precision=one.precision)
        for place, one in enumerate(found, start=1)
    ]
    return [*entered, *(replace(one, source=same_as(one, entered)) for one in best)]


def in_int8(entrant: Entrant) -> Entrant:
    """The same network quantised after training: what a person gets without pruning anything further."""
    source = f"{entrant.name} quantised after training (NNCF)"
    return replace(entrant, name=f"{entrant.name}-int8", role="off-the-shelf", source=source, precision=QUANTISED)


def chosen_in_int8(chosen: Entrant, others: Sequence[Entrant]) -> Entrant:
    """The network that stands for the campaign, quantised after training: what its user gets in seconds, where f32 was searched for.

    It is called the same network where one of ``others`` is that already, and then measured once.
    """
    found = replace(chosen, name=IN_INT8, role=IN_INT8, precision=QUANTISED)
    return replace(found, source=same_as(found, others) or "optimised, quantised after training (NNCF)")


def _named(precision: str, reference: str) -> str:
    return "" if precision == reference else precision


def with_published(architecture: Architecture, found: Sequence[Found], quantises: bool = False) -> list[Found]:
    """The found configurations, best first, then the published ones that are not among them.

    Where few trials found nothing that is as fast and as surely within the limit as what lies on the shelf, that is the better answer.
    quantises: the campaign chooses among precisions, INT8 one of them: then what is quantised after training stands there too.
    """
    published = [Found(entrant.config, entrant.criterion) for entrant in published_entrants(architecture)]
    if quantises:
        shelf = [Found(architecture.dense()), *published]
        published += [one._replace(precision=QUANTISED) for one in shelf]
    return [*found, *(one for one in published if one not in found)]


def is_spare(entrant: Entrant, found: Sequence[Found], chosen: Entrant) -> bool:
    """Whether a candidate is a published network that was neither found nor chosen: its own row tells all of it."""
    return (
        entrant.role == "candidate" and entrant is not chosen and Found(entrant.config, entrant.criterion, entrant.precision) not in found
    )


def same_as(entrant: Entrant, others: Sequence[Entrant]) -> str:
    """Whose network it is too, in words, by widths and the criterion that chooses the channels; empty for one of its own."""
    return next((f"the same network as {one.name}" for one in others if _network(one) == _network(entrant)), "")


def _network(entrant: Entrant) -> Found:
    return Found(entrant.config, entrant.criterion, entrant.precision)


def published_entrants(architecture: Architecture) -> list[Entrant]:
    """The off-the-shelf configurations of this network, none where nothing was published for it."""
    return [Entrant(named.name, "off-the-shelf", named.config, source=named.source) for named in off_the_shelf.named_configs(architecture)]


def uniform(architecture: Architecture, latency: KnownLatency, chosen: Entrant) -> Entrant:
    """What anybody could have done without a search: every width cut alike, to the chosen network's predicted latency.

    It is called the same network where it has the chosen one's widths: then it keeps the same channels too, and is tuned and measured once.
    """
    known = in_precision(latency, chosen.precision)
    config = uniform_at(architecture, known, seconds_of(architecture, known, chosen.config))
    if config == chosen.config:
        return Entrant("uniform", "uniform", config, chosen.criterion, "the same network as optimised", chosen.precision)
    return Entrant("uniform", "uniform", config, precision=chosen.precision)


def from_scratch(chosen: Entrant) -> Entrant:
    """The chosen network's shape with random weights: [Liu2019]_'s question to every pruned network.

    .. [Liu2019] Z. Liu, M. Sun, T. Zhou, G. Huang, T. Darrell: Rethinking the Value of Network Pruning. ICLR 2019.
    """
    source = "the optimised shape, trained from nothing"
    return Entrant("from-scratch", "from-scratch", chosen.config, criterion="", source=source, precision=chosen.precision)


def uniform_at(architecture: Architecture, latency: KnownLatency, seconds: float) -> PruningConfig:
    """The uniform keep ratio, in steps of 1 %, whose predicted latency is nearest to ``seconds``."""
    ratios = np.arange(0.05, 1.0001, 0.01)
    configs = [architecture.uniform(float(ratio)) for ratio in ratios]
    rows = np.array([[config.kept(group.name) for group in architecture.groups] for config in configs], dtype=np.int64)
    return configs[int(np.argmin(np.abs(latency.seconds(rows) - seconds)))]
