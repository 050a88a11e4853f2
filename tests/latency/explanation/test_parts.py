"""The parts under the latency model: quiet latencies, rank correlation, held-out figures, variance components, site maps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import PruningError
from harness.latency.model import variance_components
from harness.latency.model.held_out import HeldOutError, Judged, spearman
from harness.latency.model.sites import SiteMap
from harness.latency.verdict import simulated_clock
from harness.latency.verdict.undisturbed import block_medians_s, undisturbed_s, usual_disturbance
from harness.records.measurement import Latency, Prediction


def test_the_undisturbed_latency_does_not_follow_bursts_where_the_median_does():
    rng = np.random.default_rng(0)
    weather = simulated_clock.Weather(burst_share=0.4, burst_ratio=0.3, drift_ratio=0.0)
    runs = [simulated_clock.run([1e-3], [0] * 12, 30, weather, rng)[0] for _ in range(60)]
    quiet, quoted = (np.array([figure(one) for one in runs]) for figure in (undisturbed_s, lambda one: one.median_s))
    assert np.std(quiet) / np.mean(quiet) < 0.5 * np.std(quoted) / np.mean(quoted)
    assert np.median(quiet) == pytest.approx(1e-3, rel=0.02)


def test_preempted_samples_do_not_count_unless_there_are_no_others():
    latency = Latency((1.0, 9.0, 9.0, 9.0, 9.0), (3, 2), preempted=(1, 2, 3, 4))
    assert block_medians_s(latency) == (1.0, 9.0)
    assert undisturbed_s(latency) == 1.0


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=40))
def test_the_undisturbed_latency_lies_among_the_samples(samples):
    latency = Latency(tuple(samples), (len(samples),))
    assert min(samples) <= undisturbed_s(latency) <= max(samples)


def test_a_burst_on_most_networks_does_not_change_the_usual_disturbance():
    quiet = [Latency((1.0,) * 4 + (1.01,) * 6, (5, 5)) for _ in range(40)]
    hit = [Latency((1.0,) * 4 + (1.5,) * 6, (5, 5)) for _ in range(60)]
    assert usual_disturbance(quiet) == pytest.approx(usual_disturbance(quiet + hit))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=30))
def test_rank_correlation_is_symmetric_and_bounded(pairs):
    first, second = zip(*pairs, strict=True)
    rho = spearman(first, second)
    if len(set(first)) > 1 and len(set(second)) > 1:
        assert -1 - 1e-9 <= rho <= 1 + 1e-9
        assert rho == pytest.approx(spearman(second, first))
        assert spearman([-f for f in first], second) == pytest.approx(-rho)
    else:
        assert math.isnan(rho)


def test_rank_correlation_of_known_ranks():
    assert spearman([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(0.8)
    assert spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(math.sqrt(3) / 2)


def test_held_out_figures_are_those_of_the_errors(network):
    config = network.dense()
    judged = tuple(Judged(config, Prediction(p, p - 0.1, p + 0.1), m, 1.1 * m) for p, m in ((1.02, 1.0), (2.0, 2.0), (3.0, 4.0)))
    error = HeldOutError(judged, 1, 40, 0.004)
    assert error.mape_ratio == pytest.approx((0.02 + 0 + 0.25) / 3)
    assert error.median_ratio == pytest.approx(0.02)
    assert error.max_ratio == pytest.approx(0.25)
    assert error.within_ratio(0.05) == pytest.approx(2 / 3)
    assert error.coverage_ratio == pytest.approx(2 / 3)
    assert error.rho == pytest.approx(1.0)
    assert error.mape_of_medians_ratio > error.median_ratio
    assert "3 held-out networks after 40 measured: mean error 9.00%" in error.sentence()


def test_amplitudes_and_noise_that_made_the_observations_are_found():
    rng = np.random.default_rng(1)
    designs = [rng.standard_normal((300, 40)) for _ in range(3)]
    truth = sum(d @ (sd * rng.standard_normal(40)) for d, sd in zip(designs, (1.0, 0.1, 0.0), strict=True))
    found = variance_components.fit(tuple(d @ d.T for d in designs), truth + 0.2 * rng.standard_normal(300), 1e-3)
    assert found.amplitudes[0] == pytest.approx(1.0, rel=0.5)
    assert found.amplitudes[1] == pytest.approx(0.01, rel=0.9)
    assert found.amplitudes[2] < 1e-3
    assert math.sqrt(found.noise) == pytest.approx(0.2, rel=0.15)


def test_leave_one_out_predictions_are_those_of_leaving_one_out():
    rng = np.random.default_rng(2)
    design = rng.standard_normal((30, 5))
    target = design @ rng.standard_normal(5) + 0.1 * rng.standard_normal(30)
    found = variance_components.fit((design @ design.T,), target, 1e-3)
    covariance = found.amplitudes[0] * design @ design.T + found.noise * np.eye(30)
    assert np.allclose(np.linalg.inv(covariance), found.precision, rtol=1e-5)  # nobody's noise was raised
    others = np.arange(1, 30)
    weights = np.linalg.solve(covariance[np.ix_(others, others)], target[1:])
    assert found.left_out_mean[0] == pytest.approx(float(covariance[0, others] @ weights), rel=1e-6)


def test_layers_that_cost_alike_share_a_class(residual_network):
    site_map = SiteMap.of(residual_network(blocks=3))
    class_of = {site.layer: site.site_class for site in site_map.sites}
    assert class_of["layer1.0.conv1"] == class_of["layer1.2.conv1"]
    assert class_of["layer2.1.conv2"] == class_of["layer2.2.conv2"]
    assert class_of["layer1.0.conv1"] != class_of["layer2.1.conv1"]  # another resolution
    assert class_of["layer2.0.conv1"] != class_of["layer2.1.conv1"]  # another stride


def skipped_layers(architecture, removed):
    """Layer to how often its reader skips positions, when the branches ``removed`` are gone."""
    site_map = SiteMap.of(architecture)
    found = site_map.skipped(site_map.widths([architecture.partial({f"{name}.conv1": 0 for name in removed})]))
    return {site_map.sites[position].layer: times for position, times in sorted(found)}


def test_the_layer_before_a_lone_strided_shortcut_is_known(residual_network):
    """Seen on OpenVINO's CPU: without ``layer2.0``'s branch the last layer of stage 1 runs at half the resolution."""
    three = residual_network(stages=(8, 16, 32), all_removable=True)
    assert skipped_layers(three, ()) == {}
    assert skipped_layers(three, ["layer1.1", "layer2.1"]) == {}
    assert skipped_layers(three, ["layer2.0"]) == {"layer1.1.conv2": 1}
    assert skipped_layers(three, ["layer2.0", "layer1.1"]) == {"layer1.0.conv2": 1}
    assert skipped_layers(three, ["layer2.0", "layer1.1", "layer1.0"]) == {"stem": 1}
    assert skipped_layers(three, ["layer3.0"]) == {"layer2.1.conv2": 1}
    assert skipped_layers(three, ["layer3.0", "layer2.1"]) == {"layer2.0.conv2": 1}
    everything = ["layer3.0", "layer2.1", "layer2.0", "layer1.1"]
    assert skipped_layers(three, everything) == {"layer1.0.conv2": 2, "layer2.0.down": 1}  # both strides reach stage 1


def test_a_network_whose_strided_blocks_stay_has_no_such_layer(network):
    assert SiteMap.of(network).junctions == ()


@given(data=st.data())
def test_gathered_widths_are_those_of_the_shapes(network, data):
    site_map = SiteMap.of(network)
    row = np.array([[data.draw(st.integers(0 if g.removable else 1, g.channels)) for g in network.groups]])
    config = site_map.config(row[0])
    assert np.array_equal(site_map.widths([config]), row)
    inputs, outputs, present = site_map.gather(row)
    shapes = network.shapes(config)
    for index, site in enumerate(site_map.sites):
        assert present[0, index] == (site.layer in shapes)
        if present[0, index] and site.layer != "fc":
            assert (inputs[0, index], outputs[0, index]) == (shapes[site.layer].in_channels, shapes[site.layer].out_channels)


def test_configurations_that_do_not_fit_are_refused(network, residual_network):
    with pytest.raises(PruningError):
        SiteMap.of(network).widths([residual_network(stages=(16, 64)).dense()])
