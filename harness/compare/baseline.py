"""Which measurement of an earlier file is the one to compare with: the same network, cut alike, taken under the same conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import ConditionsDiffer, HarnessError, RecordError, UsageError
from harness.records import benchmark_json, comparability
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.comparability import Differing, Pairs
from harness.records.measurement import Measurement

ROLE = "network"  # designed and narrowed networks, measured by the hundred, are no baselines


@dataclass(frozen=True, slots=True)
class Counterpart:
    """The earlier measurement, and what was allowed to differ."""

    measurement: Measurement
    differing: Differing


@dataclass(frozen=True)
class Baseline:
    """A benchmark file of an earlier run. allowed: keys of conditions that the user lets differ."""

    path: Path
    file: BenchmarkFile
    allowed: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, allowed: frozenset[str] = frozenset()) -> Baseline:
        """RecordError where the file cannot be read, is not ours, or holds no network."""
        found = cls(path, benchmark_json.read(path), allowed)
        if not found.rows():
            raise RecordError(f"{path} holds no network's measurement; write one with: pytest bench/ --benchmark-json={path}")
        return found

    def rows(self) -> tuple[Measurement, ...]:
        """What can be compared with."""
        return tuple(m for m in self.file.measurements if m.role == ROLE)

    def counterpart(self, network: str, ours: Pairs) -> Counterpart:
        """The row of ``network`` whose conditions are ``ours``, as far as those are known yet.

        Of several the one with layers, then the latest. RecordError where the file has none of this network, or where rows that differ
        in what was allowed fit equally well; ConditionsDiffer, naming what differs in the nearest row.
        """
        known = [m for m in self.rows() if m.network == network]
        if not known:
            told = ", ".join(sorted({m.network for m in self.rows()}))
            raise RecordError(
                f"{self.path} holds no measurement of {network}, only of {told}; measure it: pytest bench/ --benchmark-json=FILE"
            )
        found = [Counterpart(m, comparability.differing(ours, self.told(m), self.allowed)) for m in known]
        fitting = [one for one in found if not one.differing.refused]
        if not fitting:
            nearest = min(found, key=lambda one: (len(one.differing.refused), -len(one.measurement.layers)))
            raise ConditionsDiffer(nearest.differing.refused)
        least = min(len(one.differing.excepted) for one in fitting)
        nearest_ones = [one for one in fitting if len(one.differing.excepted) == least]
        if len({one.differing.excepted for one in nearest_ones}) > 1:
            told = "; ".join(sorted({one.differing.exception() for one in nearest_ones}))
            raise RecordError(f"{self.path} holds several measurements of {network} that fit equally well ({told}); give a file with one")
        return max(nearest_ones, key=lambda one: (bool(one.measurement.layers), one.measurement.conditions.before.taken_at))

    def told(self, measurement: Measurement) -> Pairs:
        """The conditions of one of the file's rows."""
        return comparability.circumstances(measurement, self.architecture(measurement))

    def architecture(self, measurement: Measurement) -> Architecture | None:
        """The architecture of one of the file's rows, where the file holds it."""
        return self._by_digest.get(measurement.architecture_digest)

    @cached_property
    def _by_digest(self) -> Mapping[str, Architecture]:
        """The file's architectures, whose digests take longer to make than a row to read."""
        return {one.digest: one for one in self.file.architectures}


def allowed_keys(words: list[str]) -> frozenset[str]:
    """The keys that ``--allow-different`` names, by comma; UsageError for one that is no condition."""
    keys = frozenset(key.strip() for word in words for key in word.split(",") if key.strip())
    if unknown := sorted(keys - set(comparability.ENFORCED)):
        raise UsageError(f"--allow-different={unknown[0]}: no such condition; choose from {', '.join(comparability.ENFORCED)}")
    return keys


def check_own(ours: Pairs, allowed: frozenset[str]) -> None:
    """Refuse a measurement that no baseline could serve: HarnessError where it was throttled."""
    if dict(ours).get(comparability.THROTTLED) == "yes" and comparability.THROTTLED not in allowed:
        raise HarnessError(
            "the device throttled while it was measured; let it cool, give it a fan or a lower power mode, and measure again"
        )
