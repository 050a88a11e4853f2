"""What a person reads of throughput: pictures a second by streams, apart from every latency."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from harness.records.throughput import Throughput


def told(found: Sequence[Throughput]) -> list[Table]:
    """The table, measured and simulated apart; none where nothing was counted."""
    kinds = [[one for one in found if one.provenance == kind] for kind in ("measured", "SIMULATED")]
    return [throughputs(alike) for alike in kinds if alike]


def throughputs(found: Sequence[Throughput]) -> Table:
    """A row per network, device and number of streams: how it ran, pictures a second with their interval, against the fewest streams."""
    title = f"throughput ({found[0].provenance}): several inferences at once, which says nothing of one's latency"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("network", overflow="fold")
    for heading in ("streams", "pictures\na second", "against\nthe fewest", "counted"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found:
        ran, (low, high) = one.conditions, one.interval_per_s
        least = min((other for other in found if _alike(one, other)), key=lambda other: other.conditions.streams)
        threads = f"{ran.threads} thread{'s' if ran.threads != 1 else ''}"
        table.add_row(
            f"{one.network}\n{ran.device.name}\n{ran.effective_precision}, batch {ran.batch_size}, {threads}",
            str(ran.streams),
            f"{one.median_per_s:,.1f}\n{low:,.1f}–{high:,.1f}",
            "—" if least is one else f"{one.median_per_s / least.median_per_s:.2f}×",
            f"{sum(one.ended)}\nin {sum(one.seconds):.1f} s",
        )
    named = [(f"{one.network} on {one.conditions.device.name}", one.conditions.throttling) for one in found]
    slowed = [f"{name}: the device throttled: {words}" for name, words in named if words]
    table.caption = "\n".join(["median of blocks with its 95 % interval", *slowed])
    table.caption_justify = "left"
    return table


def _alike(one: Throughput, other: Throughput) -> bool:
    return _but_for_streams(one) == _but_for_streams(other)


def _but_for_streams(one: Throughput) -> tuple[object, ...]:
    ran = one.conditions
    return one.artefact_digest, ran.device.name, ran.effective_precision, ran.threads, ran.batch_size
