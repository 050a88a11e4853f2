"""Which part of a network costs what on a device, and what to prune next: figures from stored measurements, never invented ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import RecordError, UsageError
from harness.latency.explanation import advice as explain
from harness.latency.explanation import ledger, shares
from harness.latency.explanation.advice import LEAST_POINTS, Advice, WidthLoss
from harness.latency.explanation.effects import Effect, KindCost, effects, kinds
from harness.latency.explanation.predicted_widths import predicted_series
from harness.latency.explanation.roof import LayerCost
from harness.latency.explanation.shares import MEASURED, PREDICTED, Account
from harness.latency.explanation.staircase import Staircase, WidthCost
from harness.latency.model.predictor import LatencyPredictor
from harness.records.accuracy import WidthAccuracy
from harness.records.measurement import Measurement
from search.records.losses.drop import drop

ESTIMATED = "estimated"  # of accuracies: by the surrogate, from a campaign's trials


@dataclass(frozen=True)
class Analysis:
    """Accuracy lost when one group alone is narrowed, and where it comes from.

    kind: "measured" on the validation split, or "estimated" by a campaign's surrogate. least_points: the smallest loss that
    can be told. told: a sentence about it.
    """

    kind: str
    losses: tuple[WidthLoss, ...]
    least_points: float
    told: str


@dataclass(frozen=True)
class Explanation:
    """Everything that is known about a dense network's costs on a device.

    account: its latency, divided. series: what the savings were read off, "measured" or "predicted" widths. analysis: None where
    no accuracy is known. notes: what is missing or doubtful, one sentence each. provenance: of all latencies, "measured" or
    "SIMULATED"; predictions rest on those.
    """

    network: str
    device: str
    provenance: str
    account: Account
    series: str
    staircase: Staircase
    analysis: Analysis | None
    advice: tuple[Advice, ...]
    effects: tuple[Effect, ...]
    kinds: tuple[KindCost, ...]
    notes: tuple[str, ...]

    @property
    def next(self) -> Advice | None:
        """The cut to make next; None where none is worth making."""
        return next((one for one in self.advice if not one.in_vain), None)


def of(
    predictor: LatencyPredictor,
    dense: Measurement | None,
    measured: Mapping[str, Sequence[WidthCost]],
    analysis: Analysis | None,
    notes: Sequence[str] = (),
    probes: Sequence[LayerCost] = (),
) -> Explanation:
    """Explain the network of ``predictor``; measured: swept widths per group, empty to take the latency model's.

    dense: a profiled run of the dense network, where there is one. notes: said before what is found here. probes: layers that tell the
    machine's roofs.
    """
    architecture, conditions = predictor.architecture, predictor.conditions
    divided, doubts = _account(predictor, dense)
    account = replace(divided, probes=tuple(probes))
    told = [*notes, *doubts]
    if measured:
        series = {name: tuple(points) for name, points in measured.items()}
        if left := [group.name for group in architecture.groups if group.name not in series]:
            told.append(f"No widths of {', '.join(left)} are measured; they are left out of what to prune.")
    else:
        series, unknown = _predicted_widths(predictor)
        told += ["Widths are not measured: savings are the latency model's, which smooths small steps.", *unknown]
    if analysis is None:
        told.append("Accuracy is not analysed: groups are sorted by time alone.")
    staircase = Staircase.fit(series)
    losses, least = ((), LEAST_POINTS) if analysis is None else (analysis.losses, analysis.least_points)
    return Explanation(
        architecture.network,
        conditions.device.name,
        "SIMULATED" if conditions.device.simulated else MEASURED,
        account,
        MEASURED if measured else PREDICTED,
        staircase,
        analysis,
        explain.prune_next(architecture, staircase, losses, account.costs, least, account.roof),
        effects(predictor),
        kinds(predictor, account),
        tuple(told),
    )


def analysed(points: Sequence[WidthAccuracy]) -> Analysis | None:
    """A measured analysis; None of no points. The smallest loss that can be told is one image of the split."""
    if not points:
        return None
    first = points[0]
    losses = []
    for point in points:
        lost = drop(point.accuracy, point.dense)
        losses.append(WidthLoss(point.group, point.channels, lost.points, lost.low, lost.high))
    least = max(LEAST_POINTS, 100 / first.dense.total)
    told = (
        f"Accuracy: each group of coupled channels narrowed alone, by {first.criterion}, batch norm recalibrated and nothing trained, on "
        f"the {first.dense.total} validation images of {first.dataset}"
    )
    if first.dense.is_counted:
        told += f", of which the dense network answers {first.dense.top1_ratio:.2%}; one image is {100 / first.dense.total:.2f} points"
    told += "."
    return Analysis(MEASURED, tuple(losses), least, told)


def _account(predictor: LatencyPredictor, dense: Measurement | None) -> tuple[Account, list[str]]:
    """The dense network's latency, divided by measurement where that is sound, and else by the model; with what is doubtful."""
    architecture, precision = predictor.architecture, predictor.conditions.precision
    config = architecture.dense()
    if dense is None:
        return shares.predicted(predictor, config, precision), ["Layers are predicted: no profiled run of the dense network is stored."]
    try:
        balanced = ledger.balance(dense, architecture)
    except RecordError as error:
        return shares.predicted(predictor, config, precision), [f"Layers are predicted: {error}."]
    account = shares.measured(balanced, dense.latency.interval_s, architecture, config, precision)
    if balanced.balanced or not account.costs:
        return account, []
    largest = max(account.rest, key=lambda part: abs(part.seconds))
    return account, [
        f"The profiled run leaves {balanced.remainder_ratio:.0%} of the latency to no layer, more than {ledger.REMAINDER_LIMIT:.0%}: "
        f"most of it {largest.name} ({largest.meaning})."
    ]


def _predicted_widths(predictor: LatencyPredictor) -> tuple[dict[str, tuple[WidthCost, ...]], list[str]]:
    found, unknown = {}, []
    for group in predictor.architecture.groups:
        try:
            found[group.name] = predicted_series(predictor, group.name)
        except UsageError as error:
            unknown.append(f"{group.name}: {error}.")
    return found, unknown
