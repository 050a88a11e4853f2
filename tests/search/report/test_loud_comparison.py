"""What the report quotes of a comparison on a loud machine: the fast state, for every network or for none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.report import report, summary
from search.report.summary import Summary


def loud(slow: Callable[[int, int], bool]) -> Callable[[Any], None]:
    """Gives every compared network a canary, and half as long again in the blocks where ``slow``, of network and block, says so."""

    def change(document: Any) -> None:
        for number, benchmark in enumerate(document["benchmarks"]):
            latency = benchmark["extra_info"]["espalier"]["latency"]
            states = [slow(number, block) for block in range(len(latency["block_sizes"]))]
            of_sample = [state for state, size in zip(states, latency["block_sizes"], strict=True) for _ in range(size)]
            samples = benchmark["stats"]["data"]
            benchmark["stats"]["data"] = [s * (1.5 if state else 1.0) for s, state in zip(samples, of_sample, strict=True)]
            latency["occasions"] = [
                {"start_s": float(block), "load": 0, "canary_s": 1.5e-4 if state else 1e-4} for block, state in enumerate(states)
            ]
            latency["canary_quiet_s"] = 1e-4

    return change


def test_a_loud_comparison_is_quoted_by_the_fast_state_for_every_network(told: Summary, spoilt: Callable[..., Path]) -> None:
    """Networks met slow states unequally often; what the page lays side by side does not tell."""
    found = summary.load(spoilt("proof.json", loud(lambda number, block: block % 8 < 3 + 2 * (number % 2))))
    page, text = (path.read_text() for path in report.write(found))
    seen = [entry.measurement.latency.median_s / entry.latency.median_s for entry in found.compared]
    assert max(seen) > 1.4 > min(seen)
    for before, after in zip(told.compared, found.compared, strict=True):
        assert after.latency.median_s == pytest.approx(before.latency.median_s, rel=0.01)
    for told_to_people in (page, text):
        assert "median in the fast state" in told_to_people
        assert "The machine was in its fast state beside" in told_to_people
    assert "fast state" not in report.write(told)[1].read_text()


def test_where_a_network_never_met_the_fast_state_all_are_quoted_as_measured(spoilt: Callable[..., Path]) -> None:
    found = summary.load(spoilt("proof.json", loud(lambda number, block: number == 2)))
    _, text = (path.read_text() for path in report.write(found))
    assert all(entry.fast_state is None for entry in found.compared)
    assert "the medians cannot be compared" in text
    assert "median in the fast state" not in text
