"""A predictor that starts from another device's table: what that saves, and that a table which tells nothing does no harm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LatencyUnknown, UsageError
from harness.latency.model import design, instalments, proxies
from harness.latency.model.predictor import LatencyPredictor
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.sweeps import transfer

EARLIER = "2026-11-01T18:00:00+00:00"


@pytest.fixture(scope="session")
def taken(network, machine, measured, conditions):
    """What a device measures of the design: the machine's seconds, as ``turned`` into that device's."""

    def build(designed, held=40, turned=lambda config, seconds: seconds, noise=0.005, architecture=network, seed=0, **where):
        chosen = [("design", c) for c in design.design(architecture, designed, 0)]
        chosen += [("held-out", c) for c in design.held_out(architecture, held, 0)] if held else []
        there = conditions(**where)
        return [measured(architecture, c, turned(c, machine(architecture, c)), r, noise, there, seed) for r, c in chosen]

    return build


@pytest.fixture(scope="session")
def other(network, taken):
    """A predictor of a machine of the same kind, measured before at a third of the speed."""
    return LatencyPredictor.fit(network, taken(80, turned=lambda _, s: 3 * s, name="before", taken_at=EARLIER, seed=1))


def test_ten_networks_beside_a_device_of_the_same_kind_are_worth_sixty_alone(network, taken, other):
    ten = LatencyPredictor.fit(network, taken(10), [other])
    sixty = LatencyPredictor.fit(network, taken(60))
    assert ten.learnt_from == other.conditions
    assert "the table of before in f32" in ten.learnt_sentence
    assert ten.held_out is not None
    assert sixty.held_out is not None
    assert ten.held_out.mape_ratio < 1.5 * sixty.held_out.mape_ratio
    assert ten.held_out.coverage_ratio > 0.8


def test_a_table_that_tells_nothing_does_no_harm(network, taken):
    """Another machine, whose seconds are none of the widths' doing."""
    noise = np.random.default_rng(0)
    foreign = LatencyPredictor.fit(network, taken(80, turned=lambda *_: 1e-4 * np.exp(noise.standard_normal()), name="odd"))
    here = taken(40)
    alone, beside = LatencyPredictor.fit(network, here), LatencyPredictor.fit(network, here, [foreign])
    assert alone.held_out is not None
    assert beside.held_out is not None
    assert beside.held_out.mape_ratio < 1.1 * alone.held_out.mape_ratio


def test_the_table_is_left_where_the_networks_measured_here_tell_more_alone(network, taken, other):
    """However few or many they are, they are never more surprising, each predicted from all others, than without any table."""
    noise = np.random.default_rng(0)
    foreign = LatencyPredictor.fit(network, taken(80, turned=lambda *_: 1e-4 * np.exp(noise.standard_normal()), name="odd"))
    chosen = []
    for count in (20, 40, 60):
        here = taken(count, held=0)
        alone, beside = LatencyPredictor.fit(network, here), LatencyPredictor.fit(network, here, [foreign])
        assert beside.surprise <= alone.surprise
        chosen.append(beside.learnt_from)
    assert None in chosen


@given(factor=st.floats(1e-3, 1e3))
def test_how_fast_the_other_device_is_says_nothing(factor, network, taken, other):
    here = taken(10, held=0)
    quicker = LatencyPredictor.fit(network, taken(30, turned=lambda _, s: factor * s, name="before", noise=0.0))
    usual = LatencyPredictor.fit(network, taken(30, name="before", noise=0.0))
    ours, theirs = (LatencyPredictor.fit(network, here, [one]).predict(network.dense()).seconds for one in (quicker, usual))
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_what_a_layer_costs_still_adds_up(network, taken, other):
    model = LatencyPredictor.fit(network, taken(12), [other])
    rows = model.table.site_map.widths([network.dense(), *design.design(network, 8, 0)])
    total = model.table.constant_s + model.table.layer_seconds(rows).sum(axis=1)
    assert total == pytest.approx(model.table.seconds(rows))
    everything = tuple(range(len(network.layers)))
    assert 0 < model.layers_sd_s(rows[0], everything) < 0.2 * model.table.seconds(rows)[0]


def test_few_networks_are_refused_without_a_table_and_with_that_of_another_network(network, residual_network, taken):
    wider = residual_network((16, 48))
    unlike = LatencyPredictor.fit(wider, taken(40, architecture=wider))
    with pytest.raises(LatencyUnknown, match="too few"):
        LatencyPredictor.fit(network, taken(10), [unlike])


def test_a_file_holds_what_it_was_learnt_from(tmp_path, network, taken, other):
    before, here = taken(30, name="before", taken_at=EARLIER, seed=1), taken(10)
    benchmark_json.write(tmp_path / "before.json", BenchmarkFile(tuple(before), (network,)))
    learnt = proxies.read(f"{tmp_path}/before.json", network)
    assert learnt == tuple(before)
    benchmark_json.write(tmp_path / "here.json", BenchmarkFile(tuple(here), (network,), learnt_from=learnt))
    again = benchmark_json.read(tmp_path / "here.json")
    assert again.measurements == tuple(here)
    refitted = LatencyPredictor.fit(network, again.measurements, proxies.of_file(again, again.measurements))
    direct = LatencyPredictor.fit(network, here, proxies.fitted(network, before))
    assert refitted.predict(network.dense()) == direct.predict(network.dense())
    assert proxies.read(f"{tmp_path}/here.json", network) == (*here, *before), "what was learnt from can be learnt from again"


def test_in_one_file_only_what_was_measured_before_is_learnt_from(network, taken):
    f32, int8 = taken(30, taken_at=EARLIER), taken(30, precision="int8", seed=2)
    file = BenchmarkFile((*f32, *int8), (network,))
    assert [one.conditions.precision for one in proxies.of_file(file, int8)] == ["f32"]
    assert proxies.of_file(file, f32) == ()


def test_files_that_tell_nothing_of_this_network_are_refused(tmp_path, network, residual_network, taken):
    benchmark_json.write(tmp_path / "few.json", BenchmarkFile(tuple(taken(4, held=0)), (network,)))
    with pytest.raises(UsageError, match=r"few\.json holds too few measured networks of residual at 3x16x16 to learn from; leave it out"):
        proxies.read(f"{tmp_path}/few.json", network)


def test_the_first_instalment_is_small_beside_a_table(network, machine, measured, other):
    asked = []

    def measure(chosen):
        asked.append(len(chosen))
        return [measured(network, c, machine(network, c), role, 0.002) for role, c in chosen]

    found = instalments.take(network, 100, 30, 0, 0.02, measure, proxies=[other])
    assert asked == [instalments.FIRST_BESIDE_PROXY + 30]
    assert "good enough after 10 networks" in found.decision.reason


def test_the_sweep_tells_how_many_networks_are_needed(tmp_path, network, taken, capsys):
    for name, when, seed in (("before", EARLIER, 1), ("here", "2026-11-23T18:00:00+00:00", 0)):
        rows = taken(30, name=name, taken_at=when, seed=seed)
        benchmark_json.write(tmp_path / f"{name}.json", BenchmarkFile(tuple(rows), (network,)))
    words = [f"--before={tmp_path}/before.json", f"--here={tmp_path}/here.json"]
    assert transfer.main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "before: residual in f32 on before (openvino, a processor)",
        "here:   residual in f32 on here (openvino, a processor)",
    ]
    assert [line.split()[0] for line in told[3:]] == ["8", "10", "12", "20", "30"]
    assert "too few" in told[3]
    assert transfer.main([*words, "--precision=f32:int8"]) == 2
    assert "no designed networks in int8" in capsys.readouterr().err
