"""Which part of a network costs what on a device, and what to prune next: figures from stored measurements, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import RecordError, UsageError
from harness.latency import explain, ledger, roof
from harness.latency.effects import Effect, KindCost, effects, kinds
from harness.latency.explain import Advice, Share
from harness.latency.predictor import LatencyPredictor
from harness.latency.staircase import Staircase, WidthCost, predicted_series
from harness.records.measurement import Measurement
from harness.records.width_accuracy import WidthAccuracy
from harness.tables import duration
from search.cells import Cell, Column, Table


@dataclass(frozen=True)
class Explanation:
    """Everything that is known about a network's costs on a device.

    whole_s: the dense network. series: what the savings were read off, "measured" or "predicted" widths. notes: what is
    missing or doubtful, one sentence each.
    """

    network: str
    device: str
    whole_s: float
    series: str
    staircase: Staircase
    layers: tuple[Share, ...]
    stages: tuple[Share, ...]
    advice: tuple[Advice, ...]
    effects: tuple[Effect, ...]
    kinds: tuple[KindCost, ...]
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """What to do, in one sentence."""
        best = next((one for one in self.advice if not one.in_vain), None)
        if best is None:
            return f"No single group of {self.network} is worth narrowing on {self.device}."
        lost = "" if best.points_lost is None else f" for {best.points_lost:.2f} points of validation top-1"
        share = best.saved_s / self.whole_s
        cut = f"{best.group} from {best.width} to {best.next_width} channels"
        return f"Prune this next: {cut} saves {duration(best.saved_s)} ({share:.1%}){lost}."


def of(
    predictor: LatencyPredictor,
    dense: Measurement | None,
    measured: Mapping[str, Sequence[WidthCost]],
    losses: Sequence[WidthAccuracy],
) -> Explanation:
    """Explain the network of ``predictor``; measured: swept widths per group, empty to take the latency model's."""
    architecture, precision = predictor.architecture, predictor.conditions.precision
    config, notes = architecture.dense(), []
    layers = roof.predicted_layers(predictor, config, precision)
    whole_s = predictor.predict(config).seconds
    if dense is None:
        notes.append("Layers are predicted: no profiled run of the dense network is stored.")
    else:
        try:
            balanced = ledger.balance(dense, architecture)
        except RecordError as error:
            notes.append(f"Layers are predicted: {error}.")
        else:
            if balanced.balanced:
                layers, whole_s = roof.measured_layers(balanced, architecture, config, precision), balanced.whole_s
            else:
                notes.append(f"Layers are predicted: the profiled run leaves {balanced.remainder_ratio:.0%} unexplained, it was noisy.")
    series = {name: tuple(points) for name, points in measured.items()}
    for group in architecture.groups if not series else ():
        try:
            widths = [*([0] if group.removable else []), *range(group.step, group.channels + 1, group.step)]
            series[group.name] = predicted_series(predictor, group.name, widths=widths)
        except UsageError as error:
            notes.append(f"{group.name}: {error}.")
    if not losses:
        notes.append("Accuracy was not analysed, groups are sorted by time alone; run: pytest bench/test_sensitivity.py")
    staircase = Staircase.fit(series)
    return Explanation(
        architecture.network,
        predictor.conditions.device.name,
        whole_s,
        "measured" if measured else "predicted",
        staircase,
        explain.shares(layers, whole_s),
        explain.shares(layers, whole_s, by_stage=True),
        explain.prune_next(architecture, staircase, losses, layers),
        effects(predictor),
        kinds(predictor),
        tuple(notes),
    )


def tables(told: Explanation) -> tuple[tuple[str, Table], ...]:
    """Titled tables in the order in which a reader asks for them."""
    return (
        (f"Prune this next (savings at {told.series} widths)", _advice(told)),
        ("Stages", _shares("stages", told.stages)),
        ("Layers", _shares("layers", told.layers)),
        ("Width and depth", _effects(told)),
        ("Kernel, stride and resolution", _kinds(told)),
    )


def _advice(told: Explanation) -> Table:
    rows = []
    for one in told.advice:
        lost, rate = one.points_lost, one.seconds_per_point
        rows.append(
            (
                Cell(one.group),
                Cell(f"{one.width} → {one.next_width}" if one.next_width is not None else f"{one.width}"),
                Cell("nothing" if one.in_vain else f"{duration(one.saved_s)} ± {duration(2 * one.saved_sd_s)}"),
                Cell("" if lost is None else f"{lost:.2f}"),
                Cell("" if rate is None else f"{rate * 1e3:.4g}"),
                Cell(duration(one.at_most_s)),
                Cell(one.reason),
            )
        )
    headings = ("group", "next useful width", "saves", "points lost", "ms per point", "at most", "why not more")
    columns = tuple(Column(heading, numeric=place in (2, 3, 4, 5)) for place, heading in enumerate(headings))
    caption = f"± two standard errors; losses below {explain.LEAST_POINTS} points count as that much"
    return Table("advice", columns, tuple(rows), caption)


def _shares(name: str, shares: Sequence[Share]) -> Table:
    rows = tuple(
        (
            Cell(one.name),
            Cell(duration(one.seconds)),
            Cell(f"{one.ratio:.1%}"),
            Cell(f"{one.low_ratio:.1%}–{one.high_ratio:.1%}"),
            Cell("" if one.bound is None else str(one.bound)),
        )
        for one in shares
    )
    columns = (Column(name[:-1], numeric=False), Column("time"), Column("share"), Column("95 % interval"), Column("bound", numeric=False))
    return Table(name, columns, rows)


def _effects(told: Explanation) -> Table:
    rows = tuple(
        (
            Cell(one.kind),
            Cell(one.change),
            Cell(f"{one.saved_s / told.whole_s:.1%}"),
            Cell(f"{one.low_s / told.whole_s:.1%} to {one.high_s / told.whole_s:.1%}"),
            Cell(f"{one.saved_macs_ratio:.1%}"),
        )
        for one in told.effects
    )
    columns = (
        Column("effect of", numeric=False),
        Column("change", numeric=False),
        Column("saves"),
        Column("95 % interval"),
        Column("of MACs"),
    )
    return Table("effects", columns, rows, "Predicted from stored measurements; shares of the dense network's latency and work.")


def _kinds(told: Explanation) -> Table:
    rows = tuple(
        (
            Cell(one.kind),
            Cell(str(one.layers)),
            Cell(duration(one.seconds)),
            Cell(f"{one.low_s * 1e6:.1f} to {one.high_s * 1e6:.1f} µs"),
            Cell(f"{one.seconds_per_mmac * 1e6:.1f} µs"),
        )
        for one in told.kinds
    )
    columns = (
        Column("kind of layer", numeric=False),
        Column("layers"),
        Column("time"),
        Column("95 % interval"),
        Column("per million MACs"),
    )
    return Table("kinds", columns, rows, "Predicted from stored measurements.")
