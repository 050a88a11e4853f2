"""A clock that misbehaves on purpose: drift, bursts, heavy tails, so that statistics can be judged where the truth is known.

Nothing that it says was ever measured; it serves ``calibration`` and the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.records.measurement import Latency


@dataclass(frozen=True, slots=True)
class Weather:
    """How a machine disturbs its clock; ratios are relative to the true latency.

    jitter_ratio: spread of single samples (heavy-tailed: Student's t of 3 degrees of freedom, folded upwards in its tail).
    drift_ratio: slow change over the whole run, a random walk and a slope of about this size. burst_ratio: how much slower
    everything is while another program runs; burst_share: share of the time that one does; burst_blocks: how many blocks a
    burst lasts on average. spike_share: share of samples that are interrupted, and take up to five times as long.
    """

    jitter_ratio: float = 0.01
    drift_ratio: float = 0.03
    burst_ratio: float = 0.20
    burst_share: float = 0.15
    burst_blocks: float = 2.0
    spike_share: float = 0.01


QUIET = Weather(jitter_ratio=0.003, drift_ratio=0.002, burst_share=0.0, spike_share=0.0)
SHARED = Weather()  # two virtual processors with busy neighbours
STORMY = Weather(jitter_ratio=0.03, drift_ratio=0.10, burst_ratio=0.5, burst_share=0.3, burst_blocks=3.0, spike_share=0.05)


def a_b_b_a(subjects: int, blocks: int) -> tuple[int, ...]:
    """The order of blocks of an interleaved measurement: 0 1 2, 2 1 0, 0 1 2 ..."""
    forth = list(range(subjects))
    return tuple(subject for block in range(blocks) for subject in (forth if block % 2 == 0 else forth[::-1]))


def one_after_the_other(subjects: int, blocks: int) -> tuple[int, ...]:
    """The order that must not be used: all blocks of one, then all of the next."""
    return tuple(subject for subject in range(subjects) for _ in range(blocks))


def run(true_s: Sequence[float], order: Sequence[int], samples: int, weather: Weather, rng: np.random.Generator) -> tuple[Latency, ...]:
    """Latencies of subjects with true latencies ``true_s``, whose blocks of ``samples`` ran in ``order``."""
    slow = _drift(len(order), weather, rng) + _bursts(len(order), weather, rng)
    blocks: list[list[float]] = [[] for _ in true_s]
    for disturbance, subject in zip(slow, order, strict=True):
        jitter = weather.jitter_ratio * rng.standard_t(3, samples)
        jitter = np.where(jitter < 0, 0.3 * np.tanh(jitter / 0.3), jitter)  # nothing runs much faster than it can
        spikes = (rng.random(samples) < weather.spike_share) * rng.uniform(0.5, 4.0, samples)
        blocks[subject] += (true_s[subject] * (1.0 + disturbance) * (1.0 + jitter + spikes)).tolist()
    return tuple(Latency(tuple(taken), (samples,) * (len(taken) // samples)) for taken in blocks)


def _drift(blocks: int, weather: Weather, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    walk = np.cumsum(rng.standard_normal(blocks)) / np.sqrt(blocks)
    slope = rng.uniform(-1.0, 1.0) * np.linspace(0.0, 1.0, blocks)
    return np.asarray(weather.drift_ratio * (0.5 * walk + slope))


def _bursts(blocks: int, weather: Weather, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if weather.burst_share <= 0.0:
        return np.zeros(blocks)
    leave = 1.0 / max(1.0, weather.burst_blocks)
    enter = leave * weather.burst_share / (1.0 - weather.burst_share)
    busy, states = rng.random() < weather.burst_share, []
    for _ in range(blocks):
        states.append(busy)
        busy = rng.random() >= leave if busy else rng.random() < enter
    return np.array(states) * weather.burst_ratio * rng.uniform(0.5, 1.5, blocks)
