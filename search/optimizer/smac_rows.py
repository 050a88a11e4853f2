"""Rows of the search space as SMAC's configurations."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace

from search.records.trial import Floats
from search.space.space import SearchSpace


class RowConfiguration(Configuration):  # type: ignore[misc]
    """A Configuration that compares and hashes by its vector: SMAC compares every new one with all old ones."""

    @cached_property
    def _bytes(self) -> bytes:
        return bytes(self.get_array().tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and self._bytes == bytes(other.get_array().tobytes())

    def __hash__(self) -> int:
        return hash(self._bytes)


def configuration(space: SearchSpace, configspace: ConfigurationSpace, row: Floats, origin: str) -> Configuration:
    """SMAC's form of one row. origin: how it came about, for ``ask`` to read back."""
    vector = np.empty(space.dimensions)
    vector[space.order(configspace)] = row
    config = RowConfiguration(configspace, vector=vector)
    config.origin = origin
    return config
