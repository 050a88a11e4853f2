"""Measured staircases: steps found through noise, drift between sets cancelled, twins told from one measurement."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harness.errors import LatencyUnknown
from harness.latency.explanation import width_series
from harness.latency.explanation.width_series import points_in_turns
from harness.latency.verdict import simulated_clock
from harness.records.architecture import ChannelGroup
from harness.records.measurement import Latency

BLOCKS, SAMPLES = 10, 40  # as in a sweep


@dataclass(frozen=True)
class Stairs:
    """A true staircase: ``count`` steps of ``step`` channels, each ``saved`` of the whole faster; one width slower by ``bump``."""

    step: int
    count: int
    saved: float
    bump: float

    @property
    def true_s(self):
        """Seconds by width, widest first."""
        widest = self.step * self.count
        costs = {width: 1e-3 * (1 - self.saved * (self.count - -(-width // self.step))) for width in range(widest, 0, -1)}
        costs[widest - 1] += 1e-3 * self.bump
        return costs

    @property
    def tops(self):
        """The legal widths, widest first."""
        return tuple(range(self.step * self.count, 0, -self.step))


def swept(stairs, weather, seed):
    """What a sweep of these widths in turns finds on the simulated clock."""
    costs = stairs.true_s
    order = simulated_clock.a_b_b_a(len(costs), BLOCKS)
    found = simulated_clock.run(list(costs.values()), order, SAMPLES, weather, np.random.default_rng([seed, 9]))
    return width_series.fit({"g": points_in_turns(dict(zip(costs, found, strict=True)), 1e-3)})


stairs_of_all_kinds = st.builds(Stairs, st.sampled_from([4, 8, 16]), st.integers(2, 3), st.floats(0.02, 0.2), st.floats(0.01, 0.05))


@settings(max_examples=20, phases=[Phase.generate])
@given(stairs_of_all_kinds, st.integers(0, 1000))
def test_the_steps_of_a_quiet_machine_are_found_exactly(stairs, seed):
    quiet = replace(simulated_clock.QUIET, jitter_ratio=0.001, drift_ratio=0.0)
    found = swept(stairs, quiet, seed)
    assert found.legal_widths("g") == stairs.tops
    assert [len(step) for step in found.steps("g")] == [stairs.step] * stairs.count
    slower = found.slower_when_narrower("g")
    assert [one.width for one in slower] == [stairs.step * stairs.count - 1]
    assert slower[0].lost == pytest.approx(1e-3 * stairs.bump, rel=0.2)
    useful = found.next_useful("g", stairs.tops[0])
    assert useful.width == stairs.tops[1]
    assert useful.saved == pytest.approx(1e-3 * stairs.saved, rel=0.1)


def test_the_steps_of_a_shared_machine_are_found_and_noise_is_seldom_taken_for_one():
    """Bursts and drift: every true step of 4 % is found, and of the flat places hardly one is called a step."""
    stairs = Stairs(step=8, count=3, saved=0.04, bump=0.0)
    extra = 0
    for seed in range(12):
        legal = swept(stairs, simulated_clock.SHARED, seed).legal_widths("g")
        wrong = set(legal) ^ set(stairs.tops)
        assert all(any(abs(top - width) <= 2 for width in legal) for top in stairs.tops), legal
        extra += len(wrong)
    assert extra <= 0.02 * 12 * len(stairs.true_s)


def test_a_burst_over_most_blocks_of_a_set_hides_no_step():
    """Six of ten blocks a quarter slower for every width, as seen on a shared machine: each round is brought to one level."""
    slow = [1.25 if block < 6 else 1.0 for block in range(BLOCKS)]
    rng = np.random.default_rng(3)

    def taken(true_s):
        samples = [true_s * level * (1 + 0.001 * abs(rng.standard_normal())) for level in slow for _ in range(SAMPLES)]
        return Latency(tuple(samples), (SAMPLES,) * BLOCKS)

    costs = {16: 1e-3, 15: 1.01e-3, 12: 1e-3, 8: 0.98e-3, 4: 0.97e-3}
    found = {width: taken(cost) for width, cost in costs.items()}
    stairs = width_series.fit({"g": points_in_turns(found, 1e-3)})
    assert stairs.legal_widths("g") == (16, 8, 4)
    assert [one.width for one in stairs.slower_when_narrower("g")] == [15]
    assert all(point.cost == pytest.approx(costs[point.width], rel=1e-3) for point in stairs.points("g"))


def test_a_grid_holds_both_ends_the_width_below_the_full_one_and_the_removed_branch():
    assert width_series.grid(ChannelGroup("g", 16, ("g",), True, "s"), 4) == (16, 15, 12, 8, 4, 0)
    assert width_series.grid(ChannelGroup("g", 16, ("g",), False, "s"), 1) == (16, 15)
    assert width_series.grid(ChannelGroup("g", 16, ("g",), False, "s", 8), 8) == (16, 8)
    assert width_series.grid(ChannelGroup("g", 1, ("g",), False, "s"), 8) == (1,)


@given(channels=st.integers(1, 64), count=st.integers(1, 80), removable=st.booleans())
def test_a_fine_grid_is_every_width(channels, count, removable):
    found = width_series.grid(ChannelGroup("g", channels, ("g",), removable, "s"), count)
    assert list(found) == sorted(set(found), reverse=True)
    assert found[0] == channels
    assert (0 in found) == removable
    if count >= channels:
        assert set(found) == {*range(1, channels + 1), *([0] if removable else [])}


def test_blocks_of_one_stage_are_twins_and_those_that_begin_a_stage_are_not(residual_network):
    network = residual_network((16, 32), blocks=3)
    classes = {names[0]: names for names in width_series.twins(network)}
    assert classes["layer1.0.conv1"] == ("layer1.0.conv1", "layer1.1.conv1", "layer1.2.conv1")
    assert classes["layer2.1.conv1"] == ("layer2.1.conv1", "layer2.2.conv1")
    assert classes["layer2.0.conv1"] == ("layer2.0.conv1",)
    assert sorted(name for names in classes.values() for name in names) == sorted(group.name for group in network.groups)


@pytest.fixture
def sets(network, measured, conditions):
    """Builds one set: the dense network and one group at some widths, all at the machine's level of that moment."""

    def build(name, costs, level=1.0, minute=0, anchored=True):
        where = conditions(taken_at=f"2026-11-23T18:{minute:02d}:00+00:00")
        channels = network.group(name).channels
        found = []
        for width, cost in costs.items():
            config = network.dense() if width == channels else network.partial({name: width})
            if anchored or width != channels:
                found.append(measured(network, config, level * cost, width_series.ROLE, where=where))
        return found

    return build


def test_sets_taken_while_the_machine_was_slower_are_brought_to_one_level(network, sets):
    """Without anchors the second set would be a step of 10 %."""
    first = sets("layer2.0.conv1", {32: 1e-3, 16: 0.8e-3})
    later = sets("layer2.0.conv1", {32: 1e-3, 24: 0.9e-3}, level=1.1, minute=7)
    points = {p.width: p.cost for p in width_series.measured_series(network, [*first, *later])["layer2.0.conv1"]}
    assert points[24] / points[32] == pytest.approx(0.9, rel=1e-3)
    assert points[16] / points[32] == pytest.approx(0.8, rel=1e-3)
    assert points[32] == pytest.approx(1.05e-3, rel=1e-2)


def test_what_was_measured_without_its_anchor_or_for_another_purpose_says_nothing(network, sets):
    whole = sets("layer2.0.conv1", {32: 1e-3, 16: 0.8e-3})
    lone = sets("stem", {16: 1e-3, 8: 0.5e-3}, minute=9, anchored=False)
    odd = [replace(m, latency=Latency((1e-3,) * 4, (2, 2))) for m in sets("layer1.1.conv1", {8: 0.5e-3}, minute=0)]
    other = [replace(m, role="design") for m in sets("layer1.0.conv1", {16: 1e-3, 8: 0.5e-3}, minute=11)]
    assert set(width_series.measured_series(network, [*whole, *lone, *other, *odd])) == {"layer2.0.conv1"}
    with pytest.raises(LatencyUnknown, match=r"no widths of residual are measured; run: pytest bench/test_width_staircase\.py"):
        width_series.measured_series(network, [*lone, *other])


def test_a_twin_is_told_by_the_one_that_was_measured(network, sets):
    found = width_series.staircase(network, sets("layer1.0.conv1", {16: 1e-3, 8: 0.9e-3, 0: 0.7e-3}))
    assert found.groups == ("layer1.0.conv1", "layer1.1.conv1")
    assert found.legal_widths("layer1.1.conv1") == found.legal_widths("layer1.0.conv1") == (16, 8, 0)
