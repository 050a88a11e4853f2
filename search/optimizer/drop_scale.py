"""The scale on which drops are modelled: points up to a few times the limit, logarithmic beyond.

Whether a network lost 20 points or 80 says next to nothing about where one point is lost, yet a Gaussian process of plain points spends
its whole scale on the difference. Constraints are warped for that reason in [Eriksson2021]_ sec. 4 (there on both sides).

.. [Eriksson2021] D. Eriksson, M. Poloczek: Scalable Constrained Bayesian Optimization. AISTATS 2021.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from search.records.trial import Floats
from search.space.goals import Goal

KNEE = 2.0  # multiples of the limit up to which points are points
LEAST_LIMIT_POINTS = 0.05  # a limit of nothing leaves some scale
# Noise of an observation that is expected: of the limit, and of what the pictures' number alone leaves open of a top-1 (two networks answer
# the same pictures, most of them alike).
NOISE_OF_LIMIT, NOISE_OF_PICTURES = 0.22, 0.5


@dataclass(frozen=True, slots=True)
class DropScale:
    """Points to the model's scale and back. limit_points: the drop that separates good from bad, more than 0.

    bends: whether large drops are compressed; without that nothing is said but of what order an uncertainty is at least. pictures_points:
    standard deviation of a top-1 that the number of pictures leaves, where it is known.
    """

    limit_points: float
    bends: bool = True
    pictures_points: float = 0.0

    @property
    def noise_points(self) -> float:
        """By how much one observation is expected to stray, as a standard deviation."""
        return max(NOISE_OF_LIMIT * self.limit_points, NOISE_OF_PICTURES * self.pictures_points)

    @property
    def knee_points(self) -> float:
        """From here on the scale is logarithmic."""
        return KNEE * self.limit_points if self.bends else math.inf

    def scaled(self, points: Floats) -> Floats:
        """Drops on the model's scale; the same up to the knee, with a continuous slope there."""
        if not self.bends:
            return points
        knee = self.knee_points
        return np.asarray(np.where(points > knee, knee * (1 + np.log(np.maximum(points / knee, 1))), points))

    def points(self, scaled: Floats) -> Floats:
        """The way back."""
        if not self.bends:
            return scaled
        knee = self.knee_points
        return np.asarray(np.where(scaled > knee, knee * np.exp(np.maximum(scaled / knee - 1, 0)), scaled))

    def posterior_points(self, mean: Floats, deviation: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation in points of what is normal on the model's scale.

        Beyond the knee the deviation is the one by which the chance to be within the limit stays what it is.
        """
        points = self.points(mean)
        bent = mean > self.knee_points
        stretch = np.where(bent, (points - self.limit_points) / np.where(bent, mean - self.limit_points, 1.0), 1.0)
        return points, deviation * stretch


def of(goal: Goal, shift_points: float = 0.0, widest_points: float = 0.0, pictures_points: float = 0.0) -> DropScale:
    """The scale for a goal.

    shift_points: by which its limit is looser for these trials; widest_points: the widest limit looked for; pictures_points: as there.
    """
    limit = max(goal.drop_limit, widest_points) + max(shift_points, 0.0)
    return DropScale(max(limit, LEAST_LIMIT_POINTS), goal.kind != "max-latency", pictures_points)
