"""Adaptive designs: as many networks as the error asks for, each measured once, honest about runs of different level."""

from dataclasses import replace

import pytest

from harness.errors import DeviceUnavailable
from harness.latency.model import design, instalments
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture, ChannelGroup, LayerSite


class Bench:
    """Measures on the synthetic machine; every instalment runs at a level of its own, as on a machine that warms up."""

    def __init__(self, network, machine, measured, conditions, levels=(1.0,), noise=0.001, anew=False):
        self.asked, self._levels, self._anew = [], levels, anew  # anew: whether noise differs from one time to the next
        self._parts = network, machine, measured, conditions, noise

    def __call__(self, chosen):
        network, machine, measured, conditions, noise = self._parts
        level = self._levels[min(len(self.asked), len(self._levels) - 1)]
        where = conditions(taken_at=f"2026-11-23T18:{len(self.asked):02d}:00+00:00")
        self.asked.append(chosen)
        seed = len(self.asked) if self._anew else 0
        return [measured(network, config, level * machine(network, config), role, noise, where, seed) for role, config in chosen]


@pytest.fixture(scope="module")
def bench(network, machine, measured, conditions):
    def build(**changes):
        return Bench(network, machine, measured, conditions, **changes)

    return build


@pytest.fixture(scope="module")
def adaptive(network, bench):
    """One adaptive run, with the bench on which it ran."""
    ran = bench()
    return ran, instalments.take(network, 150, 20, 0, 0.01, ran)


def test_measuring_ends_with_the_first_instalment_that_is_good_enough(network, adaptive):
    _, found = adaptive
    assert found.errors[-1].mape_ratio <= 0.01
    assert all(error.mape_ratio > 0.01 or error.max_ratio > 0.05 for error in found.errors[:-1])
    assert len(found.designed) == found.errors[-1].fitted_on < 150
    assert f"good enough after {len(found.designed)} networks" in found.decision.reason


def test_every_network_is_measured_once_and_the_held_out_ones_with_the_first(network, adaptive):
    ran, found = adaptive
    asked = [pair for chosen in ran.asked for pair in chosen]
    assert len(set(asked)) == len(asked) == len(found.designed) + len(found.held_out)
    assert [m.config for m in found.designed] == list(design.design(network, 150, 0)[: len(found.designed)])
    assert [m.config for m in found.held_out] == list(design.held_out(network, 20, 0))
    assert {role for role, _ in ran.asked[0]} == {"design", "held-out"}
    assert all(role == "design" for chosen in ran.asked[1:] for role, _ in chosen)


def test_what_is_held_out_is_not_designed_too_where_few_can_be(measured):
    """Of two groups of 16, a random network held out was now and then a designed one, and twelve designs were eleven to fit on."""
    groups = tuple(ChannelGroup(name, 16, (name,), False, name) for name in "ab")
    layers = (
        LayerSite("a", "conv", (), "a", 3, 16, input_size=(8, 8)),
        LayerSite("b", "conv", ("a",), "b", 16, 16, input_size=(8, 8)),
        LayerSite("fc", "linear", ("b",), None, 16, 2),
    )
    small = Architecture("small", (3, 8, 8), 2, groups, layers)
    for seed in range(8):
        found = instalments.take(small, 12, 30, seed, 0.5, lambda chosen: [measured(small, c, 1e-4, role) for role, c in chosen])
        assert not {m.config for m in found.designed} & {m.config for m in found.held_out}
        assert (len(found.designed), len(found.held_out)) == (12, 30)
        assert LatencyPredictor.fit(small, (*found.designed, *found.held_out)).fitted_on == 12


def test_no_more_than_allowed_are_measured_and_the_reason_says_so(network, bench):
    noisy = bench(noise=0.05)
    found = instalments.take(network, 70, 10, 0, 0.0001, noisy)
    assert [sum(role == "design" for role, _ in chosen) for chosen in noisy.asked] == [60, 10]
    assert [sum(role == "held-out" for role, _ in chosen) for chosen in noisy.asked] == [10, 0]
    assert len(found.designed) == 70
    assert "as many as were allowed" in found.decision.reason


@pytest.mark.parametrize(("spare", "good_enough"), [(0, 0.01), (5, 0.0)], ids=["nothing held out", "never good enough"])
def test_without_a_reason_to_stop_all_are_measured_in_one_instalment(network, bench, spare, good_enough):
    ran = bench()
    found = instalments.take(network, 65, spare, 0, good_enough, ran)
    assert len(ran.asked) == 1
    assert len(found.designed) == 65
    assert len(found.held_out) == spare
    assert found.decision.reason == "all of the 65 networks that were allowed are measured"


def test_too_few_networks_for_a_model_are_measured_all_the_same(network, bench):
    found = instalments.take(network, 5, 3, 0, 0.01, bench())
    assert (len(found.designed), len(found.held_out), found.errors) == (5, 3, ())


def test_a_machine_that_slows_down_between_instalments_is_no_error_of_the_model(network, bench):
    """The held-out networks ran at the first level only; judged at the level of their own run, they agree."""
    ran = bench(levels=(1.0, 1.06, 1.06, 1.06))
    found = instalments.take(network, 120, 20, 0, 1e-9, ran)
    assert found.errors[-1].mape_ratio < 0.015
    apart = replace(
        LatencyPredictor.fit(network, found.designed), held_out=None
    )  # what the same networks look like to who ignores the levels
    ignored = [abs(apart.predict(m.config).seconds / m.latency.median_s - 1) for m in found.held_out]
    assert sum(ignored) / len(ignored) > 0.02


def persistent(network, ran, most_s=1e6, limit=0.03, good=0.005):
    return instalments.take(network, 60, 20, 0, good, ran, instalments.Persistence(limit, most_s))


@pytest.mark.parametrize("limit", [0.01, 0.06])
def test_where_the_machine_is_too_noisy_all_are_measured_again_as_long_as_that_helps(network, bench, limit):
    ran = bench(noise=0.08, anew=True)
    found = persistent(network, ran, limit=limit)
    errors = [error.mape_ratio for error in found.errors]
    assert found.again == len(ran.asked) - 1 > 0
    assert errors[-1] < errors[0]
    assert all(error > limit for error in errors[:-1])
    assert errors[-1] <= limit or errors[-1] > 0.95 * errors[-2]
    assert {len(m.latency.block_sizes) for m in (*found.designed, *found.held_out)} == {5 * (1 + found.again)}
    assert f"after all were measured {1 + found.again} times" in found.decision.reason


def test_without_time_it_ends_and_says_what_may_help(network, bench):
    ran = bench(noise=0.08, anew=True)
    found = persistent(network, ran, most_s=0.0)
    assert (found.again, len(ran.asked)) == (0, 1)
    assert "a quieter machine, or more time, may help" in found.decision.reason


def test_a_quiet_machine_is_not_measured_again(network, bench):
    ran = bench(noise=0.001)
    found = persistent(network, ran)
    assert (found.again, len(ran.asked)) == (0, 1)
    assert found.errors[-1].doubt(0.03) == ""


def test_an_error_of_the_models_own_is_not_measured_away(network, machine, measured, conditions, bench):
    """Every network has a quirk of its own that no measurement of others tells."""

    def quirky(chosen):
        return [
            measured(network, config, machine(network, config) * (1 + 0.2 * (int(config.digest, 16) % 2)), role, 0.0005)
            for role, config in chosen
        ]

    found = persistent(network, quirky, limit=0.001, good=0.0001)
    assert found.errors[-1].mape_ratio > 0.001
    assert found.again == 1
    assert "more designed networks" in found.decision.reason


def test_what_a_large_error_means_is_said(network, bench):
    error = persistent(network, bench(noise=0.08), most_s=0.0).errors[-1]
    told = error.doubt(0.03)
    assert f"{error.mape_ratio:.1%}" in told
    assert error.indistinct_ratio >= error.median_ratio
    assert error.doubt(error.mape_ratio) == ""


def test_a_device_that_drops_between_instalments_loses_nothing_that_was_measured(network, bench):
    ran = bench(noise=0.05)

    def dropping(chosen):
        if len(ran.asked) == 2:
            raise DeviceUnavailable("the stick left the USB bus; plug it in again")
        return ran(chosen)

    found = instalments.take(network, 150, 20, 0, 0.0001, dropping)
    assert len(found.designed) == instalments.FIRST + instalments.NEXT
    assert len(found.held_out) == 20
    assert "the device dropped after 90 networks, which are kept: the stick left the USB bus" in found.decision.reason
    assert found.lost
    with pytest.raises(DeviceUnavailable, match="the stick left"):
        instalments.take(network, 150, 20, 0, 0.0001, dropping)  # nothing was measured before: there is nothing to keep
