"""Adaptive designs: as many networks as the error asks for, each measured once, honest about runs of different level."""

from dataclasses import replace

import pytest

from harness.latency.model import design, instalments
from harness.latency.model.predictor import LatencyPredictor


class Bench:
    """Measures on the synthetic machine; every instalment runs at a level of its own, as on a machine that warms up."""

    def __init__(self, network, machine, measured, conditions, levels=(1.0,), noise=0.001):
        self.asked, self._levels = [], levels
        self._parts = network, machine, measured, conditions, noise

    def __call__(self, chosen):
        network, machine, measured, conditions, noise = self._parts
        level = self._levels[min(len(self.asked), len(self._levels) - 1)]
        where = conditions(taken_at=f"2026-11-23T18:{len(self.asked):02d}:00+00:00")
        self.asked.append(chosen)
        return [measured(network, config, level * machine(network, config), role, noise, where) for role, config in chosen]


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
