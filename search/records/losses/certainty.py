"""How sure it is that a network's true drop is within a limit, from the pictures that it was judged on.

Two networks answer the same pictures: some are lost (the dense network alone was right), some won, most tell nothing. The shares of the
three have a Dirichlet posterior, the Bayesian treatment of matched proportions of [Altham1971]_: that no picture was lost and none won
gives no more certainty than their number does. Its prior is uniform, a picture each: with Jeffreys' half a picture, 19 of 100 networks that
lose exactly a point are called within it with a certainty of 0.9 where few of 280 pictures differ; with a whole one at most 10, however
many differ (counted over all outcomes, the check that [Brown2001]_ ask of small-sample intervals). Pictures that others of the same
configuration were judged on (cross-fitting) count beside them, with what such networks differ by beyond their pictures [Gelman2006]_.

Whoever was chosen as the best of many was lucky, in two ways. Some of its luck is its own: what it was seen to lose is moved by as much as
the posterior mean of the search, which shrinks every observation towards what all others let expect, exceeds it; a posterior mean needs no
further correction for having been selected [Efron2011]_. The rest it shares with all that were judged on the same pictures, and no
comparison among them shows it: there a sceptical prior [Spiegelhalter1994]_ says that a pruned network hardly ever beats the unpruned one
that was tuned alike.

.. [Altham1971] P. M. E. Altham, The analysis of matched proportions, Biometrika 58, 1971.
.. [Brown2001] L. D. Brown, T. T. Cai, A. DasGupta, Interval estimation for a binomial proportion, Statistical Science 16, 2001.
.. [Efron2011] B. Efron, Tweedie's formula and selection bias, Journal of the American Statistical Association 106, 2011.
.. [Gelman2006] A. Gelman, Prior distributions for variance parameters in hierarchical models, Bayesian Analysis 1, 2006.
.. [Spiegelhalter1994] D. J. Spiegelhalter, L. S. Freedman, M. K. B. Parmar, Bayesian approaches to randomized trials, J. R. Statist. Soc. A
   157, 1994.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, ndtr, ndtri, stdtr, stdtrit

from harness.records.accuracy import Accuracy
from search.records.losses.drop import Drop, Paired, seed_spread

Floats = npt.NDArray[np.float64]

PSEUDO = 1.0  # pictures lost, won and of neither kind that the prior adds
USUAL_GAIN_POINTS = 0.5  # by which a pruned network may beat the unpruned one tuned alike: two thirds of what gains there are are less
SHARES, MOVES, PLACES = 60, 16, 241  # points of the numerical integration: pictures that differ, seeds, drops
USUAL_BETWEEN_POINTS = 0.4  # networks of one configuration, pruned and tuned alike from dense ones with other pictures or seeds
_TINY = 1e-200
_Z_975 = 1.959963984540054


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
            whole = Paired(whole.total + fold.total, whole.squares + fold.squares, whole.images + fold.images, whole.counted)
        return whole

    @property
    def moved_points(self) -> float:
        """The winner's curse of the pooled drop, in points."""
        return self.curse_points * self.judged.images / self.pictures

    @property
    def between_points(self) -> float:
        """By how much networks of one configuration differ beyond their pictures, in points; 0 for a single one."""
        return between([self.judged, *self.folds]) if self.folds else 0.0

    @property
    def seen_points(self) -> float:
        """What was lost of all pictures together, in points, luck included."""
        return 100 * self.pooled.total / self.pictures

    @property
    def drop(self) -> Drop:
        """The expected true drop and its 95 % interval."""
        places, below = _posterior(self)
        mean = float((np.diff(below) * (places[1:] + places[:-1]) / 2).sum())
        return Drop(mean, self.quantile(0.025), self.quantile(0.975))

    def chance_within(self, limit_points: float) -> float:
        """Probability that the true drop is at most ``limit_points``."""
        places, below = _posterior(self)
        return float(np.interp(limit_points, places, below))

    def quantile(self, probability: float) -> float:
        """The drop, in points, that the true one is at most with this probability."""
        places, below = _posterior(self)
        return float(np.interp(probability, below, places))

    @property
    def other_points(self) -> float:
        """Standard deviation of the true drop that pictures do not explain, in points: between seeds, and between folds' networks."""
        return math.hypot(self.spread_points, self.between_points)

    def moves(self) -> Floats:
        """What the true drop is beside what the pictures say, in points: midpoints of equally likely parts."""
        if self.other_points == 0.0:
            return np.array([self.moved_points])
        likely = (np.arange(MOVES) + 0.5) / MOVES
        standard = stdtrit(self.freedom, likely) if self.spread_points else ndtri(likely)
        return self.moved_points + self.other_points * np.asarray(standard)


def normal_chance(limit_points: float, mean: Floats, deviation: Floats, pictures: Floats) -> Floats:
    """The same where only counts of right answers are known: posterior of the search's model, and the pictures' share beside it.

    mean, deviation: of the drop on these very pictures, in points. pictures: standard deviation between these pictures and all others.
    """
    whole = np.hypot(deviation, pictures)
    narrowed = whole**2 + USUAL_GAIN_POINTS**2
    inner, scale = mean * USUAL_GAIN_POINTS**2 / narrowed, whole * USUAL_GAIN_POINTS / np.sqrt(narrowed)
    weight = USUAL_GAIN_POINTS / np.sqrt(narrowed) * np.exp(-(mean**2) / (2 * narrowed))  # of gains, which the sceptical prior narrows
    gains, losses = weight * ndtr(-inner / scale), ndtr(mean / whole)
    within = weight * ndtr((np.minimum(limit_points, 0.0) - inner) / scale) + losses - ndtr((mean - max(limit_points, 0.0)) / whole)
    hardly = gains + losses < _TINY  # a gain that the prior thinks impossible
    return np.asarray(np.where(hardly, mean <= limit_points, np.clip(within / np.where(hardly, 1.0, gains + losses), 0.0, 1.0)))


def between(parts: Sequence[Paired]) -> float:
    """Standard deviation between the true drops of ``parts``, in points: root of its posterior mean square.

    A handful of parts tells little about it, so that its estimate must not be zero for want of evidence: a half-normal prior says what is
    usual, as [Gelman2006]_ advises for few groups; the mean of all has a flat prior and is integrated out.
    """
    drops = np.array([100 * one.total / one.images for one in parts])
    variances = np.array([(one.margin_points / _Z_975) ** 2 for one in parts])
    scales = np.linspace(0.0, 4 * USUAL_BETWEEN_POINTS, 41)
    weights = 1 / (variances[None] + scales[:, None] ** 2)
    mean = (weights * drops).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    logs = 0.5 * (np.log(weights) - weights * (drops - mean) ** 2).sum(axis=1) - 0.5 * np.log(weights.sum(axis=1))
    logs -= 0.5 * (scales / USUAL_BETWEEN_POINTS) ** 2
    likely = np.exp(logs - logs.max())
    return math.sqrt(float((likely * scales**2).sum() / likely.sum()))


def largest_total(pictures: int, differing: float, limit_points: float, certainty: float) -> float:
    """The largest loss (pictures lost less pictures won) that keeps the limit with ``certainty`` where ``differing`` pictures differ.

    Of at most ``differing`` either way; less than that, -inf, where not even winning them all would do.
    """
    best, differing = -math.inf, min(differing, pictures)  # an expected count may be more than there are
    for total in np.arange(-math.floor(differing), math.floor(differing) + 1):
        if Evidence(Paired(float(total), max(differing, abs(float(total))), pictures)).chance_within(limit_points) >= certainty:
            best = float(total)
    return best


def with_folds(evidence: Evidence, folds: Sequence[Paired]) -> Evidence:
    """The same with further folds."""
    return replace(evidence, folds=(*evidence.folds, *folds))


@functools.lru_cache(maxsize=256)
def _posterior(known: Evidence) -> tuple[Floats, Floats]:
    """Drops, in points and ascending, and the probability that the true one is at most each."""
    pooled, moves = known.pooled, known.moves()
    reach = 7 * math.hypot(pooled.margin_points / _Z_975, known.other_points) + 2 * USUAL_GAIN_POINTS
    middle = known.seen_points + known.moved_points
    places = np.linspace(min(middle - reach, -4 * USUAL_GAIN_POINTS), max(middle + reach, 4 * USUAL_GAIN_POINTS), PLACES)
    flat = _below(pooled, (places[:, None] - moves[None]).ravel()).reshape(len(places), len(moves)).mean(axis=1)
    centres = np.minimum((places[1:] + places[:-1]) / 2, 0.0)
    with np.errstate(divide="ignore"):
        logs = np.log(np.diff(flat)) - 0.5 * (centres / USUAL_GAIN_POINTS) ** 2  # alone, the prior of a large gain is no number
    weights = np.exp(logs - logs.max())
    below = np.concatenate([[0.0], np.cumsum(weights)])
    return places, below / float(below[-1])


def _below(paired: Paired, limits_points: Floats) -> Floats:
    """Posterior probability that the drop is at most each of ``limits_points``.

    With s the share of pictures that differ and r the part of them that is lost, s and r are independent, both Beta, and the drop is
    s (2 r - 1). Means over seeds lose fractions of a picture: as many whole steps are counted as have the same mean and squares. Of
    another task, whose pictures lose parts of a metric, the mean loss has Student's distribution.
    """
    if not paired.counted:
        mean = 100 * paired.total / paired.images
        return np.asarray(stdtr(max(paired.images - 1, 1), (limits_points - mean) / paired.standard_points))
    step = 1.0 if abs(paired.total) <= paired.squares else paired.squares / abs(paired.total) if paired.total else 1.0
    differing, net = paired.squares / step**2, paired.total / step
    lost, won = max((differing + net) / 2, 0.0), max((differing - net) / 2, 0.0)
    shares = betaincinv(lost + won + 2 * PSEUDO, max(paired.images - differing, 0.0) + PSEUDO, (np.arange(SHARES) + 0.5) / SHARES)
    places = np.clip((1 + limits_points[:, None] / (100 * step) / shares[None]) / 2, 0.0, 1.0)
    return np.asarray(betainc(lost + PSEUDO, won + PSEUDO, places).mean(axis=1))
