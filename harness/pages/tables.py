"""What a person reads in the terminal after a run: networks with their spread, layers with their share."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from harness.errors import RecordError
from harness.latency.explanation import ledger
from harness.latency.explanation.ledger import Ledger
from harness.latency.verdict import energy, machine_state
from harness.records.accuracy import WidthAccuracy
from harness.records.architecture import Architecture
from harness.records.compilation import Compilation
from harness.records.layer import ConvShape, LayerShape
from harness.records.measurement import Latency, Measurement

LEAST_COLUMNS = 80  # of logs and of small terminals: every table is whole there
BAR_CELLS = 8


def duration(seconds: float) -> str:
    """Microseconds below a millisecond, milliseconds above, four significant digits."""
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3f} ms"


def interval(latency: Latency) -> str:
    """The 95 % interval of the median, in the unit of its upper end."""
    low_s, high_s = latency.interval_s
    if high_s < 1e-3:
        return f"{low_s * 1e6:.1f}–{high_s * 1e6:.1f} µs"
    return f"{low_s * 1e3:.3f}–{high_s * 1e3:.3f} ms"


def networks(measurements: Sequence[Measurement]) -> Table:
    """A row per network: how it ran, median with interval, tail, loading, samples; below, what to know about the samples.

    Every cell has a line of its own for every figure, so that nothing is cut at ``LEAST_COLUMNS``, the width of most logs.
    """
    table = _plain_table(_title("whole networks", measurements))
    table.add_column("network", overflow="fold")
    for heading in ("median", "tail", "loading\nenergy", "samples"):
        table.add_column(heading, justify="right", no_wrap=True)
    for measurement in measurements:
        latency, conditions = measurement.latency, measurement.conditions
        tail_s, threads = latency.p99_s, conditions.threads
        ran = f"{conditions.effective_precision}, batch {conditions.batch_size}, {threads} thread{'s' if threads != 1 else ''}"
        told = [f"load {_loading(measurement.load_s)}", f"first {_loading(measurement.first_inference_s)}"]
        table.add_row(
            f"{label(measurement)}\n{conditions.device.name}\n{ran}",
            f"{duration(latency.median_s)}\n{interval(latency)}",
            f"p90 {duration(latency.p90_s)}\np99 {'–' if tail_s is None else duration(tail_s)}",
            "\n".join([*told, *filter(None, [_energy(latency)])]),
            f"{len(latency.samples_s)}\ndiffer {latency.block_spread_ratio:.1%}",
        )
    table.caption = "\n".join(["median with its 95 % interval; differ: by how much its blocks do", *_beside(measurements)])
    return table


def _beside(measurements: Sequence[Measurement]) -> Iterator[str]:
    """What to know about rows: their energy, what was in the device's way, their noise."""
    named = [(f"{label(one)} on {one.conditions.device.name}", one) for one in measurements]
    yield from [f"{name}: {said}" for name, one in named if (said := _metered(one))] or [f"energy: {energy.NO_METER}"]
    for device, found in dict.fromkeys((one.conditions.device.name, one.conditions.unready) for one in measurements):
        if found:
            yield f"{device} before the run: {'; '.join(f'{name} {seen}' for name, seen in found)} (python -m harness.doctor)"
    told = [(name, [*_state(one.latency), *one.noise]) for name, one in named]
    yield from [f"{name}: {'; '.join(reasons)}" for name, reasons in told if reasons] or ["noise: quiet"]


def _energy(latency: Latency) -> str:
    """Millijoules of an inference; empty without a meter, of which the caption tells."""
    found = energy.per_inference(latency)
    return "" if found is None else found.figure


def _metered(measurement: Measurement) -> str:
    """Energy with its interval, and by which meter; empty without one."""
    found = energy.per_inference(measurement.latency)
    if found is None:
        return ""
    meter = dict(measurement.conditions.device.details).get("energy meter", "its meter")
    ends = f"{found.interval}, 95 % interval" if found.told else found.interval
    return f"{found.figure} an inference ({ends}) by {meter}, idle not subtracted"


def _loading(seconds: float) -> str:
    """Two kinds of time that are known from one observation, so with fewer digits."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def is_sustained(measurement: Measurement) -> bool:
    """Whether the device was kept busy on purpose."""
    return "sustained" in dict(measurement.notes)


def sustained(measurement: Measurement) -> Table:
    """How a device holds under load: latency, and its clock and heat where it tells them, second by second."""
    table = _plain_table(_title(f"{label(measurement)} kept busy on {measurement.conditions.device.name}", [measurement]))
    for heading in ("busy for", "median", "against the first", "state"):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    told = [(key.removeprefix("after "), text) for key, text in measurement.notes if key.startswith("after ")]
    medians_s = measurement.latency.block_medians_s
    for (after, state), median_s in zip(told, medians_s, strict=False):
        table.add_row(after, duration(median_s), f"{median_s / medians_s[0]:.2f}×", state)
    return table


def _plain_table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left", padding=(0, 1, 0, 0), show_edge=False)


def _state(latency: Latency) -> tuple[str, ...]:
    """Where the machine was loud: how often it was in its fast state, and the median there, which rows of one run can be compared by."""
    told, fast = machine_state.sentence(latency), machine_state.in_fast_state(latency)
    if not told:
        return ()
    return (f"{told}, median there {'unknown' if fast is None else duration(fast.median_s)}",)


def layers(measurement: Measurement, architectures: Sequence[Architecture]) -> RenderableType:
    """The ledger of one profiled measurement: its layers in network order, what belongs to none, and the whole they add up to.

    architectures: those that the run was about. One sentence instead, when the layers' times do not account for the network.
    """
    by_digest = {architecture.digest: architecture for architecture in architectures}
    architecture = by_digest.get(measurement.architecture_digest)
    if architecture is None:
        return f"layers of {label(measurement)}: the run does not hold its architecture {measurement.architecture_digest}"
    try:
        balanced = ledger.balance(measurement, architecture)
    except RecordError as error:
        return f"layers of {label(measurement)}: {error}"
    config = measurement.config
    shapes = architecture.shapes(config) if config else {}
    simulated = measurement.conditions.device.simulated
    title = f"layers of {label(measurement)} on {measurement.conditions.device.name}"
    return ledger_table(balanced, shapes, _title(title, [measurement]), simulated)


def ledger_table(balanced: Ledger, shapes: Mapping[str, LayerShape], title: str, simulated: bool = False) -> Table:
    """A ledger as a table: layers, the named lines of the remainder, the sum.

    shapes: gives the channels in and out; empty where a network's widths are not known. simulated: no machine can be made quieter.
    """
    caption = (
        f"whole = layers {duration(balanced.layers_s)} + remainder {_signed(balanced.remainder_s)} ({balanced.remainder_ratio:.1%}); "
        "layers: medians over profiled runs, with the smallest and the largest; whole: median of the unprofiled run"
    )
    if not balanced.balanced:
        advice = "which is the simulated device's model" if simulated else "profile again on a quiet machine (python -m harness.doctor)"
        caption += f"; the remainder exceeds {ledger.REMAINDER_LIMIT:.0%}: the layers do not explain the whole, {advice}"
    table = _plain_table(title)
    table.caption = caption
    for heading in ("layer", "type"):
        table.add_column(heading, overflow="fold")
    for heading in ("channels", "median", "runs", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    longest_s = max((row.seconds for row in balanced.rows), default=0.0)
    for row in balanced.rows:
        table.add_row(
            row.name,
            row.kind,
            ", ".join(_channels(shapes[name]) for name in row.layers if name in shapes),
            duration(row.seconds),
            _ends(row.low_s, row.high_s),
            f"{balanced.share(row):.1%}",
            "█" * round(BAR_CELLS * row.seconds / longest_s) if longest_s else "",
        )
    table.add_section()
    for line in balanced.lines:
        table.add_row(line.name, "", "", _signed(line.seconds), "", f"{line.seconds / balanced.whole_s:.1%}", "")
    for name in balanced.unattributed:
        table.add_row(name, "cannot attribute", "", "–", "", "", "")
    table.add_section()
    table.add_row("whole network", "unprofiled", "", duration(balanced.whole_s), "", "100.0%", "")
    return table


def _signed(seconds: float) -> str:
    return f"−{duration(-seconds)}" if seconds < 0 else duration(seconds)


def _ends(low_s: float, high_s: float) -> str:
    return f"{low_s * 1e6:.1f}–{high_s * 1e6:.1f} µs"


def _channels(shape: LayerShape) -> str:
    if isinstance(shape, ConvShape):
        return f"{shape.in_channels} → {shape.out_channels}"
    return f"{shape.in_features} → {shape.out_features}"


def sensitivities(points: Sequence[WidthAccuracy]) -> Table:
    """One row per group: percentage points of validation top-1 lost at each analysed width."""
    dense = points[0].dense
    title = f"accuracy against width on {points[0].dataset}, validation split, channels kept by {points[0].criterion}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.caption = (
        f"points lost against the dense network's {dense.top1_ratio:.2%} ({dense.correct} of {dense.total}), batch norm recalibrated"
    )
    table.add_column("group", overflow="fold")
    table.add_column("points lost, by channels kept")
    for group in dict.fromkeys(point.group for point in points):
        members = [point for point in points if point.group == group]
        table.add_row(group, "   ".join(f"{one.channels}: {one.points_lost:.2f}" for one in members))
    return table


def compiled(found: Compilation) -> Table:
    """A compiler's schedule: stages with their layers, unit and cost. No latency: nothing ran."""
    title = (
        f"{found.network} compiled for {found.device.name} (compiled, not measured): {found.executed_count} stages run, "
        f"{found.hardware_count} in hardware, {found.copies} copies, cost {found.cost}, blob {found.blob_bytes} bytes"
    )
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("layers", "stage type", "unit"):
        table.add_column(heading, overflow="fold")
    table.add_column("compiler's cost", justify="right")
    for stage in found.stages:
        if stage.executed:
            table.add_row(
                " + ".join(stage.source_layers) or f"({stage.name})", stage.kind, "hardware" if stage.hardware else "SHAVE", str(stage.cost)
            )
    return table


def label(measurement: Measurement) -> str:
    """The network's name, with its contender name or configuration where it is not the dense one."""
    given = dict(measurement.notes).get("contender")
    if given and given != measurement.network:
        return f"{measurement.network} {given}"
    if measurement.config is None or not measurement.config.channels:  # a file has no channels to keep
        return measurement.network
    return f"{measurement.network} {measurement.config.digest[:6]}"


def text(renderables: Iterable[RenderableType], width: int) -> str:
    """Tables as plain text for a terminal of ``width`` columns."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, no_color=True)
    for renderable in renderables:
        console.print(renderable)
    return stream.getvalue()


def _title(what: str, measurements: Sequence[Measurement]) -> str:
    kinds = sorted({measurement.provenance for measurement in measurements})
    return f"{what} ({', '.join(kinds)})"
