"""Accuracy that a device answered, against limits: a floor, and how much may be lost against f32 on the host.

The drop is of two answers to the same pictures, so its interval is of matched proportions, as [AgrestiMin2005]_ adjust it. Which pictures
only one of the two got right is not kept; those with different answers are at least as many, so the interval is none too narrow.

.. [AgrestiMin2005] A. Agresti, Y. Min. Simple improved confidence intervals for comparing matched proportions. Stat. Med. 24, 2005.
.. [Newcombe1998] R. G. Newcombe. Interval estimation for the difference between independent proportions. Stat. Med. 17, 1998.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.compare.limits import DROP_POINTS, Limits
from harness.latency.verdict.finding import Bound
from harness.records.accuracy import Accuracy, DeviceAccuracy

_Z_975 = 1.960


def bounds(judged: DeviceAccuracy, classes: int | None, allowed: Limits) -> tuple[Bound, ...]:
    """The floor (chance, where none is set) and the drop that is let pass (a point, where none is set).

    A network that answers no better than a guess would is let pass by nobody: it is masked, of other classes, or fed the wrong pictures.
    classes: None where they are not known, and then neither is chance.
    """
    on, floor = judged.on_device, allowed.at("top1_percent")
    top1, low, high = 100 * on.top1_ratio, 100 * on.interval_ratio[0], 100 * on.interval_ratio[1]
    how = f"{on.correct} of {on.total} on {judged.dataset}, {judged.split} split"
    drop = _drop(judged, allowed)
    if floor is not None:
        return (Bound("top-1", top1, low, high, floor, "%", how, floor=True), drop)
    if classes is None:
        return (drop,)
    guess = 100 / classes
    told = f"{how}; guessing gives {guess:.1f} %"
    return (Bound("top-1", top1, low, high, guess, "%", told, floor=True, must_show=True), drop)


def _drop(judged: DeviceAccuracy, allowed: Limits) -> Bound:
    limit = allowed.at("top1_drop_points")
    limit = DROP_POINTS if limit is None else limit
    name = "top-1 drop against f32 on the host"
    if judged.on_host is None or judged.agreement_ratio is None:
        return Bound(
            name, math.nan, math.nan, math.nan, limit, "points", "the host's answers are not known; give --weights, or a file in f32"
        )
    total = judged.on_device.total
    lost = judged.on_host.correct - judged.on_device.correct
    figure, low, high = matched_drop(lost, round((1 - judged.agreement_ratio) * total), total)
    how = f"{total} pictures, {judged.agreement_ratio:.2%} answered alike"
    return Bound(name, 100 * figure, 100 * low, 100 * high, limit, "points", how)


def matched_drop(lost: int, differing: int, total: int) -> tuple[float, float, float]:
    """The share lost by one of two that answered the same pictures, and its 95 % interval.

    lost: right answers fewer than the other's. differing: pictures with different answers, at least ``abs(lost)``.
    """
    count, adjusted = total + 2, max(differing, abs(lost)) + 1
    centre = lost / count
    half = _Z_975 * math.sqrt(max(0.0, adjusted - lost**2 / count)) / count
    return lost / total, min(lost / total, centre - half), max(lost / total, centre + half)


def since(judged: DeviceAccuracy, before: Sequence[DeviceAccuracy], allowed: Limits) -> tuple[Bound, ...]:
    """The drop against the last earlier answer to the same pictures, on the same device in the same precision; none where there is none."""
    earlier = [one for one in before if _asked(one) == _asked(judged)]
    if not earlier:
        return ()
    limit, last = allowed.at("top1_drop_points"), earlier[-1].on_device
    figure, low, high = unmatched_drop(last, judged.on_device)
    how = f"{last.top1_ratio:.2%} before ({last.correct} of {last.total}), as if of other pictures"
    limit = DROP_POINTS if limit is None else limit
    return (Bound("top-1 drop since the baseline", 100 * figure, 100 * low, 100 * high, limit, "points", how),)


def unmatched_drop(before: Accuracy, now: Accuracy) -> tuple[float, float, float]:
    """What was lost between two runs whose single answers were not kept, and its 95 % interval by [Newcombe1998]_, method 10."""
    (low, high), (now_low, now_high) = before.interval_ratio, now.interval_ratio
    lost = before.top1_ratio - now.top1_ratio
    below = math.hypot(before.top1_ratio - low, now_high - now.top1_ratio)
    above = math.hypot(high - before.top1_ratio, now.top1_ratio - now_low)
    return lost, lost - below, lost + above


def _asked(judged: DeviceAccuracy) -> tuple[str, ...]:
    return (judged.network, judged.device, judged.effective_precision, judged.dataset_digest, judged.split)
