"""Which networks are measured: repeatable, spanning, more telling than random ones, and when enough is enough."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UnknownName, UsageError
from harness.files.numbers import OPTIONS
from harness.latency.model import design
from harness.latency.model.held_out import HeldOutError, Judged
from harness.latency.model.predictor import FEWEST_BESIDE_PROXY, FEWEST_NETWORKS, LatencyPredictor
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.measurement import Prediction


def test_a_design_is_the_same_for_the_same_seed_and_begins_with_the_shorter_one(network):
    longer = design.design(network, 40, seed=3)
    assert design.design(network, 40, seed=3) == longer
    assert design.design(network, 15, seed=3) == longer[:15]
    assert design.design(network, 40, seed=4) != longer


@settings(max_examples=8)
@given(count=st.integers(1, 60), seed=st.integers(0, 5))
def test_designed_networks_fit_the_architecture_and_are_distinct(network, count, seed):
    configs = design.design(network, count, seed)
    assert len(set(configs)) == len(configs) == count
    for config in configs:
        network.check(config)


def test_a_design_spans_all_widths_and_both_states_of_every_branch(network):
    configs = design.design(network, 4, 0)
    assert configs[0] == network.dense()
    for group in network.groups:
        kept = {config.kept(group.name) for config in configs}
        assert {1, group.channels} <= kept
        assert (0 in kept) == group.removable


def test_only_allowed_widths_occur(network):
    allowed = {"stem": (8, 16), "layer1.0.conv1": (16,)}
    configs = (*design.design(network, 30, 0, allowed), *design.held_out(network, 30, 0, allowed))
    assert {config.kept("stem") for config in configs} == {8, 16}
    assert {config.kept("layer1.0.conv1") for config in configs} == {0, 16}


def test_held_out_networks_are_distinct_and_not_the_designed_ones(network):
    held = design.held_out(network, 60, 0)
    assert len(set(held)) == 60
    assert not set(held) & set(design.design(network, 60, 0))


def tiny(channels):
    """Of one group, so that it can become ``channels`` networks."""
    group = ChannelGroup("a", channels, ("a",), False, "a")
    layers = (LayerSite("a", "conv", (), "a", 3, channels, input_size=(4, 4)), LayerSite("fc", "linear", ("a",), None, channels, 2))
    return Architecture("tiny", (3, 4, 4), 2, (group,), layers)


def test_a_network_with_few_configurations_gives_them_all():
    assert sorted(c.kept("a") for c in design.design(tiny(4), 50, 0)) == [1, 2, 3, 4]


@pytest.mark.parametrize("channels", [1, 2, 4, 8, 12, 13, 16, 30, 64])
def test_what_is_held_out_of_few_configurations_leaves_enough_to_fit_on(measured, channels):
    """Held-out networks are never fitted on: of 16 configurations all 16 were, and the search ended with advice that led in a circle."""
    few = tiny(channels)
    held = design.held_out(few, 30, 0)
    assert len(held) <= channels / 3
    every = design.design(few, design.MOST, 0)
    assert len(every) == channels
    roles = [(config, "held-out" if config in held else "design") for config in every]
    fitted = LatencyPredictor.fit(few, [measured(few, one, 1e-4 * (10 + one.kept("a")), role) for one, role in roles])
    assert fitted.fitted_on == channels - len(held) >= min(FEWEST_NETWORKS, channels)
    for config in every:
        assert fitted.predict(config).seconds == pytest.approx(1e-4 * (10 + config.kept("a")), rel=0.05)


def test_the_options_of_every_command_line_ask_for_a_design_that_can_be_made():
    assert (OPTIONS["designs"].least, OPTIONS["designs"].most) == (FEWEST_BESIDE_PROXY, design.MOST)


def test_a_design_teaches_more_than_as_many_random_networks(network, machine, measured):
    """Both begin with the networks that span all widths, so that the difference is in the choice of the others."""

    def error(configs):
        fitted = LatencyPredictor.fit(network, [measured(network, c, machine(network, c), noise=0.003) for c in configs])
        fresh = design.held_out(network, 150, 77)
        truth = np.array([machine(network, c) for c in fresh])
        return np.mean(np.abs(fitted.seconds(fitted.table.site_map.widths(list(fresh))) / truth - 1))

    spanning = design.design(network, 4, 0)
    designed = np.mean([error(design.design(network, 30, seed)) for seed in range(4)])
    drawn = np.mean([error((*spanning, *design.held_out(network, 26, seed))) for seed in range(4)])
    assert designed < 0.95 * drawn


@pytest.mark.parametrize("count", [0, design.MOST + 1])
def test_an_impossible_count_is_refused(network, count):
    with pytest.raises(UsageError, match="ask for 1 to"):
        design.design(network, count, 0)


def test_no_held_out_network_at_all_is_refused(network):
    with pytest.raises(UsageError, match="at least 1"):
        design.held_out(network, 0, 0)


def test_widths_that_do_not_exist_are_refused(network):
    with pytest.raises(UnknownName, match="stemm"):
        design.design(network, 5, 0, {"stemm": (1,)})
    with pytest.raises(UsageError, match="stem cannot have widths"):
        design.design(network, 5, 0, {"stem": (8, 17)})
    with pytest.raises(UsageError, match="stem cannot have widths"):
        design.design(network, 5, 0, {"stem": ()})


@pytest.fixture
def after(network):
    """A held-out error of given mean and largest ratio after some networks."""

    def build(mean: float, largest: float, fitted_on: int) -> HeldOutError:
        errors = [mean - (largest - mean) / 9] * 9 + [largest]
        judged = [Judged(network.dense(), Prediction(1 + error, 0.9, 1.1), 1.0, 1.0) for error in errors]
        return HeldOutError(tuple(judged), 0, fitted_on, 0.005)

    return build


def test_measuring_goes_on_until_the_error_is_good_enough(after):
    assert design.decide([]).go_on
    assert design.decide([after(0.02, 0.04, 40)]).go_on
    assert design.decide([after(0.008, 0.09, 40)]).go_on  # the mean is good, one network is far off
    stop = design.decide([after(0.02, 0.04, 40), after(0.009, 0.03, 80)])
    assert not stop.go_on
    assert "0.90% is good enough after 80 networks" in stop.reason


def test_measuring_stops_when_it_no_longer_helps_or_nothing_is_left(after):
    flat = [after(0.030, 0.06, 40), after(0.0295, 0.06, 80), after(0.0299, 0.06, 120)]
    assert design.decide(flat[:2]).go_on
    assert not design.decide(flat).go_on
    assert not design.decide([after(0.03, 0.06, 200)], most=200).go_on
