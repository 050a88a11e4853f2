"""Whoever competes, competes at every size of the pictures, and is tuned and judged on pictures of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.networks import zoo
from harness.pipeline import Network
from harness.records.architecture import Architecture
from search.proof import entrants
from search.proof.entrants import Entrant, Found
from search.records.trial import RunsIn
from search.space.screened_latency import LatencyByPrecision, LatencyBySize, as_it_runs, cost_of

SMALLER = ("28x28", "24x24")


class Channels:
    """So many microseconds a channel."""

    def __init__(self, microseconds: float) -> None:
        self.microseconds = microseconds

    def costs(self, widths: np.ndarray) -> np.ndarray:
        return widths.sum(axis=1) * self.microseconds * 1e-6


LATENCY = LatencyBySize(
    {
        size: LatencyByPrecision({"f32": Channels(cost), "int8": Channels(cost / 2)})
        for size, cost in zip(("32x32", *SMALLER), (4, 3, 2), strict=True)
    }
)


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return Network.wrap("resnet20", zoo.build("resnet20", (1, 32, 32), 10), (1, 32, 32), 10).architecture


@pytest.mark.parametrize("quantises", [False, True])
def test_what_anybody_gets_enters_at_every_size(architecture: Architecture, quantises: bool) -> None:
    found = [Found(architecture.uniform(0.5), size="24x24")]
    alone = entrants.entrants(architecture, found, quantises=quantises)
    entered = entrants.entrants(architecture, found, quantises=quantises, smaller=SMALLER)
    shelf = [one for one in alone if one.role != "candidate"]
    each = {(one.config, one.runs_in) for one in entered if one.role != "candidate"}
    assert each == {(one.config, one.runs_in._replace(size=size)) for one in shelf for size in ("", *SMALLER)}
    assert len({one.name for one in entered}) == len(entered)
    assert [one.name for one in entered if one.role == "dense"] == ["dense"]
    assert all(one.role == "off-the-shelf" for one in entered if one.size and one.role != "candidate")
    assert entered[-1].runs_in == RunsIn("", "24x24")


def test_a_dense_network_at_another_size_may_stand_for_the_campaign(architecture: Architecture) -> None:
    found = [Found(architecture.dense(), size="24x24")]
    standing = entrants.with_published(architecture, found, smaller=SMALLER)
    assert standing.count(found[0]) == 1
    assert Found(architecture.dense(), size="28x28") in standing
    assert Found(architecture.dense()) not in standing, "nothing is won by it"
    candidates = [one for one in entrants.entrants(architecture, standing, smaller=SMALLER) if one.role == "candidate"]
    assert candidates[0].source == "the same network as dense-24x24"
    assert [one.name for one in candidates if not entrants.is_spare(one, found, candidates[0])] == ["optimised-1"]


@settings(max_examples=30, deadline=None)
@given(
    ratio=st.floats(0.2, 1.0),
    size=st.sampled_from(("", *SMALLER)),
    precision=st.sampled_from(("", "int8")),
    other=st.sampled_from(("", *SMALLER)),
)
def test_a_uniform_cut_at_any_size_is_as_fast_as_the_chosen_network(
    architecture: Architecture, ratio: float, size: str, precision: str, other: str
) -> None:
    chosen = Entrant("optimised-1", "candidate", architecture.uniform(ratio), precision=precision, size=size)
    here, there = entrants.uniform(architecture, LATENCY, chosen), entrants.uniform(architecture, LATENCY, chosen, other)
    assert here.runs_in == chosen.runs_in
    assert there.runs_in == RunsIn(precision, other)
    assert there.name == f"uniform-{other or '32x32'}"
    target_s = cost_of(architecture, LATENCY, chosen.config, *chosen.runs_in)
    for one in (here, there):
        known = as_it_runs(LATENCY, one.runs_in)
        assert one.config == entrants.uniform_at(architecture, known, target_s), "the nearest that there is at its size"
