"""What a person reads in the terminal after a run: networks with their spread, layers with their share."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from harness.records.measurement import Latency, Measurement

BAR_CELLS = 16


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
    """One row per network: median, interval, tail, spread, and what to know about the samples."""
    table = Table(title=_title("whole networks", measurements), box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("network", "device", "precision"):
        table.add_column(heading, no_wrap=True)
    for heading in ("median", "95 % interval", "p90", "p99", "blocks differ", "samples"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("noise", min_width=16)
    for measurement in measurements:
        latency, conditions = measurement.latency, measurement.conditions
        tail_s = latency.p99_s
        table.add_row(
            label(measurement),
            conditions.device.name,
            conditions.effective_precision,
            duration(latency.median_s),
            interval(latency),
            duration(latency.p90_s),
            "–" if tail_s is None else duration(tail_s),
            f"{latency.block_spread_ratio:.1%}",
            str(len(latency.samples_s)),
            "; ".join(latency.noise) or "quiet",
        )
    return table


def layers(measurement: Measurement) -> Table:
    """One row per executed node in network order: its layers, type, channels, median, spread over compilations, share."""
    total_s = sum(layer.median_s for layer in measurement.layers)
    table = Table(title=_title(f"layers of {label(measurement)}, profiled", [measurement]), box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("layer", "type"):
        table.add_column(heading, overflow="fold")
    for heading in ("channels", "median", "compilations", "share"):
        table.add_column(heading, justify="right")
    table.add_column("")
    longest_s = max((layer.median_s for layer in measurement.layers), default=0.0)
    for layer in measurement.layers:
        if not layer.median_s and not layer.source_layers:
            continue
        runs = f"{min(layer.runs_s) * 1e6:.1f}–{max(layer.runs_s) * 1e6:.1f} µs"
        table.add_row(
            " + ".join(layer.source_layers) or f"({layer.node})",
            layer.kind,
            str(layer.channels) if layer.channels else "",
            duration(layer.median_s),
            runs,
            f"{layer.median_s / total_s:.1%}" if total_s else "",
            "█" * round(BAR_CELLS * layer.median_s / longest_s) if longest_s else "",
        )
    return table


def label(measurement: Measurement) -> str:
    """The network's name, with its contender name or configuration where it is not the dense one."""
    given = dict(measurement.notes).get("contender")
    if given:
        return f"{measurement.network} {given}"
    return measurement.network if measurement.config is None else f"{measurement.network} {measurement.config.digest[:6]}"


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
