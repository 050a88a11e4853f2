"""Legal widths of every group: those that pay on the device, read off its staircases.

A width that was measured by itself is judged by the measured staircase, every other one by the latency model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import LatencyUnknown
from harness.latency.explanation import predicted_widths, width_series
from harness.latency.explanation.staircase import Staircase, UsefulWidth
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.measurement import Measurement

PAYS_RATIO = 0.001  # of the network's latency: a smaller predicted saving is within the model's error
# A predicted step that is none costs the search one more width to choose from; one left out can never be found.
PREDICTED_CERTAIN_SD = 0.0

MEASURED, PREDICTED = "measured", "predicted"


@dataclass(frozen=True)
class LegalWidths:
    """Widths worth trying, from two staircases that never mix their costs.

    predicted: the latency model's, of every group. measured: of the groups that were swept on the device, None where none was.
    """

    architecture: Architecture
    predicted: Staircase
    measured: Staircase | None = None

    def by_group(self) -> dict[str, tuple[int, ...]]:
        """Per group the legal widths, ascending: the dense one among them, 0 only where the branch can go."""
        return {group.name: self._of(group.name, group.channels) for group in self.architecture.groups}

    def next_useful(self, group: str, width: int) -> tuple[UsefulWidth, str] | None:
        """The next width below ``width`` that is faster, what it saves, and "measured" or "predicted"; None where none is.

        LatencyUnknown when nothing is known of ``width``.
        """
        if self.measured is not None and width in self._measured_widths(group):
            found, kind = self.measured.next_useful(group, width), MEASURED
        else:
            found, kind = self.predicted.next_useful(group, width), PREDICTED
        return None if found is None else (found, kind)

    def sentence(self) -> str:
        """How many widths are legal, how many groups were measured for it, and where the first step saves most."""
        counts = [len(widths) for widths in self.by_group().values()]
        swept = sum(bool(self._measured_widths(group.name)) for group in self.architecture.groups)
        told = f"legal widths: {min(counts)} to {max(counts)} in each of {len(counts)} groups"
        told += f", {swept} of them measured" if swept else ", read off the latency model"
        useful = [found for group in self.architecture.groups if (found := self.next_useful(group.name, group.channels)) is not None]
        if not useful:
            return f"{told}; no group is faster when narrower"
        step, kind = max(useful, key=lambda found: found[0].saved)
        channels = self.architecture.group(step.group).channels
        return f"{told}; the first step that saves most: {step.group} {channels} → {step.width}, {step.saved * 1e6:.1f} µs ({kind})"

    def _of(self, group: str, channels: int) -> tuple[int, ...]:
        swept = self._measured_widths(group)
        told = set() if self.measured is None or not swept else set(self.measured.legal_widths(group))
        guessed = {width for width in self.predicted.legal_widths(group) if width not in swept}
        return tuple(sorted({channels, *told, *guessed}))

    def _measured_widths(self, group: str) -> frozenset[int]:
        if self.measured is None or group not in self.measured.groups:
            return frozenset()
        return frozenset(point.width for point in self.measured.points(group))


def of(predictor: LatencyPredictor, measurements: Sequence[Measurement]) -> LegalWidths:
    """From a fitted latency model, and from the swept widths among ``measurements`` that were taken under its conditions."""
    comparable = [m for m in measurements if m.role == width_series.ROLE and not m.conditions.differences(predictor.conditions)]
    try:
        measured = width_series.staircase(predictor.architecture, comparable) if comparable else None
    except LatencyUnknown:  # of another architecture
        measured = None
    return LegalWidths(predictor.architecture, predicted_widths.predicted(predictor, PAYS_RATIO, PREDICTED_CERTAIN_SD), measured)
