"""INT8 in a run of the benchmarks: what ``--precision=int8`` makes of every network before it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from torch import Tensor

from harness import pipeline
from harness.devices.measure import Subject
from harness.devices.session import Session
from harness.networks import export
from harness.networks.datasets import Dataset
from harness.networks.export import Artefact
from harness.quantisation import calibration, layerwise, quantising
from harness.quantisation.calibration import Calibration
from harness.quantisation.quantising import Quantised
from harness.records.conditions import INT8
from harness.records.quantisation import quantised_sentence
from harness.runner import int8_options
from harness.runner.collected import Collected
from harness.training import device_accuracy

FOR_LATENCY = ("design", "held-out", "staircase")  # roles of networks that come by the hundred: their scales mean nothing


@dataclass
class Quantising:
    """Subjects of one run as ``--precision`` asks for them: quantised, or as they are.

    dataset: function that gives the images to calibrate with, asked once and only where they are needed.
    """

    config: pytest.Config
    dataset: Callable[[], Dataset]
    _calibration: Calibration | None = None
    _made: dict[tuple[str, str], Quantised] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether the run is in INT8."""
        return bool(self.config.getoption("--precision") == INT8)

    @property
    def calibration(self) -> Calibration:
        """The training images that scales are read off."""
        if self._calibration is None:
            self._calibration = calibration.of(self.dataset(), self.config.getoption("--calibration") or calibration.IMAGES)
        return self._calibration

    def one(self, session: Session, subject: Subject, latency_alone: bool = False) -> Subject:
        """``subject`` as it is to be loaded on ``session``.

        latency_alone: its scales need not mean anything. Neither do they where the images are of another size than the network's.
        """
        if not self.asked:
            return subject
        artefact = pipeline.artefact_of(subject)
        if not quantising.is_quantised(artefact):
            export.check_picture(artefact, "--precision=int8")
        alone = latency_alone or subject.role in FOR_LATENCY
        if alone or quantising.is_quantised(artefact) or artefact.input_shape[1:] != self.calibration.images.shape[1:]:
            return pipeline.in_int8(subject, None, int8_options.quantisation(self.config, session.spec.runtime))
        wanted = int8_options.quantisation(self.config, session.spec.runtime)
        return pipeline.with_int8(subject, self._quantised(session, artefact), wanted)

    def each(self, session: Session, subjects: Sequence[Subject], latency_alone: bool = False) -> list[Subject]:
        """The same of several."""
        return [self.one(session, subject, latency_alone) for subject in subjects]

    def for_accuracy(self, session: Session, artefact: Artefact, collected: Collected) -> Artefact:
        """``artefact`` as it is to be judged on ``session``: the very one that would be timed; told in the run's summary."""
        if not self.asked or quantising.is_quantised(artefact):
            return artefact
        found = self._quantised(session, artefact)
        told = f"{quantised_sentence(found.layers)}; calibrated with {found.calibration.sentence()}; took {found.seconds:.1f} s"
        collected.texts.append(f"{artefact.name} in INT8: {told}")
        return found.artefact

    def _quantised(self, session: Session, artefact: Artefact) -> Quantised:
        """Each network is quantised once for a runtime, within ``--int8-max-drop`` where that was given."""
        key = artefact.digest, session.spec.runtime
        if key not in self._made:
            wanted, points = int8_options.quantisation(self.config, session.spec.runtime), self.config.getoption("--int8-max-drop")
            if points is None:
                self._made[key] = quantising.quantise(artefact, self.calibration, wanted)
            else:
                self._made[key] = self._controlled(session, artefact, points / 100)
        return self._made[key]

    def _controlled(self, session: Session, artefact: Artefact, limit_ratio: float) -> Quantised:
        def answers(of: Artefact, images: Tensor) -> layerwise.Logits:
            return device_accuracy.answers(session, of, images, INT8 if quantising.is_quantised(of) else "f32")

        wanted = int8_options.quantisation(self.config, session.spec.runtime)
        found = layerwise.within(artefact, self.calibration, self.dataset().validation, answers, limit_ratio, wanted)
        return found.quantised
