"""The report's table of costs has what an inference took of energy where there was a meter, and says where there was none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.report import summary, tables
from search.report.summary import Summary


def metered(document: Any) -> None:
    """Gives every network but the last a meter, which counted 3 W in blocks that are all long enough to tell."""
    *first, _ = document["benchmarks"]
    for benchmark in first:
        latency, samples = benchmark["extra_info"]["espalier"]["latency"], benchmark["stats"]["data"]
        factor = 0.2 * len(latency["block_sizes"]) / sum(samples)
        benchmark["stats"]["data"] = [sample * factor for sample in samples]
        begin, told = 0, []
        for at, size in enumerate(latency["block_sizes"]):
            spent = 3.0 * sum(benchmark["stats"]["data"][begin : begin + size])
            told.append({"start_s": float(at), "load": 0, "canary_s": None, "energy_j": spent})
            begin += size
        latency["occasions"] = told


def test_energy_stands_beside_the_other_costs(spoilt: Callable[..., Path]) -> None:
    table = tables.costs(summary.load(spoilt("proof.json", metered)))
    assert table.columns[-1].heading == "energy"
    *first, last = [row[-1] for row in table.rows]
    assert last.text == "no meter"
    assert all(cell.text.endswith(" mJ") and cell.spread.endswith(" mJ") for cell in first)
    for cell in first:
        low, high = (float(end) for end in cell.spread.removesuffix(" mJ").split("–"))
        assert low <= float(cell.text.removesuffix(" mJ")) <= high


def test_without_a_meter_one_sentence_says_so(told: Summary) -> None:
    table = tables.costs(told)
    assert "energy" not in [column.heading for column in table.columns]
    assert table.caption == "Energy: no meter."
