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
PERMUTATIONS = 199
LEAST_STRETCH = 3  # runs on either side of a change: two alike come by chance
WINDOW = 600  # runs looked at together: the distances between all pairs are held; a longer series is looked at in overlapping windows


def changes(values: Sequence[float], seed: int = 0) -> tuple[int, ...]:
    """Indices at which a new stretch begins, ascending.

    values: positive, in their order in time; their logarithms are compared, so that a change is a ratio. Equal values give equal answers.
    Of more than ``WINDOW`` values every change is judged among so many, with at least a quarter of them on either side.
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    shuffler = np.random.default_rng(seed)
    found: list[int] = []
    for begin in range(0, max(1, len(logs) - WINDOW // 2), WINDOW // 2):
        end = begin + WINDOW
        first = begin + WINDOW // 4 if begin else 0
        last = end - WINDOW // 4 if end < len(logs) else len(logs)
        found += [begin + place for place in _of_window(logs[begin:end], shuffler) if first <= begin + place < last]
    return tuple(found)


def _of_window(logs: NDArray[np.float64], shuffler: np.random.Generator) -> list[int]:
    """All changes of values that are looked at together."""
    found: list[int] = []
    waiting = [(0, len(logs))]
    while waiting:
        begin, end = waiting.pop()
        place = _change(logs[begin:end], shuffler)
        if place is not None:
            found.append(begin + place)
            waiting += [(begin, begin + place), (begin + place, end)]
    return sorted(found)


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
