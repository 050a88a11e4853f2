"""Two benchmark files against each other, row by row, as the live gate would: the same conditions, limits and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.compare import answers, applied, baseline, comparing, figures
from harness.compare.applied import Names
from harness.compare.baseline import Baseline
from harness.compare.gate import Gate, named
from harness.compare.limits import limits
from harness.errors import ConditionsDiffer, RecordError
from harness.latency.verdict.finding import Judged
from harness.pages.findings import Refusal
from harness.records import comparability
from harness.records.accuracy import DeviceAccuracy
from harness.records.comparability import Pairs
from harness.records.measurement import Measurement


@dataclass(frozen=True)
class Comparison:
    """What is asked of two files.

    pyproject: holds the limits. strict_conditions: also what is told beside the enforced conditions must agree, and rows that only one
    file has are refused.
    """

    before: Baseline
    after: Baseline
    pyproject: Path
    same_within: float
    strict_conditions: bool = False

    def judge(self, gate: Gate) -> None:
        """Ask for every row of the later file; RecordError where both files hold one and the same run."""
        self._refuse_the_same_run()
        gate.notes += applied.check(self.pyproject, self._names())
        if not self.strict_conditions:
            gate.notes += [f"{self.after.path} {told}" for told in self.swapped()]
        for ours in latest(self.after):
            gate.ask(named(ours), lambda ours=ours: self._judged(ours, gate))  # type: ignore[misc]
        for answered in self.after.file.accuracies:
            of = f"{answered.network} on {answered.device}, {answered.effective_precision}"
            gate.ask(of, lambda answered=answered: self._answered(answered))  # type: ignore[misc]
        if self.strict_conditions:
            gate.refusals += [Refusal(str(self.after.path), told) for told in self.swapped()]
            known = {m.network for m in self.after.rows()}
            for lost in sorted({m.network for m in self.before.rows()} - known):
                gate.refusals.append(Refusal(lost, f"is in {self.before.path} only; measure it, or leave out --strict-conditions"))

    def swapped(self) -> tuple[str, ...]:
        """A sentence where the later file was measured first throughout: what is called faster would be slower."""
        taken = [{m.conditions.before.taken_at for m in file.rows()} for file in (self.before, self.after)]
        if max(taken[1]) >= min(taken[0]):
            return ()
        return (f"was measured before {self.before.path}, which is taken for the baseline; swap the two if that is not meant",)

    def _names(self) -> Names:
        files = (self.before, self.after)
        devices = {m.conditions.device.name for file in files for m in file.rows()}
        devices |= {one.device for file in files for one in file.file.accuracies}
        return Names({m.network for m in self.after.rows()}, {m.network for m in self.before.rows()}, devices)

    def _judged(self, ours: Measurement, gate: Gate) -> tuple[Judged, ...]:
        if architecture := self.after.architecture(ours):
            applied.check_layers(self.pyproject, architecture, ours.conditions.device.name)
        told = self.after.told(ours)
        baseline.check_own(told, self.after.allowed)
        before = self.before.counterpart(ours.network, told)
        if self.strict_conditions:
            _check_told(ours, before.measurement, self.after.allowed)
        allowed = limits(ours.network, self.pyproject, ours.conditions.device.name)
        figures.check_baseline(before.measurement, allowed)
        found = comparing.stored(ours, before, allowed, self.same_within)
        gate.see_layers(allowed, found[1:])
        return (*found, *figures.relative(ours, before, allowed, self.same_within), *figures.bounds(ours, allowed))

    def _answered(self, ours: DeviceAccuracy) -> tuple[Judged, ...]:
        allowed = limits(ours.network, self.pyproject, ours.device)
        classes = next((one.classes for one in self.after.file.architectures if one.network == ours.network), None)
        own = answers.bounds(ours, classes, allowed)
        return (*own, *answers.since(ours, self.before.file.accuracies, allowed))

    def _refuse_the_same_run(self) -> None:
        known = {(m.artefact_digest, m.conditions.before.taken_at) for m in self.before.rows()}
        if all((m.artefact_digest, m.conditions.before.taken_at) in known for m in self.after.rows()):
            raise RecordError(f"{self.after.path} holds the same run as {self.before.path}; give files of two runs")


def latest(file: Baseline) -> tuple[Measurement, ...]:
    """Of every network, taken under the same conditions, the row with layers, or the latest one."""
    chosen: dict[tuple[str, Pairs], Measurement] = {}
    for one in sorted(file.rows(), key=lambda one: (bool(one.layers), one.conditions.before.taken_at)):
        chosen[one.network, file.told(one)] = one
    return tuple(chosen.values())


def _check_told(ours: Measurement, before: Measurement, allowed: frozenset[str]) -> None:
    """ConditionsDiffer for what is only told: versions, Python, what the device tells of itself."""
    pairs = comparability.told_beside(ours), comparability.told_beside(before)
    keys = sorted({key for found in pairs for key, _ in found})
    mine, theirs = (dict(found) for found in pairs)
    differing = [(key, mine.get(key, "none"), theirs.get(key, "none")) for key in keys if mine.get(key) != theirs.get(key)]
    if refused := [one for one in differing if one[0] not in allowed]:
        raise ConditionsDiffer(refused)
