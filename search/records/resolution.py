"""What a number of validation pictures can resolve, said before a campaign begins, and what is done about it.

Of the pictures on which two networks differ, half are lost and half won where both are as good: the drop that is seen of them varies by
the square root of their number. How many will differ is not known yet; as many as the dense network answers wrongly is usual for networks
that inherit its weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from scipy.special import ndtri

from harness.records.accuracy import Accuracy
from harness.training.recipes import Recipe
from search.records.costs.objective import COMPILED_COST
from search.records.losses.certainty import largest_total
from search.records.request import Request

SUPPOSED_SHARE = 0.5  # of the limit, that a network worth choosing really loses
LEAST_RATIO = 1e-5  # of pictures; a limit that is less is none


@dataclass(frozen=True)
class Resolution:
    """What ``pictures`` tell of a drop of at most ``limit_points``, with ``certainty``.

    differing_ratio: share of pictures that are supposed to be answered differently; where pictures are not just right or wrong (not
    counted), the variance that their losses are supposed to have: as much as pictures differ among themselves.
    """

    pictures: int
    differing_ratio: float
    limit_points: float
    certainty: float
    counted: bool = True

    @classmethod
    def of(cls, dense: Accuracy, limit_points: float, certainty: float) -> Resolution:
        """Of the split on which the dense network was judged; a split without an error counts as if there were one."""
        if not dense.is_counted:
            return cls(dense.total, max(dense.variance, LEAST_RATIO), limit_points, certainty, counted=False)
        return cls(dense.total, (max(dense.total - dense.correct, 1)) / dense.total, limit_points, certainty)

    def with_more(self, pictures: int) -> Resolution:
        """The same with ``pictures`` more, such as cross-fitted ones."""
        return replace(self, pictures=self.pictures + pictures)

    @property
    def margin_points(self) -> float:
        """By how much a drop seen must stay below the limit, in points, in the normal approximation."""
        return self.told_to(self.pictures)

    def told_to(self, pictures: int) -> float:
        """Points to which so many pictures tell a drop, one way, with the certainty."""
        return 100 * float(ndtri(self.certainty)) * math.sqrt(self.differing_ratio / pictures)

    @property
    def aim_points(self) -> float:
        """The drop that a search should seek on these pictures, so that what it finds can be chosen; not less than none."""
        return max(self.limit_points - self.margin_points, 0.0)

    @property
    def needed(self) -> int:
        """Pictures that tell the limit from half of it, to two significant digits; 0 where the limit is as good as none."""
        room = self.limit_points * (1 - SUPPOSED_SHARE) / 100
        if room < LEAST_RATIO:
            return 0
        count = max(math.ceil(self.differing_ratio * (float(ndtri(self.certainty)) / room) ** 2), 1)
        step = int(10 ** max(len(str(count)) - 2, 0))
        return math.ceil(count / step) * step

    @property
    def resolves(self) -> bool:
        """Whether these pictures are enough for a network that loses half the limit."""
        return 0 < self.needed <= self.pictures

    @cached_property
    def largest_seen_points(self) -> float:
        """The largest drop seen, in points, with which the limit is kept with the certainty; -inf where none is small enough."""
        if not self.counted:
            return self.limit_points - self.margin_points
        differing = min(self.differing_ratio * self.pictures, 400.0)  # more counts than that change nothing; the normal form is exact there
        if self.differing_ratio * self.pictures > differing:
            return self.limit_points - self.margin_points
        return 100 * largest_total(self.pictures, differing, self.limit_points, self.certainty) / self.pictures

    @property
    def sentence(self) -> str:
        """What the split tells, what the limit needs of it, and how many pictures would do."""
        limit = f"{self.limit_points:g} {'point' if self.limit_points == 1 else 'points'}"
        told = f"{self.pictures} validation pictures tell a drop to ±{self.margin_points:.1f} points with a certainty of {self.certainty:g}"
        told += (
            f" (if {self.differing_ratio:.1%} of them are answered differently, as many as the dense network gets wrong)"
            if self.counted
            else " (if two networks differ on a picture by as much as pictures differ among themselves)"
        )
        if self.resolves:
            return f"{told}: enough for a limit of {limit}"
        seen = self.largest_seen_points
        if math.isinf(seen):
            return f"{told}: no drop seen on them would be small enough for a limit of {limit}"
        many = f", or about {self.needed:,} pictures for a network that loses half of it" if self.needed else ""
        return f"{told}: a limit of {limit} needs a drop seen of at most {seen:+.1f}{many}"


@dataclass(frozen=True)
class Plan:
    """What a campaign's pictures resolve, and what it does about the rest.

    split: what the validation split alone tells. folds: how many folds of training pictures may judge finalists too, each as large as that
    split. possible: whether the dense network can be trained without them. compiled: whether compiled cost is lowered.
    """

    split: Resolution
    folds: int
    possible: bool
    compiled: bool = False

    @property
    def whole(self) -> Resolution:
        """What all pictures tell that finalists may be judged on."""
        return self.split.with_more(self.folds * self.split.pictures)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the split resolves, and what is done where that is not enough."""
        return (self.split.sentence, *([] if self.split.resolves else [self._remedy]))

    @property
    def _remedy(self) -> str:
        faster, dearer = ("cheaper", "dearer") if self.compiled else ("faster", "slower")
        last = f"where nothing reaches it, the most certain {faster} network is chosen and its probability said"
        slower = f"a {dearer}, surer network is taken"
        if not self.possible:
            return (
                "training pictures cannot judge: weights from elsewhere remember them, and cannot be trained anew without them; so "
                f"all compared networks are tuned with two more seeds, where one is in question; then {slower}; {last}"
            )
        if not self.folds:
            return f"so {slower} (--folds=4 would judge finalists on training pictures too, where there are enough); {last}"
        return (
            f"so finalists in question are judged on up to {self.folds} × {self.split.pictures} training pictures too, by networks that "
            f"never saw them (±{self.whole.margin_points:.1f} points; each trains the dense network anew, all together at most as long as "
            f"the trials; --folds=0 leaves them out); then {slower}; {last}"
        )


def plan(request: Request, described: Recipe | None, dense: Accuracy, train_pictures: int) -> Plan | None:
    """What is said before a campaign begins; None where no drop is asked for. described: how ``--weights`` were trained, where known."""
    limit = request.drop_limit_points
    if limit is None:
        return None
    able = can_train_anew(request, described)
    folds = fold_count(train_pictures, dense.total, request.folds) if able else 0
    return Plan(Resolution.of(dense, limit, request.certainty), folds, able, request.objective == COMPILED_COST.name)


def can_train_anew(request: Request, described: Recipe | None) -> bool:
    """Whether the dense network can be trained anew without some of its training pictures."""
    return request.weights is None or (described is not None and request.validation_from != "test")


def fold_count(train_pictures: int, validation_pictures: int, most: int) -> int:
    """How many folds there are, each as large as the validation split, so that as much is left to train on."""
    return min(most, train_pictures // max(validation_pictures, 1))
