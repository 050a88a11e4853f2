"""A network and its layers against a baseline: measured in turns in one run, or stored by an earlier one."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

from harness.compare.baseline import Counterpart
from harness.compare.limits import Limits
from harness.errors import UsageError
from harness.latency.verdict.finding import Finding, from_bounds
from harness.latency.verdict.judgement import compare
from harness.records.measurement import Measurement

AGAIN = 4  # times more that a network is measured before a stored baseline fails it


def interleaved(ours: Measurement, other: Measurement, allowed: Limits, same_within: float) -> tuple[Finding, ...]:
    """The verdict of two networks measured in turns in one run, where drift and bursts cancel, and of the layers that both have."""
    told = compare(ours, other, same_within)
    how = f"interleaved, {told.pairs} block pairs worth {told.effective_pairs:.0f}"
    whole = Finding(ours.network, told.outcome, told.ratio, told.low, told.high, allowed.network, how, told.smallest_detectable)
    return (whole, *_shared_layers(ours, other, allowed, same_within))


def stored(ours: Measurement, before: Counterpart, allowed: Limits, same_within: float) -> tuple[Finding, ...]:
    """The verdict against an earlier run, and of every layer. Nothing pairs the two, so their intervals are held against each other.

    UsageError names a layer that vanished.
    """
    other = before.measurement
    low, high = ours.latency.interval_s
    other_low, other_high = other.latency.interval_s
    ratio = ours.latency.median_s / other.latency.median_s
    how = f"95 % intervals of separate runs, {len(ours.latency.samples_s)} and {len(other.latency.samples_s)} samples"
    upper = high / other_low if other_low > 0 else float("inf")
    whole = from_bounds(ours.network, ratio, low / other_high, upper, allowed.network, same_within, how)
    found = (whole, *layers(ours, other, allowed, same_within, new_code=before.differing.excepted != ()))
    return tuple(replace(one, exception=before.differing.exception()) for one in found)


def confirmed(ours: Measurement, before: Counterpart, allowed: Limits, same_within: float, again: Callable[[], Measurement]) -> Measurement:
    """The quickest of ours, measured up to ``AGAIN`` times more while its latency is not certainly within the limit.

    A machine that a neighbour slows for seconds slows all blocks of a short run alike, so that their spread does not tell. It only ever
    adds time, while a slowdown of the network's own is there every time. Layers and what else was told stay those of the first.
    """
    for _ in range(AGAIN):
        whole = stored(replace(ours, layers=()), before, allowed, same_within)[0]
        if whole.high <= 1 + allowed.network:
            break
        later = again()
        if later.latency.median_s < ours.latency.median_s:
            ours = replace(later, layers=ours.layers, profiled=ours.profiled)
    return ours


def layers(ours: Measurement, other: Measurement, allowed: Limits, same_within: float, new_code: bool = False) -> tuple[Finding, ...]:
    """Every layer against the same layer of the baseline; UsageError names a layer that vanished, unless the networks may differ."""
    mine, theirs = dict(ours.seconds_by_layer()), dict(other.seconds_by_layer())
    if mine and not new_code and (gone := [name for name in theirs if name not in mine]):
        raise UsageError(f"layer {gone[0]} of the baseline is not in {ours.network} any more; measure a new baseline")
    return _shared_layers(ours, other, allowed, same_within)


def _shared_layers(ours: Measurement, other: Measurement, allowed: Limits, same_within: float) -> tuple[Finding, ...]:
    mine, theirs = dict(ours.seconds_by_layer()), dict(other.seconds_by_layer())
    found = []
    for name, runs in mine.items():
        if name in theirs and min(runs) > 0 and min(theirs[name]) > 0:
            ratio = statistics.median(runs) / statistics.median(theirs[name])
            low, high = min(runs) / max(theirs[name]), max(runs) / min(theirs[name])
            how = f"range over {len(runs)} and {len(theirs[name])} compilations"
            found.append(from_bounds(name, ratio, low, high, allowed.of_layer(name), same_within, how))
    return tuple(found)
