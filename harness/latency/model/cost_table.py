"""What every layer costs at every pair of widths, as tables: a batch of configurations is a sum of look-ups.

Entries outside of what was measured are NaN, so that a configuration that needs one becomes NaN and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.latency.model.cost_features import Factor, FloatArray
from harness.latency.model.sites import BoolArray, IntArray, Site, SiteMap

_CHUNK = 8192  # rows at a time: the working set stays in the processor's cache


@dataclass(frozen=True)
class _Term:
    """A folded table: rows by the width of one group column, columns by another's; ``flat`` is row-major."""

    first: int
    second: int
    stride: int
    flat: FloatArray


@dataclass(frozen=True)
class CostTable:
    """Seconds per layer and width.

    constant_s: what no layer's width changes. layers: per site of ``site_map``, ``(in_width + 1) x (out_width + 1)`` seconds
    of its class's shape. gone: per site the seconds left when its branch is removed, by output width (zeros where it is not
    the last of a branch). skipped: per ``(site, times)`` the seconds added, mostly below zero, where its only reader skips
    positions that often; what is not there was never measured.
    """

    site_map: SiteMap
    constant_s: float
    layers: tuple[FloatArray, ...]
    gone: tuple[FloatArray, ...]
    skipped: tuple[tuple[tuple[int, int], FloatArray], ...]
    _terms: tuple[_Term, ...]
    _unfolded: tuple[int, ...]

    @classmethod
    def of(
        cls,
        site_map: SiteMap,
        constant_s: float,
        parts: tuple[Factor, ...],
        weights: Sequence[FloatArray],
        seen: IntArray,
        borrowed: CostTable | None = None,
    ) -> CostTable:
        """Tabulate fitted ``parts``, add another table, and blank what ``seen``, the fitted width matrix, does not span."""
        shapes = [(c.in_width + 1, c.out_width + 1) for c in site_map.classes]
        layers = [np.zeros(shapes[site.site_class]) for site in site_map.sites]
        gone = [np.zeros(shapes[site.site_class][1]) for site in site_map.sites]
        skipped: dict[tuple[int, int], FloatArray] = {}
        for part, weight in zip(parts, weights, strict=True):
            matrix = weight.reshape(part.inputs.shape[1], part.outputs.shape[1])
            values = part.inputs @ matrix @ part.outputs.T
            for site in part.sites:
                if part.skipped:
                    skipped[site, part.skipped] = skipped.get((site, part.skipped), 0.0) + values
                elif part.removed:
                    gone[site] = gone[site] + values[0]
                else:
                    layers[site] = layers[site] + values
        if borrowed is not None:
            constant_s += borrowed.constant_s
            layers = [ours + theirs for ours, theirs in zip(layers, borrowed.layers, strict=True)]
            gone = [ours + theirs for ours, theirs in zip(gone, borrowed.gone, strict=True)]
            skipped = {at: skipped.get(at, 0.0) + theirs for at, theirs in borrowed.skipped}
        _blank_unseen(site_map, layers, gone, seen)
        return cls.folded(site_map, constant_s, layers, gone, skipped)

    @classmethod
    def folded(
        cls,
        site_map: SiteMap,
        constant_s: float,
        layers: Sequence[FloatArray],
        gone: Sequence[FloatArray],
        skipped: Mapping[tuple[int, int], FloatArray],
    ) -> CostTable:
        """Tables as they are, prepared for look-ups."""
        terms, unfolded = _fold(site_map, layers, gone)
        return cls(site_map, constant_s, tuple(layers), tuple(gone), tuple(skipped.items()), terms, unfolded)

    def scaled(self, factor: float) -> CostTable:
        """The same with every cost times ``factor``."""
        layers, gone = ([factor * table for table in tables] for tables in (self.layers, self.gone))
        skipped = {at: factor * table for at, table in self.skipped}
        return CostTable.folded(self.site_map, factor * self.constant_s, layers, gone, skipped)

    def seconds(self, widths: IntArray) -> FloatArray:
        """Latency of each row of ``n x groups`` widths, which must fit the network; NaN where unknown."""
        total = np.full(len(widths), self.constant_s)
        for start in range(0, len(widths), _CHUNK):
            rows = slice(start, start + _CHUNK)
            columns = np.ascontiguousarray(widths[rows].T, dtype=np.int64)
            part = total[rows]
            for term in self._terms:
                part += term.flat[columns[term.first] * term.stride + columns[term.second]]
        if self._unfolded:
            total += self._plain_seconds(widths)[:, list(self._unfolded)].sum(axis=1)
        for _, before, seconds in self._skips(widths):
            total[before] += seconds
        return total

    def layer_seconds(self, widths: IntArray) -> FloatArray:
        """Seconds of every layer in every row, ``n x layers``; a removed branch's remainder stands at its last layer."""
        seconds = self._plain_seconds(widths)
        for site, rows, less in self._skips(widths):
            seconds[rows, site] += less
        return seconds

    def _skips(self, widths: IntArray) -> Iterator[tuple[int, IntArray, FloatArray]]:
        """Position of a layer, rows in which its only reader skips positions, and what that changes in them."""
        known = dict(self.skipped)
        for (site, times), rows in self.site_map.skipped(widths).items():
            if (site, times) not in known:
                yield site, rows, np.full(len(rows), np.nan)
                continue
            inputs, outputs, _ = self.site_map.gather_site(widths[rows], site)
            yield site, rows, known[site, times][inputs, outputs]

    def _plain_seconds(self, widths: IntArray) -> FloatArray:
        """As ``layer_seconds``, whatever the readers of a layer do."""
        inputs, outputs, present = self.site_map.gather(widths)
        seconds = np.zeros(present.shape)
        for index, (table, remainder) in enumerate(zip(self.layers, self.gone, strict=True)):
            here = present[:, index]
            seconds[here, index] = table[inputs[here, index], outputs[here, index]]
            seconds[~here, index] = remainder[outputs[~here, index]]
        return seconds

    def why_unknown(self, row: IntArray) -> str:
        """The first layer of a configuration whose cost was never measured, in words."""
        inputs, outputs, present = self.site_map.gather(row[None, :])
        for index, seconds in enumerate(self.layer_seconds(row[None, :])[0]):
            site = self.site_map.sites[index]
            if np.isnan(seconds) and not present[0, index]:
                return f"the removal of the branch that ends with {site.layer}"
            if np.isnan(seconds) and not np.isnan(self.layers[index][inputs[0, index], outputs[0, index]]):
                return f"{site.layer} before a shortcut that alone reads it"
            if np.isnan(seconds):
                spans = _spans(self.layers[index])
                return f"{site.layer} at {inputs[0, index]} x {outputs[0, index]} channels (measured: {spans})"
        return "this configuration"


def _blank_unseen(site_map: SiteMap, layers: list[FloatArray], gone: list[FloatArray], seen: IntArray) -> None:
    """Set NaN outside the rectangle of widths in which a class was measured, and where no such branch was ever removed."""
    inputs, outputs, present = site_map.gather(seen)
    for index in range(len(site_map.classes)):
        members = site_map.members(index)
        inside = _measured_box(site_map, index, inputs[:, members], outputs[:, members], present[:, members])
        ends = [member for member in members if site_map.sites[member].ends_branch]
        absent = ~present[:, ends]
        never = not absent.any()
        span = (0, 0) if never else (outputs[:, ends][absent].min(), outputs[:, ends][absent].max())
        for member in members:
            layers[member] = np.where(inside, layers[member], np.nan)
            if member in ends:
                width = np.arange(len(gone[member]))
                gone[member] = np.where(never | (width < span[0]) | (width > span[1]), np.nan, gone[member])


def _measured_box(site_map: SiteMap, index: int, inputs: IntArray, outputs: IntArray, present: BoolArray) -> BoolArray:
    site_class = site_map.classes[index]
    inside = np.zeros((site_class.in_width + 1, site_class.out_width + 1), dtype=np.bool_)
    if present.any():
        rows, columns = inputs[present], outputs[present]
        inside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return inside


def _fold(site_map: SiteMap, layers: Sequence[FloatArray], gone: Sequence[FloatArray]) -> tuple[tuple[_Term, ...], tuple[int, ...]]:
    """Add up the tables of layers that depend on the same one or two groups; the rest is gathered layer by layer."""
    channels = [group.channels for group in site_map.architecture.groups]
    folded: dict[tuple[int, int], FloatArray] = {}
    unfolded = []
    for index, site in enumerate(site_map.sites):
        columns = sorted({*site.in_columns, *(() if site.out_column is None else (site.out_column,))})
        if len(columns) > 2 or not columns or (site.branch is not None and site.branch not in columns):
            unfolded.append(index)
            continue
        key = (columns[0], columns[-1])
        here = _two_way(site, key, channels, layers[index], gone[index])
        folded[key] = folded[key] + here if key in folded else here
    terms = tuple(_Term(a, b, table.shape[1], np.ascontiguousarray(table).reshape(-1)) for (a, b), table in folded.items())
    return terms, tuple(unfolded)


def _two_way(site: Site, key: tuple[int, int], channels: list[int], table: FloatArray, remainder: FloatArray) -> FloatArray:
    """Seconds of one layer by the widths of the two groups in ``key``, removal included."""
    first, second = np.meshgrid(np.arange(channels[key[0]] + 1), np.arange(channels[key[1]] + 1), indexing="ij")
    width = {key[0]: first, key[1]: second}
    inputs = np.full(first.shape, site.in_fixed) + sum(width[column] for column in site.in_columns)
    outputs = np.full(first.shape, site.out_fixed) if site.out_column is None else width[site.out_column]
    seconds: FloatArray = table[inputs, outputs]
    return seconds if site.branch is None else np.where(width[site.branch] == 0, remainder[outputs], seconds)


def _spans(table: FloatArray) -> str:
    rows, columns = np.nonzero(~np.isnan(table))
    if not len(rows):
        return "never"
    return f"{rows.min()} to {rows.max()} x {columns.min()} to {columns.max()}"
