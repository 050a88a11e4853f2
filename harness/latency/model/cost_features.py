"""The prior of the latency model: what shapes a layer's cost may take as a function of its input and output width.

A component is a family of functions with one unknown amplitude. Each is a sum of products (function of the input width) x
(function of the output width), so that a fitted component is a small table and a batch of configurations a few look-ups.

straight     1, in, out, in x out: work and traffic
step M       the same with widths rounded up to multiples of M: the vector width of the machine
smooth       any smooth function of the two widths
free         any function of one width, alone and times the other: whatever single widths do against the rule
layer        a layer's own deviation from its class: neighbours, cache, fusion
removed      what remains of a removed branch
skipped      what a layer costs less where its only reader skips positions (``sites.Junction``)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.latency.model.sites import IntArray, SiteMap

FloatArray = npt.NDArray[np.float64]

STEPS = (4, 8, 16, 32)  # vector and tile widths of the processors in use
SKIPPED_STEP = 16  # the one step that what a skipping reader saves may follow; the rest is straight
SMOOTH_SPAN = 0.25  # correlation length of "smooth", as a share of the dense width
_SMOOTH_KEEP = 1e-3  # eigenfunctions weaker than this share of the strongest are dropped


@dataclass(frozen=True)
class Factor:
    """One component of one class: cost(i, o) = inputs[i] @ weights @ outputs[o].

    inputs: ``(in_width + 1) x r``. outputs: ``(out_width + 1) x q``. sites: positions of the layers that it applies to.
    removed: it is the cost of absence, counted where the branch is gone instead of where it is there. skipped: it is counted
    only where the layer's only reader skips positions this often, besides what the layer costs anyhow.
    """

    component: str
    site_class: int
    inputs: FloatArray
    outputs: FloatArray
    sites: tuple[int, ...]
    removed: bool = False
    skipped: int = 0


def factors(site_map: SiteMap, seen: IntArray) -> tuple[Factor, ...]:
    """All factors for a network; ``seen`` is the width matrix that the model will be fitted on (for "free")."""
    inputs, outputs, present = site_map.gather(seen)
    mean_macs = np.mean([c.macs for c in site_map.classes])
    mean_bytes = np.mean([c.bytes_moved for c in site_map.classes])
    found: list[Factor] = []
    for index, site_class in enumerate(site_map.classes):
        members = site_map.members(index)
        here = present[:, members]
        seen_in, seen_out = (np.unique(widths[:, members][here]) for widths in (inputs, outputs))
        scale = float(np.sqrt(0.5 * (site_class.macs / mean_macs + site_class.bytes_moved / mean_bytes)))
        found += _class_factors(index, tuple(members), (site_class.in_width, site_class.out_width), (seen_in, seen_out), scale)
    return tuple(found + _layer_factors(site_map) + _skipped_factors(site_map, seen))


def design_matrices(site_map: SiteMap, parts: tuple[Factor, ...], widths: IntArray) -> tuple[FloatArray, ...]:
    """Per factor an ``n x (r q)`` matrix: the coefficients of its weights in each configuration's latency."""
    inputs, outputs, present = site_map.gather(widths)
    skipped = site_map.skipped(widths)
    nowhere = np.zeros(0, dtype=np.int64)
    matrices = []
    for part in parts:
        total = np.zeros((len(widths), part.inputs.shape[1] * part.outputs.shape[1]))
        for site in part.sites:
            if part.skipped:
                rows = skipped.get((site, part.skipped), nowhere)
            else:
                rows = np.flatnonzero(~present[:, site] if part.removed else present[:, site])
            product = part.inputs[inputs[rows, site], :, None] * part.outputs[outputs[rows, site], None, :]
            total[rows] += product.reshape(len(rows), total.shape[1])
        matrices.append(total)
    return tuple(matrices)


def _class_factors(
    index: int, sites: tuple[int, ...], dense: tuple[int, int], seen: tuple[IntArray, IntArray], scale: float
) -> list[Factor]:
    wide_in, wide_out = (np.arange(width + 1, dtype=np.float64) for width in dense)
    line_in, line_out = _line(wide_in), _line(wide_out)
    found = [Factor("straight", index, scale * line_in, line_out, sites)]
    varies_in, varies_out = len(seen[0]) > 1, len(seen[1]) > 1
    for step in STEPS:
        if step <= max(dense) and (varies_in or varies_out):
            found.append(Factor(f"step {step}", index, scale * _stairs(wide_in, step), _stairs(wide_out, step), sites))
    if varies_in or varies_out:
        found.append(Factor("smooth", index, scale * _smooth(wide_in), _smooth(wide_out), sites))
    one_in, one_out = line_in[:, :1], line_out[:, :1]
    if varies_out:
        own = _indicators(dense[1], seen[1])
        found += [Factor("free", index, scale * one_in, own, sites), Factor("free slope", index, scale * line_in[:, 1:], own, sites)]
    if varies_in:
        own = _indicators(dense[0], seen[0])
        found += [Factor("free", index, scale * own, one_out, sites), Factor("free slope", index, scale * own, line_out[:, 1:], sites)]
    return found


def _layer_factors(site_map: SiteMap) -> list[Factor]:
    found: list[Factor] = []
    for position, site in enumerate(site_map.sites):
        site_class = site_map.classes[site.site_class]
        wide_in, wide_out = (np.arange(width + 1) / width for width in (site_class.in_width, site_class.out_width))
        if len(site_map.members(site.site_class)) > 1:
            here = (position,)
            if site.branch is not None:
                found.append(Factor("layer", site.site_class, np.ones((len(wide_in), 1)), np.ones((len(wide_out), 1)), here))
            found.append(Factor("layer slope", site.site_class, wide_in[:, None], wide_out[:, None], here))
    for index in sorted({site.site_class for site in site_map.sites if site.ends_branch}):
        ends = tuple(p for p, site in enumerate(site_map.sites) if site.ends_branch and site.site_class == index)
        site_class = site_map.classes[index]
        wide_out = np.arange(site_class.out_width + 1, dtype=np.float64)
        found.append(Factor("removed", index, np.ones((site_class.in_width + 1, 1)), _line(wide_out), ends, removed=True))
    return found


def _skipped_factors(site_map: SiteMap, seen: IntArray) -> list[Factor]:
    """Per class of which a layer was seen before a reader that skips: straight, and with one machine step."""
    found: list[Factor] = []
    classes = {(site_map.sites[position].site_class, times) for position, times in site_map.skipped(seen)}
    ends = {position for junction in site_map.junctions for position in junction.writers}
    for index, times in sorted(classes):
        site_class = site_map.classes[index]
        sites = tuple(position for position in site_map.members(index) if position in ends)
        wide_in, wide_out = (np.arange(width + 1, dtype=np.float64) for width in (site_class.in_width, site_class.out_width))
        for component, shape in (("skipped", _line), ("skipped step", _skipped_stairs)):
            found.append(Factor(component, index, shape(wide_in), shape(wide_out), sites, skipped=times))
    return found


def _skipped_stairs(widths: FloatArray) -> FloatArray:
    return _stairs(widths, SKIPPED_STEP)


def _line(widths: FloatArray) -> FloatArray:
    return np.stack([np.ones_like(widths), widths / max(widths[-1], 1.0)], axis=1)


def _stairs(widths: FloatArray, step: int) -> FloatArray:
    if widths[-1] < step:
        return _line(widths)
    return np.concatenate([_line(widths), (np.ceil(widths / step) * step / widths[-1])[:, None]], axis=1)


def _smooth(widths: FloatArray) -> FloatArray:
    """Eigenfunctions of a squared-exponential kernel over the widths, scaled by the root of their eigenvalue."""
    if len(widths) <= 2:
        return np.ones((len(widths), 1))
    coarse = np.linspace(0.0, widths[-1], min(len(widths), 65))  # a grid is enough for a smooth function
    span = SMOOTH_SPAN * widths[-1]
    values, vectors = np.linalg.eigh(np.exp(-0.5 * ((coarse[:, None] - coarse) / span) ** 2))
    kept = values > values[-1] * _SMOOTH_KEEP
    basis = vectors[:, kept] / np.sqrt(values[kept])
    return np.asarray(np.exp(-0.5 * ((widths[:, None] - coarse) / span) ** 2) @ basis)


def _indicators(dense: int, seen: IntArray) -> FloatArray:
    table = np.zeros((dense + 1, len(seen)))
    table[seen, np.arange(len(seen))] = 1.0
    return table
