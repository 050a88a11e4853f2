"""One network of the final comparison with everything known about it: measured, predicted, lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import CampaignError, HarnessError, LatencyUnknown
from harness.latency.model.predictor import LatencyPredictor
from harness.latency.verdict import machine_state
from harness.latency.verdict.judgement import verdicts
from harness.latency.verdict.undisturbed import undisturbed_s
from harness.records.accuracy import DeviceAccuracy
from harness.records.measurement import Latency, Measurement, Prediction
from harness.records.pruning_config import PruningConfig
from search.records.losses.certainty import Evidence
from search.records.losses.drop import Drop, drop_over_seeds
from search.records.outcome import Contender, Outcome
from search.records.trial import RunsIn


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
    and where the campaign does not say. fast_state: the blocks in the machine's fast state, of all compared networks or of none: where
    the machine was loud, medians of all blocks cannot be compared.
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
    fast_state: Latency | None = None

    @property
    def name(self) -> str:
        """Of the network, with what it runs in where that is not what the dense network runs in and the name does not say so."""
        words = [part for part in (self.contender.size, self.contender.precision) if part and f"-{part}" not in self.contender.name]
        return f"{self.contender.name} ({', '.join(words)})" if words else self.contender.name

    @property
    def latency(self) -> Latency:
        """What is quoted, and can be laid beside the other networks'."""
        return self.fast_state or self.measurement.latency

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
    told: Outcome,
    measured: Mapping[str, Measurement],
    predictors: Mapping[RunsIn, LatencyPredictor],
    reference: str,
    answered: Iterable[DeviceAccuracy],
) -> tuple[Compared, ...]:
    """The compared networks, each with its verdicts, drops and prediction, in the order of ``told``.

    predictors: by precision and size, of those that were measured. reference: the precision that the dense network is compared in.
    """
    dense = told.contender("dense")
    published = [contender for contender in told.contenders if contender.role == "off-the-shelf"]
    quoted = machine_state.comparable([measured[contender.name].latency for contender in told.contenders])
    fast = dict(zip([contender.name for contender in told.contenders], quoted or (), strict=False))
    rival = min(at_limit(told, published), key=lambda one: fast.get(one.name, measured[one.name].latency).median_s, default=None)
    others = [contender for contender in told.contenders if contender is not dense]
    on_device = {accuracy.artefact_digest: accuracy for accuracy in answered}
    compared = []
    against_dense = _speed_ups(measured, others, dense)
    against_rival = _speed_ups(measured, [one for one in told.contenders if one is not rival], rival)
    dense_predicted, untouched = _predict(predictors.get(RunsIn(reference)), dense.config), told.untouched
    for contender in told.contenders:
        pruned = contender is not dense
        predictor = predictors.get(RunsIn(contender.precision or reference, contender.size))
        predicted = _predict(predictor, contender.config)
        compared.append(
            Compared(
                contender=contender,
                measurement=measured[contender.name],
                predicted=predicted,
                fast_state=fast.get(contender.name),
                against_dense=against_dense.get(contender.name),
                against_off_the_shelf=against_rival.get(contender.name),
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


def at_limit(told: Outcome, published: Sequence[Contender]) -> Sequence[Contender]:
    """Those that lose no more of the validation pictures than was allowed; all, where none does or no limit was given."""
    dense, limit = told.contender("dense"), told.max_drop_points
    if limit is None:
        return published
    lost = {one.name: drop_over_seeds(one.validations, dense.validations, one.paired_validation).points for one in published}
    return [one for one in published if lost[one.name] <= limit] or published


def _predict(predictor: LatencyPredictor | None, config: PruningConfig | None) -> Prediction | None:
    if predictor is None or config is None:
        return None
    try:
        return predictor.predict(config)
    except LatencyUnknown:
        return None


def _speed_ups(measured: Mapping[str, Measurement], contenders: Sequence[Contender], baseline: Contender | None) -> dict[str, SpeedUp]:
    """Every contender against one baseline, by name; corrected for how many they are."""
    if baseline is None:
        return {}
    try:
        judged = verdicts([(measured[one.name].latency, measured[baseline.name].latency) for one in contenders])
    except HarnessError as error:
        raise CampaignError(f"networks against {baseline.name}: {error}") from error
    return {
        one.name: SpeedUp(baseline.name, found.times, *found.times_interval, found.outcome, found.smallest_detectable)
        for one, found in zip(contenders, judged, strict=True)
    }
