"""What was measured of the same network under other conditions before: the tables that a predictor of few networks may start from.

Another device, precision or thread count orders networks much as this one does [Lu2021]_; how much of that helps is for
``LatencyPredictor.fit`` to find out, by what its own few measurements say.

.. [Lu2021] B. Lu, J. Yang, W. Jiang, Y. Shi, S. Ren. One proxy device is enough for hardware-aware neural architecture search.
   POMACS 5(3), 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import LatencyUnknown, UsageError
from harness.latency.model.instalments import DESIGN
from harness.latency.model.predictor import HELD_OUT, LatencyPredictor
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.measurement import Measurement


def read(words: str, architecture: Architecture) -> tuple[Measurement, ...]:
    """Networks of ``architecture`` in the benchmark files or campaigns' folders ``words``, by comma.

    UsageError for one that cannot serve, RecordError for one that is no benchmark file.
    """
    found: list[Measurement] = []
    for word in filter(None, (part.strip() for part in words.split(","))):
        path = file_at(Path(word))
        stored = benchmark_json.read(path)
        ours = [m for m in (*stored.measurements, *stored.learnt_from) if m.architecture_digest == architecture.digest]
        if not fitted(architecture, ours):
            size = "x".join(map(str, architecture.input_shape))
            raise UsageError(f"{path} holds too few measured networks of {architecture.network} at {size} to learn from; leave it out")
        found += [m for m in ours if m.role in (DESIGN, HELD_OUT)]
    return tuple(dict.fromkeys(found))


def file_at(path: Path) -> Path:
    """The benchmark file at ``path``: itself, or of a campaign's folder the one in it."""
    return path / "measurements.json" if path.is_dir() else path


def fitted(architecture: Architecture, measurements: Iterable[Measurement]) -> tuple[LatencyPredictor, ...]:
    """A predictor for each set of conditions of which enough was measured, in the order of their first measurement."""
    alike: list[list[Measurement]] = []
    for one in (m for m in measurements if m.architecture_digest == architecture.digest and m.role in (DESIGN, HELD_OUT)):
        there = next((others for others in alike if not others[0].conditions.differences(one.conditions)), None)
        if there is None:
            alike.append([one])
        else:
            there.append(one)
    return tuple(found for found in (_fitted(architecture, taken) for taken in alike) if found is not None)


def of_file(file: BenchmarkFile, ours: Sequence[Measurement]) -> tuple[LatencyPredictor, ...]:
    """Those that a file holds for its measurements ``ours``: what it was told to learn from, and what was measured before them in it."""
    if not ours:
        return ()
    begun = min(m.conditions.before.taken_at for m in ours)
    earlier = (m for m in file.measurements if m.conditions.before.taken_at < begun and m.conditions.differences(ours[0].conditions))
    architecture = file.architecture(ours[0].architecture_digest)
    return fitted(architecture, (*file.learnt_from, *earlier))


def _fitted(architecture: Architecture, taken: Sequence[Measurement]) -> LatencyPredictor | None:
    try:
        return LatencyPredictor.fit(architecture, taken)
    except LatencyUnknown:  # too few
        return None
