"""Where a series of latencies changed: E-divisive means, hierarchical, each change tested by permutations.

A pair of runs cannot tell a change from noise that lasts; a series can. The divergence of two neighbouring stretches is the energy distance
of their values [Matteson2014]_ eq. 5; the place where it is largest is kept where fewer than ``FALSE_CHANGES`` of random orders have as
large a one, and both sides are looked at in turn, as continuous integration of a database does [Daly2020]_.

.. [Matteson2014] D. S. Matteson, N. A. James. A nonparametric approach for multiple change point analysis of multivariate data.
   J. Am. Stat. Assoc. 109(505), 2014.
.. [Daly2020] D. Daly et al. The use of change point detection to identify software performance regressions in a continuous integration
   system. ICPE 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FALSE_CHANGES = 0.01  # share of random orders that may look as divided
PERMUTATIONS = 499
LEAST_STRETCH = 3  # runs on either side of a change: two alike come by chance
MOST_POINTS = 1000  # of a series, its last ones: the distances between all pairs are held


def changes(values: Sequence[float], seed: int = 0) -> tuple[int, ...]:
    """Indices at which a new stretch begins, ascending; of more than ``MOST_POINTS`` values only the last are looked at.

    values: positive, in their order in time; their logarithms are compared, so that a change is a ratio. Equal values give equal answers.
    """
    skipped = max(0, len(values) - MOST_POINTS)
    logs = np.log(np.asarray(values[skipped:], dtype=np.float64))
    shuffler = np.random.default_rng(seed)
    found: list[int] = []
    waiting = [(0, len(logs))]
    while waiting:
        begin, end = waiting.pop()
        place = _change(logs[begin:end], shuffler)
        if place is not None:
            found.append(begin + place)
            waiting += [(begin, begin + place), (begin + place, end)]
    return tuple(skipped + place for place in sorted(found))


def _change(stretch: NDArray[np.float64], shuffler: np.random.Generator) -> int | None:
    """The significant change of one stretch, or None."""
    if len(stretch) < 2 * LEAST_STRETCH:
        return None
    distances = np.abs(stretch[:, None] - stretch[None, :])
    divided = divergence(distances)
    largest = float(divided.max())
    if largest <= 0:
        return None
    most, alike = int(FALSE_CHANGES * (PERMUTATIONS + 1)), 1
    for _ in range(PERMUTATIONS):
        order = shuffler.permutation(len(stretch))
        alike += float(divergence(distances[np.ix_(order, order)]).max()) >= largest
        if alike > most:
            return None  # it cannot become rare any more
    return int(divided.argmax()) + LEAST_STRETCH


def divergence(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scaled energy distance [Matteson2014]_ eq. 5 of both sides of every place that leaves ``LEAST_STRETCH`` on each.

    distances: n x n between all values, in order. Element k is of the place ``LEAST_STRETCH + k``.
    """
    count = len(distances)
    corner = np.cumsum(np.cumsum(distances, axis=0), axis=1)
    places = np.arange(LEAST_STRETCH, count - LEAST_STRETCH + 1)
    left, right = places.astype(np.float64), (count - places).astype(np.float64)
    within_left = corner[places - 1, places - 1]
    across = corner[places - 1, -1] - within_left
    within_right = corner[-1, -1] - within_left - 2 * across
    energy = 2 * across / (left * right) - within_left / (left * (left - 1)) - within_right / (right * (right - 1))
    return np.asarray(left * right / (left + right) * energy)
