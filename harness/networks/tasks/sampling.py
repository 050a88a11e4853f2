"""Every picture's part in a metric of all pictures, and the interval that resampling the pictures gives.

A metric of a whole split, as mean IoU or average precision, is no mean over pictures. Its first-order part is: the influence of each
picture ([Hampel1974]_), found by leaving it out where no formula says it ([Efron1982]_, the jackknife). The numbers returned here are the
metric plus each picture's influence. Their mean is the metric itself, their spread is its sampling error, and the differences between two
networks on the same pictures are those of the paired comparison.

[Hampel1974] F. R. Hampel: The influence curve and its role in robust estimation. J. Am. Statist. Assoc. 69.
[Efron1982] B. Efron: The jackknife, the bootstrap and other resampling plans. SIAM, ch. 3 and 6.
[Efron1987] B. Efron: Better bootstrap confidence intervals. J. Am. Statist. Assoc. 82, for percentile intervals.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError

RESAMPLES = 2000  # for ends of an interval that repeat to a hundredth of its width or so
MOST_LEFT_OUT = 400  # groups of pictures that are left out in turn: a metric that takes milliseconds is asked so often
_AT_ONCE = 4_000_000  # picture numbers drawn in one go: bounds the memory

Floats = NDArray[np.float64]


def of_mean_iou(intersections: Floats, unions: Floats) -> Floats:
    """Every picture's part (``N``) in the mean over classes of the intersection over the union of all pictures.

    intersections, unions: ``N x classes``, pixels. Classes that appear in no picture and no answer count for nothing. The influence of a
    picture on a ratio of sums I / U is N (i - (I / U) u) / U.
    """
    union = unions.sum(axis=0)
    there = union > 0
    if not there.any():
        raise UsageError("no pixel of any class is there to be judged; give masks that hold classes")
    inner, outer, union = intersections[:, there], unions[:, there], union[there]
    iou = inner.sum(axis=0) / union
    influences = len(inner) * (inner - iou * outer) / union
    return np.asarray(iou.mean() + influences.mean(axis=1))


def by_leaving_out(metric: Callable[[NDArray[np.int64]], float], count: int) -> Floats:
    """Every picture's part (``count``) in ``metric``, which takes the numbers of pictures, by the jackknife.

    Of many pictures groups are left out together, and share their part. UsageError where the metric is no number for all pictures; a
    group without which it is none is held to change nothing.
    """
    everything = np.arange(count)
    whole = float(metric(everything))
    if not np.isfinite(whole):
        raise UsageError(f"the metric of {count} pictures is {whole}; give a metric that is a number")
    groups = np.array_split(np.random.default_rng(0).permutation(count), min(count, MOST_LEFT_OUT))
    influences = np.zeros(count)
    if count > 1:
        for group in groups:
            without = float(metric(np.setdiff1d(everything, group)))
            if np.isfinite(without):
                influences[group] = (count - len(group)) / len(group) * (whole - without)
    return np.asarray(whole + influences - influences.mean())


def interval(scores: Floats, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean of ``scores`` (``N``) by resampling pictures, percentile [Efron1987]_; the same for the same scores.

    Widened by sqrt(N / (N - 1)): resampled pictures spread less than pictures do.
    """
    count, mean = len(scores), float(scores.mean())
    if count < 2:
        return mean, mean
    draws, each = np.random.default_rng(seed), max(1, _AT_ONCE // count)
    means = np.concatenate(
        [scores[draws.integers(count, size=(min(each, RESAMPLES - at), count))].mean(axis=1) for at in range(0, RESAMPLES, each)]
    )
    low, high = np.quantile(means, (0.025, 0.975))
    wider = float(np.sqrt(count / (count - 1)))
    return mean - wider * (mean - float(low)), mean + wider * (float(high) - mean)
