"""The tables of what a campaign ran with and under which conditions it measured."""

from __future__ import annotations

from collections.abc import Iterable

from harness.records.conditions import Snapshot
from search.records import training_record
from search.report.figures.cells import Cell, Column, Table
from search.report.summary import Summary


def settings(summary: Summary) -> Table:
    """What the campaign ran with, and what it fine-tuned the contenders by."""
    training, validation, test = summary.outcome.split_sizes
    size = " x ".join(map(str, summary.architecture.input_shape))
    images = f"of {size}; {training} for training, {validation} for validation, {test} for the test"
    pairs = [*summary.outcome.settings, ("images", images), ("recipe of the comparison", summary.outcome.proof_recipe)]
    if (trained := training_record.read(summary.folder)) is not None:
        pairs.append(("training", trained.sentence.removeprefix("training: ")))
    return paired("settings", pairs)


def conditions(summary: Summary) -> Table:
    """Under which circumstances the final comparison was measured."""
    known, best = summary.conditions, summary.optimised.measurement
    before, after = known.before, known.after
    told = [
        ("device", f"{known.device.name}: {known.device.model}"),
        ("runtime", f"{known.device.runtime} {known.device.runtime_version}, Python {known.device.python}"),
        ("host", known.device.host),
        *known.device.details,
        *((f"not ready: {name}", seen) for name, seen in known.unready),
        ("precision", f"{known.effective_precision} in effect, {known.precision} asked for"),
        ("threads, streams, batch", f"{known.threads}, {known.streams}, {known.batch_size}"),
        ("governor", before.governor or "not told by the device"),
        ("power mode", before.power_mode or "not told by the device"),
        ("load average", f"{_maybe(before.load_average)} before, {_maybe(after.load_average)} after"),
        ("clocks", _readings(before.clocks_mhz, after.clocks_mhz, "MHz")),
        ("temperatures", _readings(before.temperatures_c, after.temperatures_c, "°C")),
        ("throttled", known.throttling or ("no" if _tells_throttling(before) else "not told by the device")),
        ("measured", f"{before.taken_at} to {after.taken_at}"),
        ("samples", f"{len(best.latency.samples_s)} in {len(best.latency.block_sizes)} blocks, interleaved with the other networks'"),
        *((key, text) for key, text in best.notes if key != "contender"),
        ("versions", ", ".join(f"{package} {version}" for package, version in known.versions)),
        ("commit", known.git_commit or "not a git checkout"),
    ]
    return paired("conditions", told)


def _tells_throttling(state: Snapshot) -> bool:
    return state.throttle_events is not None or state.throttling is not None


def paired(name: str, pairs: Iterable[tuple[str, str]]) -> Table:
    """A table of what was set, or seen, and to what."""
    rows = tuple((Cell(key), Cell(text)) for key, text in pairs)
    return Table(name, (Column("what", numeric=False), Column("setting", numeric=False)), rows)


def _maybe(figure: float | None) -> str:
    return "not told" if figure is None else f"{figure:.2f}"


def _readings(before: tuple[tuple[str, float], ...], after: tuple[tuple[str, float], ...], unit: str) -> str:
    """Lowest to highest reading before and after; hundreds of cores make a list useless."""
    if not before or not after:
        return "not told by the device"
    spans = [(min(figures), max(figures)) for figures in ([figure for _, figure in side] for side in (before, after))]
    told = [f"{low:.0f}" if round(low) == round(high) else f"{low:.0f}–{high:.0f}" for low, high in spans]
    return f"{told[0]} {unit} before, {told[1]} {unit} after"
