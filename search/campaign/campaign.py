"""A campaign: ask the optimiser, evaluate, write the journal, tell the optimiser; until the budget is spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.errors import CampaignError
from harness.records.pruning_config import PruningConfig
from search.campaign.progress import Campaign
from search.campaign.result import CampaignResult as CampaignResult
from search.campaign.result import result_of as result_of
from search.campaign.settings import CampaignSettings as CampaignSettings
from search.optimizer import first_design
from search.optimizer.selector import Optimizer
from search.records.costs.objective import Objective
from search.records.events import Observer, silent
from search.records.journal import Contents, Header, Journal
from search.records.sensitivity_record import Sensitivity
from search.records.trial import MODEL, Evaluate, Floats, KnownCost, Trial
from search.space.goals import check_reachable
from search.space.space import SearchSpace
from search.workers.pool import Here, Pool, Progress, WhenNeeded
from search.workers.processes import Processes


def run(
    settings: CampaignSettings,
    space: SearchSpace,
    known: KnownCost,
    evaluate: Evaluate,
    directory: Path,
    observer: Observer = silent,
    *,
    published: Sequence[PruningConfig] = (),
    imported: Sequence[Trial] = (),
    resume: bool = False,
    guard: Callable[[], None] | None = None,
    pool: Callable[[Progress], Pool] | None = None,
    prepare: Callable[[], None] = lambda: None,
    first: Sequence[Floats] = (),
    sensitivity: Sensitivity | None = None,
    warm: Sequence[PruningConfig] = (),
    optimizer_class: type[Optimizer] = Optimizer,
) -> CampaignResult:
    """Run a campaign to its end, or go on with an interrupted one.

    directory: of the journal. published: configurations to try early, as they are (``space`` must have been made with them as
    ``exact``). imported: trials of other campaigns with the same accuracy digest. guard: called before every proposal, to
    raise when something under the campaign has changed. pool: makes the place where trials run; by default this process,
    or ``workers`` child processes when there are several or a time limit is set. prepare: makes what all trials share; called
    before ``pool`` is, and without that once there is a trial to run. sensitivity: what a look at every group showed, for the initial
    design; warm: what another campaign found, for it too; first: rows in place of that design. optimizer_class: who proposes.
    Raises CampaignError, and whatever ``guard`` raises; an interrupted campaign goes on with ``resume``.
    """
    check_reachable(settings.goal, space, known)
    journal, before = _opened(directory, settings.header(space), resume)
    try:
        if not before.imported and imported:
            before = _with_imports(journal, before, _applicable(imported, space, known, settings.goal.objective))
        goal, count = settings.goal, settings.first_count
        rows = first or first_design.rows(space, known, published, count, settings.seed, goal, sensitivity, warm)
        seeds = _still_first(rows, space, before)
        warmed = {key for row in first_design.warm_rows(space, known, warm) for key in space.keys(row[None])}
        running = Campaign(settings, space, known, journal, before, observer, guard, warmed)
        if pool is None:
            place = _local_pool(settings, evaluate, running.progress, prepare)
        else:
            prepare()
            place = pool(running.progress)
        optimizer = optimizer_class(space, known, settings.goal, settings.seed, seeds, place.slots, settings.trials)
        try:
            running.attach(place, optimizer)
            return running.to_the_end()
        finally:
            place.close()
            optimizer.close()
    finally:
        journal.close()


_WORDS = {"architecture": "network", "accuracy": "dense weights or data", "epochs": "length of trials"}  # of a header's fields


def _opened(directory: Path, header: Header, resume: bool) -> tuple[Journal, Contents]:
    if not resume:
        return Journal.create(directory, header), Contents(header)
    journal, before = Journal.reopen(directory)
    differing = before.header.differences(header)
    if differing:
        journal.close()
        values = [(_WORDS.get(name, name), getattr(before.header, name) or "none", getattr(header, name) or "none") for name in differing]
        told = ", ".join(f"{name} ({theirs} in the journal, {ours} now)" for name, theirs, ours in values)
        raise CampaignError(
            f"the campaign in {directory} does not fit what it is resumed with: {told}; put back what it was made with, "
            f"or start a new one from its trials with: python -m search fork {directory.name}"
        )
    return journal, before


def _still_first(rows: Sequence[Floats], space: SearchSpace, before: Contents) -> Sequence[Floats]:
    """The initial design, or what of it was tried where the optimiser has proposed already: a campaign has one beginning only."""
    begun = [*(trial.request for trial in before.finished), *before.running]
    if not any(MODEL in (one.purpose, one.origin.partition(":")[0]) for one in begun):
        return rows
    tried = [space.encode(one.config, one.recipe) for one in begun if space.covers(one.config, one.recipe)]
    known = set(space.keys(np.asarray(tried)))
    return [row for row in rows if space.keys(row[None])[0] in known] or tried[:1]


def _with_imports(journal: Journal, before: Contents, imported: Sequence[Trial]) -> Contents:
    """Write what other campaigns found into this one's journal, so that it resumes from its own file alone."""
    for trial in imported:
        journal.imported(trial)
    return Contents(before.header, before.finished, before.running, tuple(imported), before.stopped, before.seconds)


def _applicable(imported: Sequence[Trial], space: SearchSpace, known: KnownCost, objective: Objective) -> tuple[Trial, ...]:
    """The trials that this space can encode, at what this campaign knows them to cost."""
    fitting = [trial for trial in imported if space.covers(trial.request.config, trial.request.recipe)]
    if not fitting:
        return ()
    rows = np.asarray([space.encode(trial.request.config, trial.request.recipe) for trial in fitting])
    return objective.restated(fitting, space.costs(known, rows).tolist())


def _local_pool(settings: CampaignSettings, evaluate: Evaluate, progress: Progress, prepare: Callable[[], None]) -> Pool:
    def make() -> Pool:
        prepare()
        if settings.workers > 1 or settings.trial_timeout_s < math.inf:
            return Processes(evaluate, settings.workers, settings.trial_timeout_s, progress)
        return Here(evaluate, progress)

    return WhenNeeded(settings.workers, make)
