"""Which whole networks to measure: few, informative, the same for the same seed.

Candidates are drawn at random, then picked one by one, always the one whose measurement would lower the model's variance over
all candidates most (greedy integrated-variance design [Cohn1996]_). A longer design begins with the shorter one.

.. [Cohn1996] D. A. Cohn. Neural network exploration using optimal experiment design. Neural Networks 9(6), 1996.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.latency.model.cost_features import Factor, FloatArray, design_matrices, factors
from harness.latency.model.held_out import HeldOutError
from harness.latency.model.predictor import configurations, fewest_networks
from harness.latency.model.sites import IntArray, SiteMap
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

POOL = 1000  # candidates to pick from
MOST = POOL // 2  # beyond, a greedy pick is no better than a random one
HELD_OUT_SHARE = 3  # one of so many networks at most, where there are few
FREE_UP_TO = 128  # channels; wider groups would give every width its own unknown, and every candidate would look new
_NOISE = 0.005  # relative, of one measurement; sets when a second look at the same width stops to pay

# Prior standard deviation of each component's contribution, relative to a typical latency, before anything is measured.
_PRIOR_SD = {"constant": 0.3, "straight": 0.3, "smooth": 0.03, "free": 0.01, "free slope": 0.01, "layer": 0.005, "layer slope": 0.005}
_PRIOR_STEP_SD = 0.1
_PRIOR_REMOVED_SD = 0.02
_PRIOR_SKIPPED_SD = 0.05

Widths = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to measure more networks, and why, in words."""

    go_on: bool
    reason: str


def design(architecture: Architecture, count: int, seed: int, widths: Widths | None = None) -> tuple[PruningConfig, ...]:
    """``count`` networks to fit the latency model on; the first ones span all widths and all removals.

    widths: per group the widths that may occur, e.g. the legal ones of its staircase; without it all, from one step up.
    Raises UsageError for a count out of range, an unknown group or a width that the group does not have.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"a design of {count} networks; ask for 1 to {MOST}")
    site_map = SiteMap.of(architecture)
    allowed = _allowed(architecture, widths)
    anchors = _anchors(architecture, allowed)
    pool = np.unique(_draw(architecture, allowed, POOL, np.random.default_rng([seed, 0])), axis=0)
    pool = np.concatenate([anchors, pool[~(pool[:, None, :] == anchors[None]).all(axis=2).any(axis=1)]])
    if count >= len(pool):
        return tuple(site_map.config(row) for row in pool)
    picked = _pick(site_map, pool, count, first=len(anchors))
    return tuple(site_map.config(pool[index]) for index in picked)


def held_out(architecture: Architecture, count: int, seed: int, widths: Widths | None = None) -> tuple[PruningConfig, ...]:
    """``count`` distinct random networks to judge the latency model on, drawn like the design's candidates, not picked.

    Of a network that can become few others they are fewer, for what is held out is never fitted on: a third of all at most, none where
    the model needs every one, and never those that span what may be predicted.
    """
    if count < 1:
        raise UsageError(f"{count} held-out networks; ask for at least 1")
    if widths is None:
        every = configurations(architecture)
        count = min(count, every // HELD_OUT_SHARE, every - fewest_networks(architecture))
    site_map, rng = SiteMap.of(architecture), np.random.default_rng([seed, 1])
    allowed = _allowed(architecture, widths)
    distinct = dict.fromkeys(site_map.config(row) for row in _draw(architecture, allowed, 4 * count, rng))
    spanning = {site_map.config(row) for row in _anchors(architecture, allowed)} if widths is None else set()
    return tuple(config for config in distinct if config not in spanning)[:count]


def decide(errors: Sequence[HeldOutError], target_ratio: float = 0.01, most: int = MOST) -> Decision:
    """Whether measuring more networks can still pay, from the held-out errors after each batch, oldest first.

    target_ratio: the mean error that is good enough, together with a largest one of five times as much.
    """
    if not errors:
        return Decision(True, "nothing was judged yet")
    last = errors[-1]
    if last.mape_ratio <= target_ratio and last.max_ratio <= 5 * target_ratio:
        return Decision(False, f"mean error {last.mape_ratio:.2%} is good enough after {last.fitted_on} networks")
    if last.fitted_on >= most:
        return Decision(False, f"mean error {last.mape_ratio:.2%} after {last.fitted_on} networks, as many as were allowed")
    if len(errors) >= 3 and last.mape_ratio > 0.95 * errors[-3].mape_ratio:
        return Decision(False, f"mean error {last.mape_ratio:.2%} no longer falls after {last.fitted_on} networks")
    return Decision(True, f"mean error {last.mape_ratio:.2%} after {last.fitted_on} networks, {target_ratio:.2%} wanted")


def _allowed(architecture: Architecture, widths: Widths | None) -> tuple[IntArray, ...]:
    for name in widths or {}:
        architecture.group(name)
    allowed = []
    for group in architecture.groups:
        given = sorted({int(width) for width in (widths or {}).get(group.name, range(group.step, group.channels + 1, group.step))} - {0})
        wrong = [width for width in given if not group.step <= width <= group.channels or width % group.step]
        if wrong or not given:
            raise UsageError(
                f"group {group.name} cannot have widths {wrong or given}; give multiples of {group.step} up to {group.channels}"
            )
        allowed.append(np.array(given, dtype=np.int64))
    return tuple(allowed)


def _anchors(architecture: Architecture, allowed: tuple[IntArray, ...]) -> IntArray:
    """Widest and narrowest network, each with all branches and with none: they span what may be predicted."""
    widest = np.array([widths[-1] for widths in allowed])
    narrowest = np.array([widths[0] for widths in allowed])
    kept = np.array([not group.removable for group in architecture.groups])
    rows = [widest, narrowest, *([] if kept.all() else [widest * kept, narrowest * kept])]
    return np.array(list(dict.fromkeys(tuple(int(width) for width in row) for row in rows)), dtype=np.int64)


def _draw(architecture: Architecture, allowed: tuple[IntArray, ...], count: int, rng: np.random.Generator) -> IntArray:
    """Random networks of every size: half with independent widths, half with widths around one keep ratio."""
    groups = len(allowed)
    around = rng.uniform(0.0, 1.0, (count, 1)) + rng.uniform(-0.2, 0.2, (count, groups))
    share = np.where(rng.random((count, 1)) < 0.5, rng.random((count, groups)), np.clip(around, 0.0, 1.0))
    sizes = np.array([len(widths) for widths in allowed])
    index = np.minimum((share * sizes).astype(np.int64), sizes - 1)
    rows = np.stack([widths[index[:, column]] for column, widths in enumerate(allowed)], axis=1)
    removable = np.array([group.removable for group in architecture.groups])
    gone = rng.random((count, groups)) < rng.uniform(0.0, 0.5, (count, 1)) * (rng.random((count, 1)) < 0.8)
    return np.where(gone & removable, 0, rows)


def _pick(site_map: SiteMap, pool: IntArray, count: int, first: int) -> list[int]:
    """Indices of the greedy design: ``first`` anchors, then always the candidate that tells most about all the others."""
    features = _prior_features(site_map, pool)
    covariance = features @ features.T
    picked: list[int] = []
    for turn in range(count):
        told = np.einsum("ij,ij->j", covariance, covariance) / (np.diag(covariance) + _NOISE**2)
        told[picked] = -1.0
        best = turn if turn < first else int(np.argmax(told))
        column = covariance[:, best] / np.sqrt(covariance[best, best] + _NOISE**2)
        covariance -= np.outer(column, column)
        picked.append(best)
    return picked


def _prior_features(site_map: SiteMap, pool: IntArray) -> FloatArray:
    """``pool x features``, scaled so that their inner product is the prior covariance of relative latencies."""
    parts = tuple(part for part in factors(site_map, pool) if not _too_free(site_map, part))
    dense = np.array([[group.channels for group in site_map.architecture.groups]])
    plain = design_matrices(site_map, parts, np.concatenate([dense, pool]))
    work = sum(np.abs(matrix[:, -1]) for matrix, part in zip(plain, parts, strict=True) if part.component == "straight")
    relative = 1.0 / (0.2 + np.asarray(work)[1:] / np.asarray(work)[0])  # a network's size, until a clock says better
    by_component: dict[str, list[FloatArray]] = {"constant": [np.ones((len(pool), 1))]}
    for matrix, part in zip(plain, parts, strict=True):
        by_component.setdefault(part.component, []).append(matrix[1:])
    scaled = []
    for component, matrices in by_component.items():
        joined = np.concatenate(matrices, axis=1) * relative[:, None]
        size = np.sqrt(np.mean(np.sum(joined**2, axis=1)))
        scaled.append(joined * (_prior_sd(component) / size) if size > 0 else joined)
    return np.concatenate(scaled, axis=1)


def _too_free(site_map: SiteMap, part: Factor) -> bool:
    site_class = site_map.classes[part.site_class]
    return part.component.startswith("free") and max(site_class.in_width, site_class.out_width) > FREE_UP_TO


def _prior_sd(component: str) -> float:
    if component.startswith("step"):
        return _PRIOR_STEP_SD
    if component.startswith("skipped"):
        return _PRIOR_SKIPPED_SD
    return _PRIOR_REMOVED_SD if component == "removed" else _PRIOR_SD[component]
