"""A gate's answer as a whole: what was judged, what could not be asked, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.compare.limits import Limits
from harness.errors import HarnessError, RecordError
from harness.latency.verdict.finding import Finding, Judged
from harness.pages import findings as page
from harness.pages import layout
from harness.pages.findings import Refusal
from harness.pages.tables import label
from harness.records.measurement import Measurement

MET, FAILED, NOT_ASKED = 0, 1, 2  # exit codes, of the live gate and of the comparison of files


@dataclass
class Gate:
    """Findings and refusals in the order in which they came; strict: whether what is open fails, too; notes: what else is to be told."""

    strict: bool = False
    findings: list[Judged] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _limits: list[Limits] = field(default_factory=list)
    _layers: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether anything was asked."""
        return bool(self.findings or self.refusals)

    def keep(self, of: str, found: Iterable[Judged]) -> tuple[Judged, ...]:
        """Add findings of one measurement; returns those that fail the gate."""
        named = tuple(replace(one, of=of) for one in found)
        self.findings.extend(named)
        return self.failing(named)

    def ask(self, of: str, judge: Callable[[], Iterable[Judged]]) -> None:
        """Add what ``judge`` finds; where it refuses, the refusal."""
        try:
            self.keep(of, judge())
        except HarnessError as error:
            self.refusals.append(Refusal(of, str(error)))

    def failing(self, findings: Iterable[Judged] | None = None) -> tuple[Judged, ...]:
        """Those, of all or of some, that fail the gate."""
        looked_at = self.findings if findings is None else findings
        return tuple(one for one in looked_at if one.beyond or (self.strict and one.undecided))

    def see_layers(self, allowed: Limits, found: Iterable[Finding]) -> None:
        """Which layers were judged by which limits."""
        if names := {one.subject for one in found}:
            self._layers |= names
            self._limits.append(allowed)

    def told(self) -> tuple[str, ...]:
        """The notes, and the layers whose own limit no judged layer met."""
        idle = {name for allowed in self._limits for name in allowed.idle_layers(self._layers)}
        why = "no layer that was judged is called so, nor holds it"
        return (*self.notes, *(f"the limit of layer {name} applied to nothing: {why}" for name in sorted(idle)))

    @property
    def exit_code(self) -> int:
        """1 where a limit was missed, else 2 where something could not be asked, else 0."""
        return FAILED if self.failing() else NOT_ASKED if self.refusals else MET

    def markdown(self) -> str:
        """The whole as a section."""
        return page.markdown(self.findings, self.refusals, self.told())

    def write(self, junit: Path | None, markdown: Path | None) -> None:
        """The files that were asked for; RecordError when a folder refuses one."""
        if junit is not None:
            layout.write(junit, page.junit(self.findings, self.refusals, self.strict).decode())
        if markdown is not None:
            layout.write(markdown, self.markdown())


def named(measurement: Measurement) -> str:
    """A measurement among others of a gate: network, device, and how it ran."""
    told = measurement.conditions
    return f"{label(measurement)} on {told.device.name}, {told.effective_precision}, batch {told.batch_size}"


def append_summary(environment: Mapping[str, str], text: str) -> str:
    """Append to GitHub's step summary where there is one; returns a warning line where it cannot be written, empty otherwise."""
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if not summary or not text:
        return ""
    try:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")  # another section begins on a line of its own
    except OSError as error:
        return f"::warning title=no summary::cannot write {summary} ({error.strerror}); the tables are in this log only"
    return ""


def annotation_lines(environment: Mapping[str, str], gate: Gate) -> list[str]:
    """GitHub's annotations; none elsewhere."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    return page.annotation_lines(gate.findings, gate.refusals, gate.strict, gate.told())


def check_places(*paths: Path | None) -> None:
    """Refuse, before the long work, a file that cannot be written: RecordError."""
    for path in paths:
        if path is not None and (path.is_dir() or (path.parent.exists() and not path.parent.is_dir())):
            raise RecordError(
                f"{path} cannot be written: {'it is a' if path.is_dir() else f'{path.parent} is no'} folder; give another file"
            )
