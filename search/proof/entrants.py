"""Who enters the final comparison: the dense network, published ones, a uniform one, a rival's, and the found ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from search.records.trial import KnownLatency
from search.space.screened_latency import seconds_of

ALIKE_RATIO = 0.03  # of latency


@dataclass(frozen=True)
class Entrant:
    """A configuration that enters the final comparison, not yet tuned.

    criterion: which of its channels stay; "" for a network that is trained from nothing.
    """

    name: str
    role: str
    config: PruningConfig
    criterion: str = "l1"
    source: str = ""


Found = tuple[PruningConfig, str]
"""A configuration and the criterion that chooses its channels."""


def finalists(result: CampaignResult, count: int) -> list[Found]:
    """The recommended configuration, one in reserve, then those that might be chosen; first those that differ in latency.

    The last validation, with more seeds, may find that the recommended one keeps the limit by luck only, and with it all that are about
    as fast: one that is slower and surer enters too. Networks within ``ALIKE_RATIO`` of each other are one answer with two names; they
    come last. Nobody enters that has no chance to keep the limit, even where fewer than ``count`` have one; of a campaign for the whole
    front, the front does, and so it does where all are over the limit, the least harmed first. CampaignError when there is nothing.
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
    distinct: dict[PruningConfig, str] = {}
    for standing in (*different, *ranked):
        distinct.setdefault(standing.config, standing.recipe.criterion)
    return list(distinct.items())[:count]


def entrants(architecture: Architecture, found: Sequence[Found], rival: Found | None = None) -> list[Entrant]:
    """Who is compared before there is a choice: dense, the published configurations, a rival's, the found ones.

    found: best first; all start as candidates, a published configuration too, which the search tries first and may hold in reserve.
    rival: what random search recommends, on as many trials.
    """
    entered = [Entrant("dense", "dense", architecture.dense()), *published_entrants(architecture)]
    if rival is not None:
        entered.append(Entrant("random", "random", *rival, source="random search, equal trials"))
    best = [Entrant(f"optimised-{place}", "candidate", *one) for place, one in enumerate(found, start=1)]
    return [*entered, *(replace(one, source=same_as(one, entered)) for one in best)]


def with_published(architecture: Architecture, found: Sequence[Found]) -> list[Found]:
    """The found configurations, best first, then the published ones that are not among them.

    Where few trials found nothing that is as fast and as surely within the limit as what lies on the shelf, that is the better answer.
    """
    published = [(entrant.config, entrant.criterion) for entrant in published_entrants(architecture)]
    return [*found, *(one for one in published if one not in found)]


def is_spare(entrant: Entrant, found: Sequence[Found], chosen: Entrant) -> bool:
    """Whether a candidate is a published network that was neither found nor chosen: its own row tells all of it."""
    return entrant.role == "candidate" and entrant is not chosen and (entrant.config, entrant.criterion) not in found


def same_as(entrant: Entrant, others: Sequence[Entrant]) -> str:
    """Whose network it is too, in words, by widths and the criterion that chooses the channels; empty for one of its own."""
    return next(
        (f"the same network as {one.name}" for one in others if (one.config, one.criterion) == (entrant.config, entrant.criterion)), ""
    )


def published_entrants(architecture: Architecture) -> list[Entrant]:
    """The off-the-shelf configurations of this network, none where nothing was published for it."""
    return [Entrant(named.name, "off-the-shelf", named.config, source=named.source) for named in off_the_shelf.named_configs(architecture)]


def uniform(architecture: Architecture, latency: KnownLatency, chosen: Entrant) -> Entrant:
    """What anybody could have done without a search: every width cut alike, to the chosen network's predicted latency.

    It is called the same network where it has the chosen one's widths: then it keeps the same channels too, and is tuned and measured once.
    """
    config = uniform_at(architecture, latency, seconds_of(architecture, latency, chosen.config))
    if config == chosen.config:
        return Entrant("uniform", "uniform", config, chosen.criterion, "the same network as optimised")
    return Entrant("uniform", "uniform", config)


def from_scratch(chosen: Entrant) -> Entrant:
    """The chosen network's shape with random weights: [Liu2019]_'s question to every pruned network.

    .. [Liu2019] Z. Liu, M. Sun, T. Zhou, G. Huang, T. Darrell: Rethinking the Value of Network Pruning. ICLR 2019.
    """
    return Entrant("from-scratch", "from-scratch", chosen.config, criterion="", source="the optimised shape, trained from nothing")


def uniform_at(architecture: Architecture, latency: KnownLatency, seconds: float) -> PruningConfig:
    """The uniform keep ratio, in steps of 1 %, whose predicted latency is nearest to ``seconds``."""
    ratios = np.arange(0.05, 1.0001, 0.01)
    configs = [architecture.uniform(float(ratio)) for ratio in ratios]
    rows = np.array([[config.kept(group.name) for group in architecture.groups] for config in configs], dtype=np.int64)
    return configs[int(np.argmin(np.abs(latency.seconds(rows) - seconds)))]
