"""Full length: which short trials are worth it, which results must be seen again with other seeds, and when that is enough.

The luckiest observation must not win: only what was tuned in full can be chosen, and what may be chosen is repeated. Where repetitions
leave only something far slower, safer short trials between are promoted, and repeated, in their turn.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from search.campaign.state import State
from search.optimizer import choice, fidelity
from search.optimizer.fidelity import Calibration
from search.records.trial import PROMOTE, REPEAT, UNNUMBERED, Trial, TrialRequest

LEAST_HARMED = "least harmed"  # in a promotion's origin: by it they are counted, also after a restart


class FullLength:
    """What is due at full length, as far as the trials of a campaign tell.

    planned: requests that an interrupted session left. promoted: numbers of the short trials that were, or will be, tried in full.
    warm: keys of rows that another campaign tuned in full and found good: how they fare short says too little of them.
    limit_shift: points by which the goal's limit is looser for short trials, as far as was learnt.
    """

    def __init__(self, state: State, planned: Sequence[TrialRequest], warm: Collection[bytes] = ()) -> None:
        self.state, self.settings, self.warm = state, state.settings, warm
        self.promoted = {one.of for one in planned if one.purpose == PROMOTE}
        self.promoted |= {trial.request.of for trial in fidelity.promoted_of(state.known, self.settings.budget_epochs)}
        self.limit_shift = 0.0

    def adjust_limit(self) -> str:
        """Let short trials off as much as full length has brought back so far; a line about it, or nothing."""
        if self.settings.short_epochs is None:
            return ""
        low, high = fidelity.pairs(self.state.short, fidelity.promoted_of(self.state.known, self.settings.budget_epochs))
        self.limit_shift = fidelity.limit_shift(low, high, self.settings.goal.drop_limit, self.settings.longer)
        if len(low) < fidelity.LEAST_PAIRS_TO_FIT:
            return ""
        error = Calibration.fit(low, high).error_points
        told = f"full length brings back {self.limit_shift:.2f} points near the limit, predicted to {error:.2f}"
        return f"{len(low)} configurations at both lengths: {told}"

    def promotions(self, more: int = 0) -> list[TrialRequest]:
        """As many as the short trials so far are worth, and ``more``: counted from the first, so that resuming adds none.

        The short trials of other campaigns count too. What is warm is always worth it. At first a few are planned, to learn what length
        brings back.
        """
        settings, short = self.settings, self.state.short
        if settings.short_epochs is None:
            return []
        begun = self._begin([one for one in short if one.outcome.ok and one.number not in self.promoted and self._is_warm(one)])
        due = fidelity.promotions_by(len(short)) + more - len(self.promoted)
        if len(self.promoted) < fidelity.FIRST_COUNT and not more:
            due = min(due, fidelity.FIRST_COUNT - len(self.promoted))
        if due <= 0:
            return begun
        limit = settings.goal.drop_limit + self.limit_shift
        return begun + self._begin(fidelity.due_for_promotion(short, self.promoted, limit, due, settings.longer, self.state.certain_cost))

    def least_harmed(self) -> list[TrialRequest]:
        """Full length for the least harmed short trials, where nothing in full keeps the limit; not more in all than a handful.

        None for a campaign that had come to its end with a choice and got no more trials: to resume it changes no choice.
        """
        state, goal = self.state, self.settings.goal
        left = fidelity.LEAST_HARMED_COUNT - sum(one.origin.endswith(LEAST_HARMED) for one in state.begun(PROMOTE))
        if self.settings.short_epochs is None or goal.kind != "max-drop" or left <= 0:
            return []
        chosen = state.result().chosen
        if chosen is not None and (chosen.mean_points <= goal.drop_limit or (state.before.stopped and not state.has_new_trials)):
            return []
        dense = state.space.architecture.dense()
        return self._begin(fidelity.least_harmed(state.short, self.promoted, dense, state.dense_cost, left), f", {LEAST_HARMED}")

    def stand_ins(self) -> list[TrialRequest]:
        """Full length for the safest saving among short trials, when nothing faster held; at most as many as there were finalists.

        None for a campaign that had come to its end and got no more trials: to resume it changes no choice.
        """
        state, goal = self.state, self.settings.goal
        if (state.before.stopped and not state.has_new_trials) or state.elapsed_s >= self.settings.ends_s:
            return []
        result = state.result()
        if goal.kind != "max-drop" or result.calibration is None or not state.begun(REPEAT):
            return []
        if self._stand_ins_begun >= self.settings.finalists:
            return []
        certain_cost = min(state.certain_cost, state.dense_cost)
        found = choice.stand_in(state.space, state.short, self.promoted, goal, result.calibration, certain_cost)
        return [] if found is None else self._begin([found])

    def repetition(self) -> TrialRequest | None:
        """The evaluation, with another seed, that says most about the choice; None when enough were made or none matters."""
        settings, state = self.settings, self.state
        if (
            state.elapsed_s >= settings.ends_s
            or len(state.begun(REPEAT)) >= (settings.finalists + self._stand_ins_begun) * settings.repeats
        ):
            return None
        known = choice.expecting(state.result().standings, [one.of for one in state.running if one.purpose == REPEAT])
        standing = choice.next_repetition(known, settings.goal, 1 + settings.repeats)
        if standing is None:
            return None
        seed, origin = settings.seed + standing.observations, f"trial {standing.trial} again"
        return TrialRequest(UNNUMBERED, REPEAT, origin, standing.config, standing.recipe, settings.budget_epochs, seed, standing.trial)

    def _is_warm(self, trial: Trial) -> bool:
        state = self.state
        return bool(self.warm) and trial.tuned and state.space.keys(state.row(trial.request)[None])[0] in self.warm

    @property
    def _stand_ins_begun(self) -> int:
        """Promotions that came after the first repetition."""
        first = min((one.number for one in self.state.begun(REPEAT)), default=math.inf)
        return sum(one.number > first for one in self.state.begun(PROMOTE))

    def _begin(self, short: Sequence[Trial], why: str = "") -> list[TrialRequest]:
        """Requests that bring these short trials to full length, none of which will be asked for again."""
        self.promoted |= {one.number for one in short}
        return [
            replace(
                one.request,
                number=UNNUMBERED,
                purpose=PROMOTE,
                origin=f"trial {one.number} at full length{why}",
                budget_epochs=self.settings.budget_epochs,
                of=one.number,
            )
            for one in short
        ]
