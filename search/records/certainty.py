"""How sure it is that a network's true drop is within a limit, from the pictures that it was judged on.

Two networks answer the same pictures: some are lost (the dense network alone was right), some won, most tell nothing. The shares of the
three have a Dirichlet posterior under Jeffreys' prior, half a picture each, which is the Bayesian treatment of matched proportions of
[Altham1971]_; no pictures lost and none won give no certainty but that of their number, and for one share the prior covers as it claims
even for small counts [Brown2001]_. Pictures that others of the same configuration were judged on (cross-fitting) count beside them, with
what such networks differ by beyond their pictures [DerSimonian1986]_.

Whoever was chosen as the best of many was lucky, too: what it was seen to lose is moved by the winner's curse, as far as the posterior
mean of the search, which shrinks every observation towards what all others let expect, exceeds it. A posterior mean needs no further
correction for having been selected [Efron2011]_.

.. [Altham1971] P. M. E. Altham, The analysis of matched proportions, Biometrika 58, 1971.
.. [Brown2001] L. D. Brown, T. T. Cai, A. DasGupta, Interval estimation for a binomial proportion, Statistical Science 16, 2001.
.. [DerSimonian1986] R. DerSimonian, N. Laird, Meta-analysis in clinical trials, Controlled Clinical Trials 7, 1986.
.. [Efron2011] B. Efron, Tweedie's formula and selection bias, Journal of the American Statistical Association 106, 2011.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betainc, betaincinv, ndtr, stdtrit

from harness.records.accuracy import Accuracy
from search.records.drop import Drop, Paired, seed_spread
from search.records.trial import Floats

PSEUDO = 0.5  # pictures lost, won and of neither kind that Jeffreys' prior adds
SHARES, MOVES = 200, 64  # points of the numerical integration, over the pictures that differ and over the seeds
MOST_POINTS = 100.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a network's true drop.

    judged: the validation pictures that it lost. folds: training pictures that others of its configuration, which had not seen them, lost,
    fold by fold. spread_points, freedom: standard error of the mean over seeds, and its degrees of freedom; 0 for a single network.
    curse_points: by how much what was seen is expected to be luck, for having been chosen by it; never less than 0.
    """

    judged: Paired
    folds: tuple[Paired, ...] = ()
    spread_points: float = 0.0
    freedom: int = 0
    curse_points: float = 0.0

    @classmethod
    def of(
        cls,
        ours: Sequence[Accuracy],
        dense: Sequence[Accuracy],
        judged: Paired,
        folds: tuple[Paired, ...] = (),
        curse_points: float = 0.0,
    ) -> Evidence:
        """From the validation accuracies of all seeds and what each picture lost."""
        spread, freedom = seed_spread(ours, dense)
        return cls(judged, folds, spread, freedom, max(curse_points, 0.0))

    @property
    def pictures(self) -> int:
        """How many pictures it was judged on, cross-fitted ones included."""
        return self.judged.images + sum(fold.images for fold in self.folds)

    @property
    def pooled(self) -> Paired:
        """All pictures together; the curse counts for those that the search chose by."""
        whole = self.judged
        for fold in self.folds:
            whole = Paired(whole.total + fold.total, whole.squares + fold.squares, whole.images + fold.images)
        return whole

    @property
    def moved_points(self) -> float:
        """The winner's curse of the pooled drop, in points."""
        return self.curse_points * self.judged.images / self.pictures

    @property
    def between_points(self) -> float:
        """By how much networks of one configuration differ beyond their pictures, in points; 0 where nothing shows it."""
        return between([self.judged, *self.folds]) if self.folds else 0.0

    @property
    def drop(self) -> Drop:
        """The expected true drop and its 95 % interval."""
        return Drop(100 * self.pooled.total / self.pictures + self.moved_points, self.quantile(0.025), self.quantile(0.975))

    def chance_within(self, limit_points: float) -> float:
        """Probability that the true drop is at most ``limit_points``."""
        if abs(limit_points) >= MOST_POINTS:
            return float(limit_points > 0)
        return float(_below(self.pooled, limit_points - self._moves()).mean())

    def quantile(self, probability: float) -> float:
        """The drop, in points, that the true one is at most with this probability."""
        low, high = -MOST_POINTS, MOST_POINTS
        for _ in range(24):  # halves 200 points to 1e-5
            middle = (low + high) / 2
            low, high = (middle, high) if self.chance_within(middle) < probability else (low, middle)
        return (low + high) / 2

    def _moves(self) -> Floats:
        """What the true drop is beside what the pictures say, in points: midpoints of equally likely parts."""
        likely = (np.arange(MOVES) + 0.5) / MOVES
        scale = math.hypot(self.spread_points, self.between_points)
        if scale == 0.0:
            return np.array([self.moved_points])
        freedom = self.freedom if self.spread_points else max(len(self.folds), 1)
        return self.moved_points + scale * np.asarray(stdtrit(freedom, likely))


def normal_chance(limit_points: float, mean: Floats, deviation: Floats, pictures: Floats) -> Floats:
    """The same where only counts of right answers are known: posterior of the search's model, and the pictures' share beside it.

    mean, deviation: of the drop on these very pictures, in points. pictures: standard deviation between these pictures and all others.
    """
    return np.asarray(ndtr((limit_points - mean) / np.hypot(deviation, pictures)))


def between(parts: Sequence[Paired]) -> float:
    """Standard deviation between the true drops of ``parts``, in points: the moment estimate of [DerSimonian1986]_."""
    drops = np.array([100 * one.total / one.images for one in parts])
    weights = np.array([(one.margin_points / 1.96) ** -2 for one in parts])
    mean = (weights * drops).sum() / weights.sum()
    excess = (weights * (drops - mean) ** 2).sum() - (len(parts) - 1)
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    return math.sqrt(max(excess, 0.0) / scale) if scale > 0 else 0.0


def largest_total(pictures: int, differing: float, limit_points: float, certainty: float) -> float:
    """The largest loss (pictures lost less pictures won) that keeps the limit with ``certainty`` where ``differing`` pictures differ.

    Of at most ``differing`` either way; less than that, -inf, where not even winning them all would do.
    """
    best = -math.inf
    for total in np.arange(-math.floor(differing), math.floor(differing) + 1):
        if Evidence(Paired(float(total), max(differing, abs(float(total))), pictures)).chance_within(limit_points) >= certainty:
            best = float(total)
    return best


def with_folds(evidence: Evidence, folds: Sequence[Paired]) -> Evidence:
    """The same with further folds."""
    return replace(evidence, folds=(*evidence.folds, *folds))


def _below(paired: Paired, limits_points: Floats) -> Floats:
    """Posterior probability that the drop is at most each of ``limits_points``.

    With s the share of pictures that differ and r the part of them that is lost, s and r are independent, both Beta, and the drop is
    s (2 r - 1). Means over seeds lose fractions of a picture: as many whole steps are counted as have the same mean and squares.
    """
    step = 1.0 if abs(paired.total) <= paired.squares else paired.squares / abs(paired.total) if paired.total else 1.0
    differing, net = paired.squares / step**2, paired.total / step
    lost, won = max((differing + net) / 2, 0.0), max((differing - net) / 2, 0.0)
    shares = betaincinv(lost + won + 2 * PSEUDO, max(paired.images - differing, 0.0) + PSEUDO, (np.arange(SHARES) + 0.5) / SHARES)
    places = np.clip((1 + limits_points[:, None] / (100 * step) / shares[None]) / 2, 0.0, 1.0)
    return np.asarray(betainc(lost + PSEUDO, won + PSEUDO, places).mean(axis=1))
