"""One network of the final comparison with everything known about it: measured, predicted, lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import CampaignError, HarnessError, LatencyUnknown
from harness.latency.model.predictor import LatencyPredictor
from harness.latency.verdict.judgement import verdict
from harness.latency.verdict.undisturbed import undisturbed_s
from harness.records.accuracy import DeviceAccuracy
from harness.records.measurement import Measurement, Prediction
from harness.records.pruning_config import PruningConfig
from search.records.certainty import Evidence
from search.records.drop import Drop, drop_over_seeds
from search.records.outcome import Contender, Outcome


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """How many times as fast one network is as another, from interleaved measurements.

    times, low, high: baseline's latency over ours, with its 95 % interval; above 1 is faster. outcome: the verdict,
    "faster", "slower", "same" or "cannot tell". smallest_detectable_ratio: the relative difference that would have shown.
    """

    baseline: str
    times: float
    low: float
    high: float
    outcome: str
    smallest_detectable_ratio: float


@dataclass(frozen=True)
class Compared:
    """One network of the final comparison with everything known about it.

    predicted: None where the stored measurements do not say. against_*: None for the baseline itself and where there is
    no such baseline. *_drop: None for the dense network. on_device: None where the device was not asked. predicted_times:
    speed-up over dense by the predictions of both; None for the dense network. predicted_undisturbed_s: the prediction before the usual
    disturbance, one factor for every network, is put on it. untouched_drop: test top-1 lost against the dense network as it came, not
    tuned; None where the campaign does not say. evidence: what was known of its drop without the test split; None for the dense network,
    and where the campaign does not say.
    """

    contender: Contender
    measurement: Measurement
    predicted: Prediction | None
    against_dense: SpeedUp | None
    against_off_the_shelf: SpeedUp | None
    validation_drop: Drop | None
    test_drop: Drop | None
    on_device: DeviceAccuracy | None
    predicted_times: float | None = None
    predicted_undisturbed_s: float | None = None
    untouched_drop: Drop | None = None
    evidence: Evidence | None = None

    @property
    def speed_miss_ratio(self) -> float | None:
        """Predicted speed-up over dense against the measured one, minus 1; None where either is unknown.

        A machine that is faster today than when the designed networks were measured is so for the dense network too.
        """
        if self.predicted_times is None or self.against_dense is None:
            return None
        return self.predicted_times / self.against_dense.times - 1

    @property
    def undisturbed_miss_ratio(self) -> float | None:
        """Predicted over measured latency, minus 1, both without disturbance: the model's own error; None where nothing is predicted."""
        if self.predicted_undisturbed_s is None:
            return None
        return self.predicted_undisturbed_s / undisturbed_s(self.measurement.latency) - 1


def compare(
    told: Outcome, measured: Mapping[str, Measurement], predictor: LatencyPredictor | None, answered: Iterable[DeviceAccuracy]
) -> tuple[Compared, ...]:
    """The compared networks, each with its verdicts, drops and prediction, in the order of ``told``."""
    dense = told.contender("dense")
    published = [contender for contender in told.contenders if contender.role == "off-the-shelf"]
    rival = min(published, key=lambda contender: measured[contender.name].latency.median_s, default=None)
    on_device = {accuracy.artefact_digest: accuracy for accuracy in answered}
    compared = []
    dense_predicted, untouched = _predict(predictor, dense.config), told.untouched
    for contender in told.contenders:
        pruned = contender is not dense
        predicted = _predict(predictor, contender.config)
        compared.append(
            Compared(
                contender=contender,
                measurement=measured[contender.name],
                predicted=predicted,
                against_dense=_speed_up(measured, contender, dense),
                against_off_the_shelf=_speed_up(measured, contender, rival),
                validation_drop=drop_over_seeds(contender.validations, dense.validations, contender.paired_validation) if pruned else None,
                test_drop=drop_over_seeds(contender.tests, dense.tests, contender.paired) if pruned else None,
                on_device=on_device.get(contender.artefact_digest),
                predicted_times=dense_predicted.seconds / predicted.seconds if pruned and dense_predicted and predicted else None,
                untouched_drop=drop_over_seeds(contender.tests, [untouched.test], contender.paired_untouched) if untouched else None,
                evidence=contender.evidence(dense) if pruned else None,
                predicted_undisturbed_s=predicted.seconds / predictor.usual_disturbance if predictor and predicted else None,
            )
        )
    return tuple(compared)


def _predict(predictor: LatencyPredictor | None, config: PruningConfig | None) -> Prediction | None:
    if predictor is None or config is None:
        return None
    try:
        return predictor.predict(config)
    except LatencyUnknown:
        return None


def _speed_up(measured: Mapping[str, Measurement], contender: Contender, baseline: Contender | None) -> SpeedUp | None:
    if baseline is None or contender is baseline:
        return None
    try:
        judged = verdict(measured[contender.name].latency, measured[baseline.name].latency)
    except HarnessError as error:
        raise CampaignError(f"{contender.name} against {baseline.name}: {error}") from error
    return SpeedUp(baseline.name, judged.times, *judged.times_interval, judged.outcome, judged.smallest_detectable)
