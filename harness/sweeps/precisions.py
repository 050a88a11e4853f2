"""How fast one network is in several precisions on one device: a second of turns there and back again, remembered for that device.

It is a look, not a measurement: it tells whether a precision is worth anything here before hours are spent in it. A flag of the processor
does not tell: some emulate bf16, and take longer.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from harness.devices.replies import Block
from harness.devices.samples import Subject
from harness.devices.session import Loaded, Session
from harness.errors import ModelRefused, UsageError
from harness.files import json_text
from harness.records.conditions import DeviceInfo
from harness.training.speed import answers

KIND = "precision"  # of remembered answer
REFERENCE = "f32"
ROUNDS, RUN_ROUNDS = 24, 2  # turns of each precision; where every turn starts a process, such as trtexec
TURN_S, TURN_INFERENCES, WARM_UP_S = 0.015, 3, 0.05  # short turns: most rounds then lie in one state of a loud machine
QUICK_SHARE = 0.1  # quantile of a turn that stands for it: what disturbs a turn only ever adds
OUTSIDE = 6  # ratios on either side that the interval leaves out: between the 7th and the 18th of 24 the median lies with 98 %
ALIKE = 0.05  # an interval no further from 1 is none that a person would wait for


@dataclass(frozen=True, slots=True)
class PrecisionSpeed:
    """One network in one precision, beside f32.

    effective: what the runtime says it computed in. median_s: seconds an inference. ratio, low, high: of its latency over f32's, the median
    of the turns with an interval. refused: why it cannot be had here; then nothing else is a number.
    """

    precision: str
    effective: str
    median_s: float
    ratio: float
    low: float
    high: float
    refused: str = ""

    @property
    def is_slower(self) -> bool:
        """Whether it certainly takes longer than f32."""
        return self.low > 1.0

    @property
    def is_faster(self) -> bool:
        """Whether it certainly takes less time than f32."""
        return self.high < 1.0

    def sentence(self, device: DeviceInfo) -> str:
        """What it gains or costs there, in one line."""
        where = f"{'this processor' if device.name == 'cpu' else device.name} ({device.model}{', SIMULATED' if device.simulated else ''})"
        if self.refused:
            return f"{where} does not run {self.precision}: {self.refused}"
        named = self.precision if self.effective == self.precision else f"{self.precision} (computed in {self.effective})"
        if self.is_slower or self.is_faster:
            times, word = (self.ratio, "slower") if self.is_slower else (1 / self.ratio, "faster")
            return f"{named} is {times:.2g} times {word} than {REFERENCE} on {where}"
        alike = max(self.high - 1.0, 1.0 - self.low) <= ALIKE
        judged = "no difference" if alike else "too loud a machine to tell them apart at a look"
        return f"{named} takes {self.low:.2f} to {self.high:.2f} of {REFERENCE}'s time on {where}: {judged}"


def compare(session: Session, subjects: Mapping[str, Subject], batch_size: int = 1, fresh: bool = False) -> tuple[PrecisionSpeed, ...]:
    """Every precision of ``subjects`` on an open device, in their order, from the user's cache where this device was asked before.

    subjects: what runs in each precision, f32 among them; the same network under all, or an artefact of its own, as for INT8. fresh: look
    again whatever the cache says. A precision that the device refuses is told, and is no error; UsageError without f32, ModelRefused where
    even that cannot be run.
    """
    if REFERENCE not in subjects:
        raise UsageError(f"{', '.join(subjects) or 'nothing'} cannot be compared with {REFERENCE}; give the network in {REFERENCE} too")
    info = session.info
    told = [info.name, info.model, info.runtime, info.runtime_version, info.host, repr(session.spec.options), str(batch_size)]
    key = (KIND, *told, *(f"{precision} {subject.artefact_digest}" for precision, subject in subjects.items()))
    text, _ = (None, "") if fresh else answers.find(KIND, key)
    if text is not None:
        return tuple(PrecisionSpeed(**one) for one in json_text.parse(text))
    busy = answers.is_busy()
    found = _look(session, subjects, batch_size)
    if not any(one.refused for one in found):  # what is refused today may be installed tomorrow
        answers.keep(KIND, key, json.dumps([asdict(one) for one in found]), busy)
    return found


def worth_searching(speeds: Sequence[PrecisionSpeed]) -> tuple[str, ...]:
    """The precisions that a search among several should choose from: f32, and those that run here and are not certainly slower."""
    return tuple(one.precision for one in speeds if one.precision == REFERENCE or not (one.refused or one.is_slower))


def _look(session: Session, subjects: Mapping[str, Subject], batch_size: int) -> tuple[PrecisionSpeed, ...]:
    loaded: dict[str, Loaded] = {}
    refused: dict[str, str] = {}
    for precision, subject in subjects.items():
        try:
            loaded[precision] = session.load(subject.onnx, subject.network, precision, batch_size=batch_size)
        except ModelRefused as error:
            if precision == REFERENCE:
                raise
            refused[precision] = str(error)
    turns = _turns(loaded)
    for one in loaded.values():
        one.unload()
    nothing = float("nan")
    return tuple(
        PrecisionSpeed(precision, "", nothing, nothing, nothing, nothing, refused[precision])
        if precision in refused
        else _speed(precision, loaded[precision].effective_precision, turns[precision], turns[REFERENCE])
        for precision in subjects
    )


def _turns(loaded: Mapping[str, Loaded]) -> dict[str, list[float]]:
    """Seconds of an inference by every turn of each, in rounds of which every second one goes backwards (A-B-B-A)."""
    rounds = RUN_ROUNDS if any(one.facts.run_s for one in loaded.values()) else ROUNDS
    found: dict[str, list[float]] = {precision: [] for precision in loaded}
    for number in range(rounds):
        order = list(loaded) if number % 2 == 0 else list(loaded)[::-1]
        for precision in order:
            block = loaded[precision].infer(TURN_INFERENCES, TURN_S, WARM_UP_S if number == 0 else 0.0, warmup_rounds=1)
            found[precision].append(_quick_s(block))
    return found


def _quick_s(block: Block) -> float:
    """A turn's quick samples, without those that were preempted where any were not."""
    preempted = set(block.preempted)
    own = [ns for number, ns in enumerate(block.wall_ns) if number not in preempted]
    return float(np.quantile(own or block.wall_ns, QUICK_SHARE)) * 1e-9


def _speed(precision: str, effective: str, turns_s: Sequence[float], reference_s: Sequence[float]) -> PrecisionSpeed:
    ratios = sorted(ours / theirs for ours, theirs in zip(turns_s, reference_s, strict=True))
    outside = OUTSIDE if len(ratios) == ROUNDS else 0
    return PrecisionSpeed(
        precision,
        effective,
        statistics.median(turns_s),
        statistics.median(ratios),
        ratios[outside],
        ratios[len(ratios) - 1 - outside],
    )
