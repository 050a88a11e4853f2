"""What the fixtures of other repositories do: open a device, measure a model, compare two, keep what was measured."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from harness.compare import applied, comparing
from harness.compare.applied import Names
from harness.compare.baseline import Baseline
from harness.compare.limits import Limits, limits
from harness.devices import session as device_session
from harness.devices import spec
from harness.devices.measure import ADVISED_ROUNDS, Protocol, Subject, comparison, measure, measure_interleaved
from harness.devices.session import Session
from harness.doctor import examination
from harness.errors import HarnessError, UsageError
from harness.exported import Exported
from harness.latency.verdict.finding import Finding
from harness.latency.verdict.judgement import ADVISED_PAIRS, SAME_WITHIN
from harness.networks import export
from harness.pages import tables
from harness.records import benchmark_json, comparability
from harness.records.architecture import Architecture
from harness.records.measurement import Measurement
from harness.runner.collected import Collected

LEAST_COLUMNS = 80  # narrower, no table is readable
DEFAULT_PRECISION = "f32"

Model = Path | str | nn.Module


def check(config: pytest.Config, devices: Sequence[str]) -> None:
    """End the run, in one line and with exit code 2, for options that no test could use."""
    rounds, file = config.getoption("espalier_rounds"), config.getoption("espalier_json")
    try:
        for name in devices:
            spec.find(name)
        if rounds is not None:
            Protocol(rounds=rounds)
        if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
            raise UsageError(f"--espalier-json={file}: give a file in a folder that exists")
    except HarnessError as error:
        pytest.exit(str(error), returncode=error.exit_code)


class Measuring:
    """What one run measures: the options, and all that was measured so far."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.collected = config, Collected()
        self.findings: list[Finding] = []
        self._pyproject = config.rootpath / "pyproject.toml"
        self._asked: set[str] = set()  # networks whose limits a test wanted

    @contextmanager
    def opened(self, name: str) -> Iterator[Session]:
        """A session on a device, by its name; UsageError in one of several processes, which would disturb each other."""
        if hasattr(self.config, "workerinput"):  # how pytest-xdist marks its workers
            raise UsageError("latency is measured by one process alone; leave these tests to a run without pytest-xdist, or give -n 0")
        with device_session.Device(spec.find(name)).open() as session:
            examination.note_unready(session)
            yield session

    def limits(self, network: str, device: str = "") -> Limits:
        """What ``[tool.espalier.limits]`` of the repository's pyproject.toml allows a network, on a device or on any."""
        if not self._asked:
            applied.check(self._pyproject, Names())
        self._asked.add(network)
        return limits(network, self._pyproject, device)

    def on(self, session: Session) -> Measured:
        """The functions of one device."""
        return Measured(self, session)

    def tell(self, terminal: Any) -> None:
        """The table of what was measured, and what was found of pairs."""
        kinds = [[one for one in self.collected.measurements if one.provenance == kind] for kind in ("measured", "SIMULATED")]
        if told := [tables.networks(alike) for alike in kinds if alike]:
            terminal.write_line("")
            terminal.write(tables.text(told, max(LEAST_COLUMNS, shutil.get_terminal_size().columns)))
        for finding in self.findings:
            terminal.write_line(finding.sentence())
        for note in applied.never_asked(self._pyproject, self._asked) if self._asked else ():
            terminal.write_line(note)

    def write(self) -> None:
        """The file of ``--espalier-json``."""
        file = self.config.getoption("espalier_json")
        if file is not None and self.collected.measurements:
            benchmark_json.write(file, self.collected.file())


@dataclass(frozen=True)
class Measured:
    """``measure`` and ``compare`` on one device."""

    run: Measuring
    session: Session

    def measure(
        self,
        model: Model,
        *,
        input_shape: tuple[int, int, int] | None = None,
        batch_size: int = 1,
        precision: str | None = None,
        rounds: int | None = None,
        name: str | None = None,
        layers: bool = False,
    ) -> Measurement:
        """Latency of a model, one inference after the other.

        model: an ONNX file, or a torch module with input_shape, channels x height x width. precision, rounds: those of the options,
        or f32 and 500. name: what tables and stored files call it, the file's or the class's by default. layers: times of its layers,
        too. UsageError for what cannot be read, ModelRefused for what the device cannot run.
        """
        subject, architecture = _subject(model, input_shape, batch_size, name)
        asked = self.run.config.getoption("espalier_rounds") if rounds is None else rounds
        protocol = Protocol() if asked is None else Protocol(rounds=asked)
        protocol = protocol if layers else replace(protocol, profile_compiles=0)
        found = measure(self.session, subject, protocol, precision=self._precision(precision), batch_size=batch_size)
        return self._keep(found, architecture)

    def compare(
        self,
        model: Model,
        other: Model,
        *,
        input_shape: tuple[int, int, int] | None = None,
        batch_size: int = 1,
        precision: str | None = None,
        rounds: int | None = None,
        name: str | None = None,
        limit: float | None = None,
        same_within: float = SAME_WITHIN,
    ) -> Finding:
        """Whether ``model`` is slower than ``other``: another model, measured in turns with it, or a file of ``--espalier-json``.

        limit: how much slower is let pass, as a ratio; by default the repository's own. The Finding's ``beyond`` tells whether it is
        slower by more, its ``outcome`` what can be said, its ``sentence()`` both in words.
        """
        subject, architecture = _subject(model, input_shape, batch_size, name)
        allowed = self.run.limits(subject.network, self.session.spec.name)
        allowed = allowed if limit is None else replace(allowed, network=limit)
        if isinstance(other, Path | str) and Path(other).suffix == ".json":
            ours = self.measure(model, input_shape=input_shape, batch_size=batch_size, precision=precision, rounds=rounds, name=name)
            before = Baseline.read(Path(other)).counterpart(ours.network, comparability.circumstances(ours, architecture))
            finding, *_ = comparing.stored(ours, before, allowed, same_within)
        else:
            theirs, _ = _subject(other, input_shape, batch_size, None)
            asked = self.run.config.getoption("espalier_rounds") if rounds is None else rounds
            protocol = comparison(asked or ADVISED_ROUNDS, ADVISED_PAIRS)
            subjects = [subject, replace(theirs, label=theirs.label or f"{theirs.network} (other)")]
            pair = measure_interleaved(self.session, subjects, protocol, precision=self._precision(precision), batch_size=batch_size)
            finding, *_ = comparing.interleaved(self._keep(pair[0], architecture), pair[1], allowed, same_within)
        self.run.findings.append(finding)
        return finding

    def _precision(self, asked: str | None) -> str:
        return str(asked or self.run.config.getoption("espalier_precision") or DEFAULT_PRECISION)

    def _keep(self, measurement: Measurement, architecture: Architecture) -> Measurement:
        self.run.collected.measurements.append(measurement)
        self.run.collected.architectures.append(architecture)
        return measurement


def _subject(model: Model, input_shape: tuple[int, int, int] | None, batch_size: int, name: str | None) -> tuple[Subject, Architecture]:
    """What a device is sent of a model, and the layers that it has."""
    if isinstance(model, nn.Module):
        if input_shape is None:
            raise UsageError(f"a {type(model).__name__} is measured for pictures of a size; give input_shape=(channels, height, width)")
        read = Exported.of(export.export(model, input_shape, name or type(model).__name__, batch_size))
    elif isinstance(model, Path | str):
        read = Exported.read(Path(model), name, batch_size, input_shape)
    else:
        raise UsageError(f"a model of type {type(model).__name__} cannot be measured; give the path of an ONNX file or a torch module")
    return read.subject(), read.architecture
