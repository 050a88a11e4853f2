"""The stored measurements that a campaign needs: found on disk, or made by running the bench suite, which it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from harness.devices import spec
from harness.devices.session import Device
from harness.errors import CampaignError, RecordError
from harness.latency.explanation import width_series
from harness.latency.model import proxies
from harness.latency.model.predictor import LatencyPredictor
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import DeviceInfo
from harness.records.measurement import Measurement
from harness.records.quantisation import IN_FLOAT, in_float_note
from search.records.trial import KnownCost
from search.space.bench_run import Bench, Say, run_bench, shown
from search.space.screened_latency import LatencyByPrecision, LatencyBySize, ScreenedLatency

SUITES = ("test_network_latency.py", "test_layer_latency.py", "test_predictor.py")


@dataclass(frozen=True)
class Stored:
    """A benchmark file with its contents and the predictor fitted on it.

    file: with the swept widths of another file, where there were some; they are judged, never fitted on. others: the same of further
    precisions, and of all of them at further sizes of the pictures, in the order in which they were asked for.
    """

    path: Path
    file: BenchmarkFile
    predictor: LatencyPredictor
    widths_path: Path | None = None
    others: tuple[Stored, ...] = ()

    @property
    def precision(self) -> str:
        """What the networks were asked to run in."""
        return self.predictor.conditions.precision

    @property
    def size(self) -> str:
        """Height and width of the pictures that they ran on, as ``HxW``."""
        _, height, width = self.predictor.architecture.input_shape
        return f"{height}x{width}"

    def named(self, sizes: Sequence[str]) -> str:
        """The precision, and the size where there are ``sizes``, for a person."""
        return f"{self.precision} at {self.size}" if sizes else self.precision

    @property
    def known(self) -> KnownCost:
        """What is known of any network's latency, in each precision and at each size that was measured."""
        by_size: dict[str, dict[str, KnownCost]] = {}
        for one in (self, *self.others):
            by_size.setdefault(one.size, {})[one.precision] = ScreenedLatency(one.predictor)
        found = {size: LatencyByPrecision(known) if len(known) > 1 else known[self.precision] for size, known in by_size.items()}
        return LatencyBySize(found) if len(found) > 1 else found[self.size]

    @property
    def error_ratio(self) -> float:
        """The predictor's mean held-out error; 0 where nothing was held out."""
        return 0.0 if self.predictor.held_out is None else self.predictor.held_out.mape_ratio

    def keep_all(self, path: Path) -> Stored:
        """Put swept widths and other precisions into the copy of the measurements at ``path``, and return what it answers from now on.

        Which is what a campaign that is resumed reads there: what was measured in one precision may help to tell another's latencies.
        """
        each = (self, *self.others)
        if self.widths_path is None and not self.others:
            return self
        self._join(path)
        sizes = tuple(dict.fromkeys(one.predictor.architecture for one in each))
        return read(path, sizes[0], *dict.fromkeys(one.precision for one in each), sizes=sizes[1:])

    def _join(self, path: Path) -> None:
        found: list[Measurement] = []
        known: list[Architecture] = []
        for one in (self, *self.others):  # one file may hold several
            digest, sizes = one.predictor.architecture.digest, {other.size for other in (self, *self.others)}
            ours = _of_precision(one.file, one.precision).measurements
            found += [m for m in ours if len(sizes) == 1 or m.architecture_digest == digest]
            known += one.file.architectures
        distinct = {architecture.digest: architecture for architecture in known}
        learnt = (m for one in (self, *self.others) for m in one.file.learnt_from)
        apart = tuple(m for m in dict.fromkeys(learnt) if m not in found)
        file = replace(self.file, measurements=tuple(found), architectures=tuple(distinct.values()), learnt_from=apart)
        benchmark_json.write(path, file)


def find_or_measure(bench: Bench, architecture: Architecture, designs: int, say: Say) -> Stored:
    """The newest stored measurements of this architecture on this device, or new ones.

    Stored ones are taken only when they are about the same architecture and were taken on this very device with this
    runtime and precision; what is passed over is said. Those that predict worse than ``bench.max_predictor_error`` are measured again, and
    the better ones taken. DeviceError or CampaignError when they cannot be made.
    """
    with Device(spec.find(bench.device)).open() as session:
        present = session.info
    stored = _newest(bench, architecture, present, say)
    if stored is not None and stored.error_ratio <= bench.max_predictor_error:
        return stored
    if stored is not None:
        limit = bench.max_predictor_error
        say(f"latencies: they predict with a mean error of {stored.error_ratio:.1%}, beyond {limit:.1%}: measuring again")
    path = _free(bench.folder, bench.stem)
    run_bench(SUITES, path, [*bench.options(), f"--designs={designs}"], say)
    new, reason = _usable(path, architecture, bench, present)
    if new is None:
        raise CampaignError(f"the measurements just made in {path} cannot be used: {reason}")
    better = new if stored is None or new.error_ratio < stored.error_ratio else stored
    return _with_widths(better, bench.folder / "widths", say)


def find(bench: Bench, architecture: Architecture, designs: int, say: Say) -> Stored:
    """The newest stored measurements of this architecture, for a machine without the device; CampaignError when there are none.

    They are taken as they are: nobody can compare them with a device that is elsewhere.
    """
    spec.find(bench.device)
    stored = _newest(bench, architecture, None, say)
    if stored is None:
        command = shown(SUITES, [*bench.options(), f"--designs={designs}"], bench.folder / "NAME.json")
        raise CampaignError(f"no measurements of this network in {bench.folder}; make them where the device is, and copy them: {command}")
    return stored


def read(path: Path, architecture: Architecture, *precisions: str, sizes: Sequence[Architecture] = ()) -> Stored:
    """The measurements that a campaign took with it; RecordError or LatencyUnknown when they do not fit the network.

    sizes: the architecture at every further size of the pictures.
    """
    file = benchmark_json.read(path)
    each = ((there, one) for there in (architecture, *sizes) for one in precisions)
    first, *others = (Stored(path, _of_precision(file, one), _fit(file, there, one)) for there, one in each)
    return replace(first, others=tuple(others)) if others else replace(first, file=file)


def _of_precision(file: BenchmarkFile, precision: str) -> BenchmarkFile:
    return replace(file, measurements=tuple(m for m in file.measurements if m.conditions.precision == precision))


def _newest(bench: Bench, architecture: Architecture, present: DeviceInfo | None, say: Say) -> Stored | None:
    """The newest stored measurements that can be used; what is passed over is said."""
    for path in sorted(bench.folder.glob("*.json"), key=lambda found: found.stat().st_mtime, reverse=True):
        stored, reason = _usable(path, architecture, bench, present)
        if stored is not None:
            say(f"latencies: {path} ({len(stored.file.measurements)} measured networks)")
            return _with_widths(stored, bench.folder / "widths", say)
        say(f"latencies: passing over {path}: {reason}")
    return None


def _usable(path: Path, architecture: Architecture, bench: Bench, present: DeviceInfo | None) -> tuple[Stored | None, str]:
    try:
        file = benchmark_json.read(path)
    except RecordError as error:
        return None, str(error)
    precision = bench.precision
    ours = [m for m in file.measurements if m.architecture_digest == architecture.digest and m.conditions.precision == precision]
    designed = [m for m in ours if m.role == "design"]
    if not designed:
        return None, f"no designed {precision} networks of this architecture in it"
    asked, stayed = in_float_note(bench.in_float), dict(designed[0].notes).get(IN_FLOAT, "")
    if asked != stayed:
        return None, f"taken with {stayed or 'no layer'} in float, wanted is {asked or 'none'}"
    taken = designed[0].conditions.device
    for key in ("model", "runtime", "runtime_version"):
        if present is not None and getattr(taken, key) != getattr(present, key):
            return None, f"taken with {key} {getattr(taken, key)}, this is {getattr(present, key)}"
    return Stored(path, file, _fit(file, architecture, precision)), ""


def _with_widths(stored: Stored, folder: Path, say: Say) -> Stored:
    """The same with the newest swept widths of this network that were taken under the same conditions."""
    for path in sorted(folder.glob("*.json"), key=lambda found: found.stat().st_mtime, reverse=True):
        try:
            swept = _swept(benchmark_json.read(path), stored.predictor)
        except RecordError as error:
            say(f"widths: passing over {path}: {error}")
            continue
        if swept:
            say(f"widths: {path} ({len(swept)} measured networks)")
            file = replace(stored.file, measurements=(*stored.file.measurements, *swept))
            return replace(stored, file=file, widths_path=path)
    return stored


def _swept(file: BenchmarkFile, predictor: LatencyPredictor) -> tuple[Measurement, ...]:
    digest, conditions = predictor.architecture.digest, predictor.conditions
    ours = [m for m in file.measurements if m.role == width_series.ROLE and m.architecture_digest == digest]
    return tuple(m for m in ours if m.conditions.precision == conditions.precision and not m.conditions.differences(conditions))


def _fit(file: BenchmarkFile, architecture: Architecture, precision: str) -> LatencyPredictor:
    """Of one precision; where few were measured in it, what the file says of others may help."""
    ours = [m for m in file.measurements if m.architecture_digest == architecture.digest and m.role != width_series.ROLE]
    fitted_on = [m for m in ours if m.conditions.precision == precision]
    with threadpool_limits(limits=1, user_api="blas"):  # small systems: on a busy machine with many threads they only wait
        return LatencyPredictor.fit(architecture, fitted_on, proxies.of_file(file, fitted_on))


def _free(folder: Path, stem: str) -> Path:
    names = [f"{stem}.json", *(f"{stem}-{number}.json" for number in range(2, 1000))]
    return next(folder / name for name in names if not (folder / name).exists())
