"""The choice among the tuned candidates: what they lost, how sure that is, and further evidence where it may decide.

In the order of what costs least for what it resolves: validation pictures are there already; folds of training pictures bring as many
new ones each, for the price of the dense network trained anew; where that is impossible, more seeds average out what is luck in training,
but bring no picture; a slower network costs nothing but that, and is taken where all that does not do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.training import baseline
from harness.training.recipes import Recipe
from search.campaign.subject import Subject
from search.proof import cross_fit, proof, tuning
from search.proof.cross_fit import Bound, Fold
from search.proof.entrants import Entrant
from search.proof.proof import Curses, Right
from search.proof.tuning import Recipes, Tuned
from search.records.display import Display
from search.records.losses.certainty import Evidence
from search.records.losses.drop import Paired
from search.records.request import Request
from search.records.trial import KnownCost
from search.space.goals import objective_of
from search.space.screened_latency import cost_of

MORE_SEEDS = 2  # of all compared networks, where one is in question and there are no folds


@dataclass(frozen=True)
class Decision:
    """The candidate that stands for the campaign. known: what is known of every candidate's drop, by name."""

    chosen: Entrant
    known: Mapping[str, Evidence]
    tuned: tuple[Tuned, ...]
    right: Right


@dataclass(frozen=True)
class Chooser:
    """Chooses for one campaign. by: how the candidates were tuned. dense: how the dense network is trained; None where it cannot be.

    cache: where dense networks that were trained anew are kept.
    """

    folder: Path
    request: Request
    subject: Subject
    known_cost: KnownCost
    by: Recipes
    dense: Recipe | None
    display: Display
    cache: Path = baseline.CACHE_DIR

    def decide(self, tuned: Sequence[Tuned], right: Right, curses: Curses) -> Decision:
        """Of the candidates among ``tuned``; what every one lost, and its chance, is said. curses: winner's curse of each, in points."""
        known, limit = proof.evidence(tuned, right, curses), self.request.drop_limit_points
        self._say(known, tuned)
        if limit is not None and not self.request.pareto:
            if self.dense is None:
                before = tuned
                tuned, right = self._with_more_seeds(tuned, right, known)
                if tuned is not before:
                    known = proof.evidence(tuned, right, curses)
                    self._say(known, tuned)
            elif self.request.folds:
                known = self._with_folds(tuned, known, self.dense)
        drops = {name: one.seen_points + one.moved_points for name, one in known.items()}
        chances = {} if limit is None else {name: one.chance_within(limit) for name, one in known.items()}
        costs, certainty = self._costs(tuned), self.request.certainty
        entered = [entry.entrant for entry in tuned if entry.entrant.name in known]
        chosen = proof.choose(entered, drops, chances, costs, costs["dense"], certainty, self.request.max_latency_s)
        if chances and chances[chosen.name] < certainty:
            self.display.say(
                f"nothing {objective_of(self.request).cheaper} keeps the limit with a probability of {certainty:g}: "
                f"the most certain one is chosen, "
                f"{chosen.name}, with {chances[chosen.name]:.2f}"
            )
        return Decision(chosen, known, tuple(tuned), right)

    def _with_folds(self, tuned: Sequence[Tuned], known: dict[str, Evidence], dense: Recipe) -> dict[str, Evidence]:
        """Fold after fold for those in question, for as many pictures trained on as all trials together at most."""
        request, dataset = self.request, self.subject.dataset
        if not self._in_question(tuned, known):
            return known
        bound = Bound(request.trials * request.search_epochs * len(dataset.train), dense.epochs, self.by.tuning.epochs)
        sized = {size: one.dataset for size, one in self.subject.sized.items()}
        folds = cross_fit.sized_folds(dataset, sized, request.folds)

        def judge(fold: Fold, entrants: Sequence[Entrant]) -> Mapping[str, Paired]:
            trainings = len(entrants) + 2
            with self.display.step("cross-fitting", trainings) as bar:
                seen: dict[str, int] = {}

                def show(name: str, done: int, steps: int) -> None:
                    bar.at(seen.setdefault(name, len(seen)) + done / max(steps, 1), note=name)

                parts = (self.subject.network, fold.dataset, entrants, dense, self.by, self.folder, show, request.workers, self.cache)
                return cross_fit.judge(*parts, fold.sized)

        found = cross_fit.gather(folds, lambda now: self._in_question(tuned, now), known, bound, judge)
        self._say({name: one for name, one in found.items() if one != known[name]}, tuned)
        return found

    def _with_more_seeds(self, tuned: Sequence[Tuned], right: Right, known: Mapping[str, Evidence]) -> tuple[Sequence[Tuned], Right]:
        """All compared networks with more seeds, alike, where one is in question and the trials took longer than that."""
        request, dataset = self.request, self.subject.dataset
        cost = len(tuned) * MORE_SEEDS * self.by.tuning.epochs
        within = 0 < cost <= request.trials * request.search_epochs  # what is not tuned at all has no luck in tuning
        if not within or not self._in_question(tuned, known):
            return tuned, right
        entered, seeds = [entry.entrant for entry in tuned], request.proof_seeds + MORE_SEEDS
        with self.display.timed(f"tuning the compared networks with {MORE_SEEDS} more seeds"):
            parts = (self.subject.network, dataset, entered, self.by, seeds, self.folder, _unseen, request.workers)
            again = tuning.tune(*parts, self.subject.sized)
        return again, proof.right_answers(again, dataset.validation, self.subject.sized_validation)

    def _in_question(self, tuned: Sequence[Tuned], known: Mapping[str, Evidence]) -> list[Entrant]:
        limit, costs = self.request.drop_limit_points, self._costs(tuned)
        if limit is None:
            return []
        entered = [entry.entrant for entry in tuned if entry.entrant.name in known]
        return cross_fit.in_question(entered, known, costs, costs["dense"], limit, self.request.certainty)

    def _costs(self, tuned: Sequence[Tuned]) -> dict[str, float]:
        """Predicted costs, by name."""
        architecture = self.subject.network.architecture
        return {entry.entrant.name: cost_of(architecture, self.known_cost, entry.entrant.config, *entry.entrant.runs_in) for entry in tuned}

    def _say(self, known: Mapping[str, Evidence], tuned: Sequence[Tuned]) -> None:
        objective = objective_of(self.request)
        costs, limit, seeds = self._costs(tuned), self.request.drop_limit_points, len(tuned[0].judged)
        for name, one in known.items():
            lost = one.drop
            chance = "" if limit is None else f", probability to keep the limit {one.chance_within(limit):.2f}"
            luck = f", {one.moved_points:.2f} for its luck" if one.moved_points > 0.005 else ""
            self.display.say(
                f"  {name}: {objective.predicted(costs[name])}, drop seen {one.seen_points:+.2f} points on {one.pictures} pictures, "
                f"true drop {lost.points:+.2f} ({lost.low:+.2f} to {lost.high:+.2f}; seeds: {seeds}{luck}){chance}"
            )


def _unseen(name: str, done: int, steps: int) -> None:
    """Progress that nobody watches."""
