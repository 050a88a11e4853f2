"""The gate in a pytest run: what is known before anything is measured, what is judged after it, and what the run ends with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.compare import answers, applied, baseline, comparing, figures
from harness.compare.applied import Names
from harness.compare.baseline import Baseline, Counterpart
from harness.compare.gate import Gate
from harness.compare.limits import Limits, limits
from harness.devices.samples import Subject
from harness.devices.session import Session
from harness.errors import UsageError
from harness.latency.verdict.finding import Judged
from harness.records import comparability
from harness.records.accuracy import DeviceAccuracy
from harness.records.architecture import Architecture
from harness.records.comparability import Pairs
from harness.records.measurement import Measurement
from harness.runner import naming, options, subjects

PYPROJECT = "pyproject.toml"


@dataclass
class Gating:
    """The gate of one run. baseline: the file of ``--baseline``, read before anything is measured; None without one."""

    config: pytest.Config
    gate: Gate
    baseline: Baseline | None
    allowed: frozenset[str]
    refused: set[str] = field(default_factory=set)  # tests that could not ask
    failed: set[str] = field(default_factory=set)  # tests that failed otherwise

    @classmethod
    def of(cls, config: pytest.Config) -> Gating:
        """The gate that the options ask for; HarnessError for what no run could use."""
        allowed = baseline.allowed_keys(config.getoption("--allow-different"))
        path = config.getoption("--baseline")
        read = None if path is None else Baseline.read(path, allowed)
        known = () if read is None else {row.network for row in read.rows()}
        names = Names(subjects.called(config), known, options.device_names(config))
        try:
            notes = applied.check(config.rootpath / PYPROJECT, names)
        except UsageError as error:
            if not config.getoption("--tell-only"):
                raise
            notes = (str(error),)  # a campaign does not end after its long work because somebody's limits are misspelt
        return cls(config, Gate(config.getoption("--strict-verdict"), notes=list(notes)), read, allowed)

    def limits(self, network: str, device: str) -> Limits:
        """What pyproject.toml lets pass; UsageError for a limit that is none."""
        return limits(network, self.config.rootpath / PYPROJECT, device)

    def check_layers(self, session: Session, architecture: Architecture) -> None:
        """Refuse, before anything is measured, a limit of a layer that the network does not have: UnknownName."""
        applied.check_layers(self.config.rootpath / PYPROJECT, architecture, session.info.name)

    def check(self, session: Session, subject: Subject, architecture: Architecture) -> None:
        """The same, and refuse what the baseline cannot answer: RecordError or ConditionsDiffer."""
        self.check_layers(session, architecture)
        if self.baseline is not None:
            self.baseline.counterpart(subject.network, self._known(session, subject, architecture))

    def confirmed(self, ours: Measurement, architecture: Architecture, again: Callable[[], Measurement]) -> Measurement:
        """Ours, measured again before it is called slower than the baseline."""
        before, same_within = self._before(ours, architecture), float(self.config.getoption("--same-within"))
        return comparing.confirmed(ours, before, self._limits(ours), same_within, again)

    def against_baseline(self, ours: Measurement, architecture: Architecture) -> tuple[Judged, ...]:
        """Ours against the row of the baseline that is like it, with its layers and whatever else a limit is set for."""
        before = self._before(ours, architecture)
        allowed, same_within = self._limits(ours), float(self.config.getoption("--same-within"))
        figures.check_baseline(before.measurement, allowed)
        found = comparing.stored(ours, before, allowed, same_within)
        self.gate.see_layers(allowed, found[1:])
        return (*found, *figures.relative(ours, before, allowed, same_within))

    def in_turns(self, ours: Measurement, other: Measurement) -> tuple[Judged, ...]:
        """Ours against a network measured in turns with it."""
        for one in (ours, other):
            baseline.check_own(comparability.circumstances(one, None), self.allowed)
        allowed = self._limits(ours)
        found = comparing.interleaved(ours, other, allowed, float(self.config.getoption("--same-within")))
        self.gate.see_layers(allowed, found[1:])
        return found

    def bounds(self, ours: Measurement) -> tuple[Judged, ...]:
        """Ours against the absolute limits that are set."""
        return figures.bounds(ours, self._limits(ours))

    def answers(self, judged: DeviceAccuracy, classes: int) -> tuple[Judged, ...]:
        """An accuracy against its floor, and against what the host and the baseline answered."""
        allowed = self.limits(judged.network, judged.device)
        before = () if self.baseline is None else self.baseline.file.accuracies
        return (*answers.bounds(judged, classes, allowed), *answers.since(judged, before, allowed))

    def judge(self, of: str, found: Sequence[Judged]) -> None:
        """Keep what was found of a measurement; fails the test where it fails the gate, unless the gate is to tell only."""
        failing = self.gate.keep(of, found)
        if failing and not self.config.getoption("--tell-only"):
            pytest.fail("\n".join(one.sentence() for one in failing), pytrace=False)

    def _before(self, ours: Measurement, architecture: Architecture) -> Counterpart:
        if self.baseline is None:
            raise UsageError("no --baseline=FILE was given")
        told = comparability.circumstances(ours, architecture)
        baseline.check_own(told, self.allowed)
        return self.baseline.counterpart(ours.network, told)

    def _limits(self, ours: Measurement) -> Limits:
        return self.limits(ours.network, ours.conditions.device.name)

    def _known(self, session: Session, subject: Subject, architecture: Architecture) -> Pairs:
        info, protocol = session.info, options.protocol(self.config)
        return (
            ("device", info.name),
            ("model", info.model),
            ("runtime", info.runtime),
            ("runtime_version", info.runtime_version),
            ("simulated", str(info.simulated)),
            ("host", info.host),
            ("batch_size", str(naming.batch_size(self.config))),
            ("input_shape", comparability.shape(architecture)),
            (comparability.CONFIGURATION, comparability.configuration(subject.config, architecture)),
            (comparability.CONTENDER, subject.label or comparability.NO_CONTENDER),
            ("pace", f"{protocol.pace_hz:g} Hz" if protocol.pace_hz else comparability.TIGHT_LOOP),
            ("sustained", f"{protocol.sustained_s:g} s" if protocol.sustained_s else comparability.NOT_SUSTAINED),
        )


def write_files(config: pytest.Config, gate: Gate) -> None:
    """The files of ``--gate-junit`` and ``--gate-markdown``."""
    gate.write(*places(config))


def places(config: pytest.Config) -> tuple[Path | None, Path | None]:
    """Where the gate's table goes as JUnit and as Markdown."""
    return config.getoption("--gate-junit"), config.getoption("--gate-markdown")
