"""The compiled cost of any configuration from those that were compiled: exact for these, and for others layer by layer.

A compiler's cost of one layer is a step function of its input and output channels, and nothing else of the network moves it: that is how
every compilation looked that this was made from, and what the designs that are held out judge anew in each campaign.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.errors import CampaignError
from harness.latency.model.sites import SiteMap
from harness.records.architecture import Architecture
from harness.records.compilation import Compilation
from harness.records.pruning_config import PruningConfig
from search.records.trial import Floats, Ints

UNKNOWN = np.iinfo(np.int64).max  # of a pair of widths that nothing compiled is as wide as


@dataclass(frozen=True)
class CostsJudged:
    """How far the model's costs of networks that it was not made from lie from what the compiler says of them."""

    predicted: tuple[float, ...]
    compiled: tuple[int, ...]

    @property
    def errors_ratio(self) -> tuple[float, ...]:
        """Absolute, relative to the compiled cost."""
        return tuple(abs(ours / theirs - 1) if theirs else 0.0 for ours, theirs in zip(self.predicted, self.compiled, strict=True))

    @property
    def median_ratio(self) -> float:
        """The middle one of the errors; 0 where nothing was left to be judged by."""
        return statistics.median(self.errors_ratio) if self.compiled else 0.0

    def sentence(self) -> str:
        """How wrong a predicted compiled cost is."""
        if not self.compiled:
            return "predicted compiled cost: not judged, for every legal configuration is compiled"
        return (
            f"predicted compiled cost: median error {100 * self.median_ratio:.2f} %, largest {100 * max(self.errors_ratio):.2f} %, "
            f"on {len(self.compiled)} compiled networks that it was not made from"
        )


@dataclass
class CompiledCosts:
    """``KnownCost`` in the compiler's own unit, made from compilations of one network, its dense one among them.

    The cost of a layer is that of the cheapest compiled one of its kind that is at least as wide: costs rise with width, in steps that end
    where a wider network was compiled. CampaignError where the dense network was not compiled, for then nothing is known.
    """

    architecture: Architecture
    compilations: Sequence[Compilation]
    _site_map: SiteMap = field(init=False)
    _tables: list[Ints] = field(init=False)  # per class of layers, input x output channels
    _rest: float = field(init=False)  # of stages that belong to no layer
    _whole: dict[bytes, int] = field(init=False)  # compiled networks by their widths

    def __post_init__(self) -> None:
        self._site_map = SiteMap.of(self.architecture)
        ours = [(one, one.config) for one in self.compilations if one.config is not None]
        dense = self.architecture.dense()
        if not any(config == dense for _, config in ours):
            raise CampaignError(f"the unpruned {self.architecture.network} was not compiled; start the campaign again")
        widths = self._site_map.widths([config for _, config in ours])
        self._whole = {row.tobytes(): one.cost for row, (one, _) in zip(widths, ours, strict=True)}
        self._tables = _tables(self._site_map, widths, [one for one, _ in ours])
        names = {site.layer for site in self._site_map.sites}
        self._rest = statistics.median(
            sum(stage.cost for stage in one.stages if _layer(stage.source_layers, names) is None) for one, _ in ours
        )

    def costs(self, widths: Ints) -> Floats:
        """In the compiler's own unit; ``widths`` is n x G channels kept, columns in the order of ``architecture.groups``."""
        widths = np.ascontiguousarray(widths, dtype=np.int64)
        inputs, outputs, present = self._site_map.gather(widths)
        found = np.full(len(widths), self._rest)
        for index, site in enumerate(self._site_map.sites):
            table = self._tables[site.site_class]
            found += np.where(present[:, index], table[inputs[:, index], outputs[:, index]], 0)
        for place, row in enumerate(widths):
            if (whole := self._whole.get(row.tobytes())) is not None:
                found[place] = whole
        return found

    def of(self, config: PruningConfig) -> float:
        """Of one configuration, in the compiler's own unit."""
        return float(self.costs(self._site_map.widths([config]))[0])

    def judged(self, held_out: Iterable[Compilation]) -> CostsJudged:
        """By networks that this was not made from."""
        judged = [(one, one.config) for one in held_out if one.config is not None]
        predicted = self.costs(self._site_map.widths([config for _, config in judged]))
        return CostsJudged(tuple(predicted.tolist()), tuple(one.cost for one, _ in judged))


def layer_costs(one: Compilation, names: set[str]) -> dict[str, int]:
    """The compiled cost of every layer among ``names``: that of its stages, and of those that it shares with layers behind it."""
    found: dict[str, int] = dict.fromkeys(names, 0)
    for stage in one.stages:
        if (layer := _layer(stage.source_layers, names)) is not None:
            found[layer] += stage.cost
    return found


def _layer(sources: Sequence[str], names: set[str]) -> str | None:
    return next((name for name in sources if name in names), None)


def _tables(site_map: SiteMap, widths: Ints, compilations: Sequence[Compilation]) -> list[Ints]:
    """Per class of layers the cost at every pair of widths."""
    inputs, outputs, present = site_map.gather(widths)
    shape = int(inputs.max()) + 1, int(outputs.max()) + 1
    seen = [dict[tuple[int, int], int]() for _ in site_map.classes]
    for place, one in enumerate(compilations):
        costs = layer_costs(one, {site.layer for site in site_map.sites})
        for index, site in enumerate(site_map.sites):
            if present[place, index]:
                pair = int(inputs[place, index]), int(outputs[place, index])
                known = seen[site.site_class]
                known[pair] = max(costs[site.layer], known.get(pair, 0))
    return [_filled(known, shape) for known in seen]


def _filled(seen: dict[tuple[int, int], int], shape: tuple[int, int]) -> Ints:
    """What was seen, and between it the least cost of what is at least as wide."""
    exact = np.full(shape, UNKNOWN, dtype=np.int64)
    for pair, cost in seen.items():
        exact[pair] = cost
    least = np.minimum.accumulate(np.minimum.accumulate(exact[::-1, ::-1], axis=0), axis=1)[::-1, ::-1]
    return np.where(exact == UNKNOWN, least, exact)
