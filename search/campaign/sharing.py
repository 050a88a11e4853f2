"""Sharing: what other campaigns found out about the same network's accuracy, so that a new device costs only measurements.

A warm start takes over less, the shapes alone: good configurations of an earlier problem are a better initial design than an optimiser's
own, where the problems are alike [Feurer2015]_. Which of them loses how much at other sizes, or in other bits, is tried anew.

.. [Feurer2015] M. Feurer, J. T. Springenberg, F. Hutter: Initializing Bayesian Hyperparameter Optimization via Meta-Learning. AAAI 2015.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from harness.errors import CampaignError, HarnessError
from harness.quantisation.answering import answer_alike
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from search.optimizer import seeds
from search.records import folder as folders
from search.records.journal import FILE, Contents, read
from search.records.request import QUANTISED, Request
from search.records.trial import KnownCost, Trial
from search.space.space import SearchSpace

MOST_SHAPES = 4  # that a warm start takes over: each is tried at the full size and at the next smaller one


def shareable(contents: Contents, architecture: str, accuracy: str) -> tuple[Trial, ...]:
    """Successful trials of a journal that still apply; none when it is about another network or another accuracy.

    architecture, accuracy: digests as in the journal's header. Latencies are another device's: the campaign that imports
    a trial computes its own. Numbers become negative, so that they cannot be mistaken for its own trials.
    """
    if (contents.header.architecture, contents.header.accuracy) != (architecture, accuracy) or not accuracy:
        return ()
    usable = [trial for trial in (*contents.imported, *contents.finished) if trial.outcome.ok]
    return renumbered(usable)


def taken_over(request: Request, architecture: str, accuracy: str, say: Callable[[str], None]) -> tuple[Trial, ...]:
    """The trials of other campaigns that a new one begins with: those of what it forks, or all that apply.

    None of a random search, whatever is asked for: it is the rival of a search, and would recommend what that found.
    """
    if request.optimizer == "random":
        return ()
    if request.old is not None:
        return of_fork(request.old, request, architecture, say)
    return gather(request.campaigns, architecture, accuracy, str(request.name)) if request.share else ()


def drops_in_full(name: str, reports: Path, architecture: Architecture) -> dict[PruningConfig, float]:
    """Every pruned shape that campaign ``name`` tuned in full, with its mean drop there in points.

    CampaignError where there is no such campaign, it is about another network, or it tuned nothing in full.
    """
    folder = folders.existing(name, reports)
    epochs, found = folders.read_request(folder).budget, defaultdict[PruningConfig, list[float]](list)
    for trial in read(folder).finished:
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


def warm_start(request: Request, space: SearchSpace, known: KnownCost, say: Callable[[str], None]) -> tuple[PruningConfig, ...]:
    """The fastest shapes of the old campaign's front that kept this one's limit there, or its least harmed ones, the fastest first.

    What they cost is by this campaign. None where nothing is asked for, or what was asked for is gone: a campaign resumes without it.
    """
    if request.warm_start is None:
        return ()
    try:
        lost = drops_in_full(request.warm_start, request.reports, space.architecture)
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
    say(f"search: begins with {len(kept[:MOST_SHAPES])} of {len(lost)} shapes that {request.warm_start} tuned in full")
    return tuple(kept[:MOST_SHAPES])


def renumbered(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The same trials, numbered -2, -3 ...; references between them follow."""
    numbers = {trial.number: -2 - place for place, trial in enumerate(trials)}
    requests = [replace(one.request, number=numbers[one.number], of=numbers.get(one.request.of, -1)) for one in trials]
    return tuple(replace(trial, request=request) for trial, request in zip(trials, requests, strict=True))


def gather(campaigns: Path, architecture: str, accuracy: str, leave_out: str = "") -> tuple[Trial, ...]:
    """All that the journals in the folders under ``campaigns`` can share, each evaluation once.

    leave_out: the folder of the campaign that asks. Journals that cannot be read are passed over: they are not ours to mend.
    """
    found: list[Trial] = []
    for path in sorted(campaigns.glob(f"*/{FILE}")):
        if path.parent.name == leave_out:
            continue
        try:
            contents = read(path.parent)
        except CampaignError:
            continue
        found += shareable(contents, architecture, accuracy)
    return renumbered(list({_identity(trial): trial for trial in reversed(found)}.values())[::-1])


def fork(contents: Contents, architecture: str) -> tuple[Trial, ...]:
    """What a campaign with another goal or space may take over from one on the same network: CampaignError on another one."""
    if contents.header.architecture != architecture:
        raise CampaignError(
            f"campaign {contents.header.name} is about another network ({contents.header.architecture}, not {architecture}); "
            "fork one that is about this network"
        )
    return shareable(contents, architecture, contents.header.accuracy or "-") or renumbered([t for t in contents.finished if t.outcome.ok])


def of_fork(old: str, request: Request, architecture: str, say: Callable[[str], None] = lambda line: None) -> tuple[Trial, ...]:
    """What a fork takes over of the campaign ``old``, and what it leaves behind, said. CampaignError as ``fork``.

    Nothing of INT8 that left other layers in float, nothing in a precision or at a size that the fork does not choose.
    """
    folder = folders.existing(old, request.reports)
    theirs, found = folders.read_request(folder), fork(read(folder), architecture)
    same_int8 = set(theirs.layers_in_float) == set(request.layers_in_float) and answer_alike(theirs.device, request.device)
    usable = restated(found, theirs.precisions, request.precisions, same_int8)
    usable = resized(usable, theirs.preparation.size, request.sizes)
    if left := len(found) - len(usable):
        told = f"{left} trials ran" if left > 1 else "1 trial ran"
        say(f"of {old} {told} in a precision or at a size that is not asked for here, and {'are' if left > 1 else 'is'} left behind")
    return usable


def restated(trials: Iterable[Trial], theirs: Sequence[str], ours: Sequence[str], same_int8: bool = True) -> tuple[Trial, ...]:
    """Another campaign's trials as one says them that chooses among other precisions; those in a precision that it lacks are left out.

    theirs, ours: the precisions that each campaign's networks may run in. A campaign with one does not name it. same_int8: whether both
    leave the same layers in float and their devices answer alike; what INT8 answered is otherwise not what it answers here, and is left
    out too.
    """
    found = [(trial, trial.request.recipe.precision or theirs[0]) for trial in trials]
    return tuple(
        replace(one, request=replace(one.request, recipe=replace(one.request.recipe, precision=ran_in if len(ours) > 1 else "")))
        for one, ran_in in found
        if ran_in in ours and (same_int8 or ran_in != QUANTISED)
    )


def resized(trials: Iterable[Trial], theirs: str, ours: Sequence[str]) -> tuple[Trial, ...]:
    """Another campaign's trials as one says them that chooses among these sizes; those at a size that it lacks are left out.

    theirs: the other campaign's full size, at which trials ran that name none. ours: none where this campaign has only ``theirs``.
    """
    found = [(trial, trial.request.recipe.size or theirs) for trial in trials]
    return tuple(
        replace(one, request=replace(one.request, recipe=replace(one.request.recipe, size=size if len(ours) > 1 else "")))
        for one, size in found
        if size in (ours or (theirs,))
    )


def widened(space: SearchSpace, trials: Sequence[Trial], lengths: Container[float]) -> tuple[SearchSpace, tuple[Trial, ...]]:
    """The space that can encode what some trials tried, and those of them that it learns from.

    lengths: the epochs of this campaign's own trials; drops after other ones are not comparable. A trial of another length, or
    with a recipe outside of the space, is left out together with its widths: the same space must follow from the imported
    trials alone when the campaign resumes.
    """
    alike = [trial for trial in trials if trial.request.budget_epochs in lengths]
    wide = space.including(configurations(alike))
    usable = tuple(trial for trial in alike if wide.covers(trial.request.config, trial.request.recipe))
    return space.including(configurations(usable)), usable


def configurations(trials: Iterable[Trial]) -> tuple[PruningConfig, ...]:
    """The different configurations of some trials, which a space must be able to encode to learn from them."""
    return tuple(dict.fromkeys(trial.request.config for trial in trials))


def _identity(trial: Trial) -> tuple[object, ...]:
    request = trial.request
    return request.config, request.recipe, request.budget_epochs, request.seed
