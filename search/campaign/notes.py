"""What a campaign tells beside its trials: a doubt before it runs; at its end where the time went and how far its best can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.campaign import ends
from search.campaign.ends import End
from search.campaign.result import CampaignResult
from search.optimizer import choice
from search.optimizer.choice import Standing
from search.records.trial import Trial
from search.space.measurements import Stored

TOLD_FINALISTS = 5


def budgets_differ(trial_epochs: float, proof_epochs: float) -> str:
    """A warning when trials are tuned for another length than the networks of the final comparison; empty when for the same."""
    if trial_epochs == proof_epochs:
        return ""
    return (
        f"trials are tuned for {trial_epochs:g} epochs at full length, the networks of the final comparison for {proof_epochs:g}: how "
        "long a network is tuned decides how far it can be pruned, so what the search finds may keep too much, or too little; "
        "for the same length give --budget and --proof-budget alike"
    )


def helped(stored: Stored, sizes: Sequence[str]) -> list[str]:
    """Of every precision that what a campaign measured in another one helps, a line with the predictor's error since then."""
    told = []
    for one in (stored, *stored.others):
        beside, judged = one.predictor.learnt_from, one.predictor.held_out
        if stored.others and beside is not None and judged is not None and beside.precision != one.precision:
            told.append(f"{one.named(sizes)}, with what was measured in {beside.precision}: predictor: {judged.sentence()}")
    return told


def time_split(trials: Sequence[Trial]) -> str:
    """Where the time of the finished trials went, in means and shares; empty when none was finished."""
    finished = [trial for trial in trials if trial.outcome.ok and trial.tuned]
    finished = [trial for trial in finished if trial.outcome.seconds > 0] or finished  # the unpruned network was tuned before
    if not finished:
        return ""
    parts = {
        "asking": np.mean([trial.ask_s for trial in finished]),
        "pruning": np.mean([trial.outcome.prune_s for trial in finished]),
        "tuning": np.mean([trial.outcome.tune_s for trial in finished]),
        "judging": np.mean([trial.outcome.evaluate_s for trial in finished]),
    }
    whole = sum(parts.values())
    told = ", ".join(f"{seconds:.2f} s {name} ({seconds / max(whole, 1e-9):.0%})" for name, seconds in parts.items())
    return f"a trial took {whole:.2f} s in the mean of {len(finished)}: {told}"


def finalists(result: CampaignResult) -> tuple[str, ...]:
    """One line for every configuration that may be chosen: its drop with its interval, and how lucky its first evaluation was."""
    lines, kind = [], " compiled cost" if result.settings.goal.objective.is_compiled else ""
    firsts = {trial.number: trial.outcome.drop_points for trial in (*result.imported, *result.trials)}
    for standing in choice.finalists(result.standings, result.settings.goal, TOLD_FINALISTS):
        low, high = standing.interval_points
        times = f"{standing.observations} evaluation" + ("s" if standing.observations > 1 else "")
        first = firsts[standing.trial]
        luck = standing.mean_points - first
        cursed = f"first seen {first:+.2f}, {abs(luck):.2f} too {'good' if luck >= 0 else 'bad'}"
        name = "finalist" if standing != result.chosen else "chosen" if ends.of(result) is None else "least harmed"
        lines.append(
            f"{name}: {_name(standing)}, {standing.cost / result.dense_cost:.3f} of dense (predicted{kind}), "
            f"validation drop {standing.mean_points:+.2f} points ({low:+.2f} to {high:+.2f}, {times}; {cursed})"
        )
    return tuple(lines)


def recommendation(result: CampaignResult, end: End | None = None) -> str:
    """What a search found that is not followed by a comparison. end: where nothing keeps its limit."""
    if result.chosen is None:
        return "nothing is recommended" if end is None else end.sentence
    chosen, objective = result.chosen, result.settings.goal.objective
    low, high = chosen.interval_points
    missed, what = ("", "recommended") if end is None else (f"{end.sentence}\n", "the least harmed")
    return (
        f"{missed}{what}: {_name(chosen)}, {objective.predicted(chosen.cost)}, {objective.gain(result.dense_cost, chosen.cost)}, "
        f"drop {chosen.mean_points:.2f} points ({low:.2f} to {high:.2f}) on the validation split; nothing was measured (--proof-seeds=0)"
    )


def _name(standing: Standing) -> str:
    """The trial by its number, those taken over carry negative ones, which mean nothing to a reader; and what it runs in among several."""
    words = standing.recipe.runs_in.words
    runs_in = f" ({words})" if standing.recipe.size else f" in {words}" if words else ""
    return (f"trial {standing.trial}" if standing.trial >= 0 else "a trial of another campaign") + runs_in
