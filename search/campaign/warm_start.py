"""What another campaign on the same network found, as shapes to begin with: tried anew here, at this campaign's sizes and in its bits.

Good configurations of an earlier problem are a better initial design than an optimiser's own, where the problems are alike
[Feurer2015]_. Only shapes are taken over: which of them lose how much is for this campaign to find out.

.. [Feurer2015] M. Feurer, J. T. Springenberg, F. Hutter: Initializing Bayesian Hyperparameter Optimization via Meta-Learning. AAAI 2015.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from harness.errors import CampaignError, HarnessError
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from search.optimizer import seeds
from search.records import folder as folders
from search.records import journal
from search.records.request import Request
from search.records.trial import KnownCost
from search.space.space import SearchSpace

MOST = 4  # shapes that are taken over: each is tried at the full size and at the next smaller one


def drops(name: str, reports: Path, architecture: Architecture) -> dict[PruningConfig, float]:
    """Every pruned shape that campaign ``name`` tuned in full, with its mean drop there in points.

    CampaignError where there is no such campaign, it is about another network, or it tuned nothing in full.
    """
    folder = folders.existing(name, reports)
    epochs, found = folders.read_request(folder).budget, defaultdict[PruningConfig, list[float]](list)
    for trial in journal.read(folder).finished:
        if trial.outcome.ok and trial.request.budget_epochs == epochs:
            found[trial.request.config].append(trial.outcome.drop_points)
    for config in found:
        try:
            architecture.check(config)
        except HarnessError as error:
            raise CampaignError(f"--warm-start={name} is about another network ({error}); give a campaign about this one") from error
    told = {config: fmean(lost) for config, lost in found.items() if config != architecture.dense()}
    if not told:
        raise CampaignError(f"--warm-start={name} tuned no pruned network in full; give a campaign that did, or leave the option out")
    return told


def shapes(request: Request, space: SearchSpace, known: KnownCost, say: Callable[[str], None]) -> tuple[PruningConfig, ...]:
    """The fastest shapes of the old campaign's front that kept this one's limit there, or its least harmed ones, the fastest first.

    What they cost is by this campaign. None where nothing is asked for, or what was asked for is gone: a campaign resumes without it.
    """
    if request.warm_start is None:
        return ()
    try:
        lost = drops(request.warm_start, request.reports, space.architecture)
    except CampaignError as error:
        say(f"search: no warm start: {error}")
        return ()
    costs = {config: float(space.costs(known, seeds.snapped(space, config, seeds.begin(space, known))[None])[0]) for config in lost}
    front: list[PruningConfig] = []
    for config in sorted(lost, key=lambda one: (costs[one], lost[one], one.channels)):
        if not front or lost[config] < lost[front[-1]]:
            front.append(config)
    limit = request.drop_limit_points
    kept = [config for config in front if limit is None or lost[config] <= limit] or front[::-1]
    say(f"search: begins with {len(kept[:MOST])} of {len(lost)} shapes that {request.warm_start} tuned in full")
    return tuple(kept[:MOST])
