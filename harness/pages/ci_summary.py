"""What a CI runner shows of a run's measurements: a section of Markdown for GitHub's summary."""

from __future__ import annotations

from collections.abc import Sequence

from harness.pages.tables import duration, interval, label
from harness.records.measurement import Measurement


def markdown(measurements: Sequence[Measurement]) -> str:
    """A section with the networks."""
    lines = [
        "### Latency",
        "",
        "| network | device | precision | batch | threads | median | 95 % interval | samples | kind | noise |",
        "|---|---|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for measurement in measurements:
        latency, conditions = measurement.latency, measurement.conditions
        cells = (label(measurement), conditions.device.name, conditions.effective_precision, conditions.batch_size, conditions.threads)
        figures = (duration(latency.median_s), interval(latency), len(latency.samples_s), measurement.provenance)
        lines.append(f"| {' | '.join(map(str, (*cells, *figures, '; '.join(measurement.noise) or 'quiet')))} |")
    return "\n".join(lines) + "\n"
