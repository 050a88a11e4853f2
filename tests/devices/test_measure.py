"""A measurement holds raw samples in blocks, stops when it is precise, and takes networks in balanced turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.measure import (
    ADVISED_LOADS,
    ADVISED_QUIET_PAIRS,
    ADVISED_ROUNDS,
    AGAIN_AT_MOST,
    FEWEST_LOADS,
    Protocol,
    Subject,
    comparison,
    enough,
    load_shares,
    measure,
    measure_interleaved,
    turn_orders,
)
from harness.devices.probe import Probe
from harness.devices.provenance import HostFacts, host_facts
from harness.devices.replies import Block, NodeTime
from harness.devices.samples import Turn, merge_runs
from harness.devices.session import Device, Loaded, Session
from harness.errors import UsageError
from harness.records.measurement import Measurement

Simulated = Callable[..., Device]
HOST = HostFacts((("torch", "2.13.0"),), "0123456789ab+")
LONG = Protocol(rounds=500, min_time_s=0.0, blocks=10, precision_target=0.01, profile_compiles=0)


@pytest.fixture
def subject(network: Probe) -> Subject:
    return Subject("probe", "a" * 16, None, network.onnx, "d" * 64, network.node_layers)


def test_the_default_protocol_measures_long_enough(simulated: Simulated, subject: Subject) -> None:
    with simulated(noise=0.0).open() as session:
        found = measure(session, subject, Protocol(precision_target=None), host=HOST)
    assert len(found.latency.samples_s) >= 500
    assert sum(found.latency.samples_s) >= 1.0 - 0.01
    assert len(found.latency.block_sizes) == 5


def test_a_precise_measurement_stops_after_three_blocks_never_before(simulated: Simulated, subject: Subject) -> None:
    with simulated(noise=0.001).open() as session:
        assert len(measure(session, subject, LONG, host=HOST).latency.block_sizes) == 3
    with simulated(noise=0.5).open() as session:
        assert len(measure(session, subject, LONG, host=HOST).latency.block_sizes) == 10


def test_the_record_says_what_was_measured_where_and_when(simulated: Simulated, subject: Subject) -> None:
    steps: list[tuple[int, int]] = []
    with simulated().open() as session:
        found = measure(session, subject, Protocol(min_time_s=0.0), batch_size=4, host=HOST, progress=lambda *step: steps.append(step))
    assert found.provenance == "SIMULATED"
    assert found.conditions.batch_size == 4
    assert found.conditions.effective_precision == "f16"
    assert found.conditions.git_commit == HOST.git_commit
    assert found.artefact_bytes == len(subject.onnx)
    assert found.conditions.before.taken_at <= found.conditions.after.taken_at
    assert steps[-1][0] == steps[-1][1]
    assert ("warm-up", "0.200 s") not in found.notes


def test_nodes_come_from_fresh_compilations_and_the_total_does_not(simulated: Simulated, subject: Subject) -> None:
    with simulated(noise=0.0).open() as session:
        found = measure(session, subject, Protocol(min_time_s=0.0, profile_compiles=3), host=HOST)
    assert {len(layer.runs_s) for layer in found.layers} == {3}
    assert found.profiled is not None
    assert len(found.profiled.samples_s) >= 3 * 200
    assert found.latency.median_s == pytest.approx(sum(layer.median_s for layer in found.layers), rel=0.01)


def test_drift_falls_on_all_networks_alike_only_when_they_take_turns(simulated: Simulated, subject: Subject) -> None:
    protocol = Protocol(rounds=400, min_time_s=0.0, blocks=4, precision_target=None, profile_compiles=0, warmup_s=0.0, warmup_rounds=0)
    with simulated(drift_per_s=1.0, noise=0.0).open() as session:
        turns = [statistics.mean(one.latency.block_medians_s) for one in measure_interleaved(session, [subject] * 4, protocol, host=HOST)]
    with simulated(drift_per_s=1.0, noise=0.0).open() as session:
        alone = [statistics.mean(measure(session, subject, protocol, host=HOST).latency.block_medians_s) for _ in range(4)]
    assert max(turns) / min(turns) < 1.005
    assert max(alone) / min(alone) > 1.1


def test_turns_stop_early_only_when_every_network_is_precise(simulated: Simulated, subject: Subject) -> None:
    with simulated(noise=0.001).open() as session:
        found = measure_interleaved(session, [subject] * 2, LONG, host=HOST)
    assert [len(one.latency.block_sizes) for one in found] == [4, 4]  # three are enough, four are balanced


def turn(*wall_ns: int) -> Turn:
    return Turn(Block(wall_ns, (), (), 0.0, 0, True))


def test_one_network_that_is_not_precise_keeps_all_of_them_going() -> None:
    steady, restless = [turn(*[100] * 50)] * 4, [turn(*[100, 200] * 25)] * 4
    assert enough([steady, steady], 4, LONG)
    assert not enough([steady, restless], 4, LONG)
    assert not enough([steady[:3], steady[:3]], 3, LONG)


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 50))
def test_loads_share_the_turns_in_whole_pairs(count: int, blocks: int, loads: int) -> None:
    orders = turn_orders(count, Protocol(blocks=blocks))
    shares = load_shares(orders, loads)
    assert [order for share in shares for order in share] == list(orders)
    assert len(shares) == min(loads, -(-blocks // 2))
    assert all(len(share) % 2 == 0 for share in shares[:-1])
    assert max(map(len, shares)) - min(map(len, shares)) <= 3


def test_networks_are_loaded_anew_as_often_as_asked_and_unloaded_each_time(
    simulated: Simulated, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = Protocol(rounds=80, blocks=8, min_time_s=0.0, precision_target=None, profile_compiles=0, loads=4)
    with simulated(noise=0.0).open() as session:
        loads, unloads = [], []
        load, unload = type(session).load, Loaded.unload
        monkeypatch.setattr(type(session), "load", lambda *given, **named: loads.append(1) or load(*given, **named))
        monkeypatch.setattr(Loaded, "unload", lambda one: unloads.append(1) or unload(one))
        found = measure_interleaved(session, [subject] * 3, protocol, host=HOST)
    assert (len(loads), len(unloads)) == (12, 12)
    assert [len(one.latency.block_sizes) for one in found] == [8] * 3


@pytest.mark.parametrize(("rounds", "expected"), [(60, 2), (750, 7), (1500, 13)])
def test_loading_anew_takes_no_longer_than_what_was_asked_for_is_worth(
    rounds: int, expected: int, simulated: Simulated, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two networks that take five seconds between them: a comparison of few samples is no place for twenty loads of each."""
    protocol = replace(comparison(rounds, 40), rounds=40, min_time_s=0.0, profile_compiles=0, quiet_pairs=0)
    with simulated(noise=0.0).open() as session:
        loads, load = [], type(session).load

        def slow(*given: object, **named: object) -> Loaded:
            loads.append(load(*given, **named))  # type: ignore[arg-type]
            loads[-1].load_s = 2.5
            return loads[-1]

        monkeypatch.setattr(type(session), "load", slow)
        measure_interleaved(session, [subject] * 2, protocol, host=HOST)
    assert len(loads) == 2 * expected


@given(st.lists(st.integers(1, 2000), min_size=2, max_size=2).map(sorted), st.integers(8, 80))
def test_whoever_asks_for_fewer_samples_gets_no_more_loads_but_enough_for_an_interval(rounds: list[int], pairs: int) -> None:
    fewer, more = (comparison(asked, pairs) for asked in rounds)
    assert FEWEST_LOADS <= fewer.loads <= more.loads <= comparison(ADVISED_ROUNDS, pairs).loads == ADVISED_LOADS
    assert 1 <= fewer.profile_compiles <= more.profile_compiles <= Protocol().profile_compiles
    assert comparison(60, pairs).loads < comparison(400, pairs).loads == ADVISED_LOADS, "a quick look takes no twenty loads"


def test_no_networks_take_no_turns(simulated: Simulated) -> None:
    with simulated().open() as session:
        assert measure_interleaved(session, []) == ()


@given(st.integers(1, 20), st.integers(1, 12), st.integers(0, 5))
def test_every_block_has_every_network_and_the_next_goes_backwards(count: int, blocks: int, seed: int) -> None:
    orders = turn_orders(count, Protocol(blocks=blocks, seed=seed))
    assert len(orders) == blocks
    assert all(sorted(order) == list(range(count)) for order in orders)
    assert all(later == first[::-1] for first, later in zip(orders[::2], orders[1::2], strict=False))
    assert orders == turn_orders(count, Protocol(blocks=blocks, seed=seed))


def test_a_pace_and_a_long_load_are_told(simulated: Simulated, subject: Subject) -> None:
    protocol = Protocol(sustained_s=3.0, pace_hz=200.0, profile_compiles=0)
    with simulated(throttle_after_s=0.05, throttle_factor=0.5).open() as session:
        found = measure(session, subject, protocol, host=HOST)
    assert len(found.latency.block_sizes) == 3
    assert found.conditions.throttled
    heat = dict(found.notes)
    assert heat["pace"] == "200 Hz"
    assert heat["after 3 s"] == "350 MHz, " + heat["after 3 s"].split(", ")[1]
    first, *_, last = found.latency.block_medians_s
    assert last > 1.5 * first


def test_a_node_that_one_compilation_lacks_took_no_time_there() -> None:
    runs = [
        [NodeTime("a", "Conv", 3.0, ("x",), ("layer",)), NodeTime("copy", "Reorder", 1.0, ())],
        [NodeTime("a", "Conv", 5.0, ("x",), ("layer",)), NodeTime("a", "Conv", 7.0, ())],
    ]
    rows = merge_runs(runs)
    assert [(row.node, row.source_layers, row.runs_s) for row in rows] == [
        ("a", ("layer",), (3.0, 5.0)),
        ("copy", (), (1.0, 0.0)),
        ("a", (), (0.0, 7.0)),
    ]


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=1, max_size=4))
def test_merging_loses_no_time(runs: list[list[float]]) -> None:
    rows = merge_runs([[NodeTime(str(i), "Conv", seconds, ()) for i, seconds in enumerate(run)] for run in runs])
    for number, run in enumerate(runs):
        assert sum(row.runs_s[number] for row in rows) == pytest.approx(sum(run))
    assert all(row.median_s == statistics.median(row.runs_s) for row in rows)


@pytest.mark.parametrize(
    "wrong",
    [{"rounds": 0}, {"blocks": 0}, {"min_time_s": -1.0}, {"precision_target": 0.0}, {"precision_target": 2.0}, {"pace_hz": 0.0}],
    ids=str,
)
def test_a_protocol_that_measures_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Protocol(**wrong)  # type: ignore[arg-type]


def test_the_host_tells_its_versions_and_commit() -> None:
    facts = host_facts()
    assert "numpy" in dict(facts.versions)
    assert facts.git_commit


def compared(session: Session, subject: Subject, **changed: float) -> tuple[Measurement, ...]:
    chosen = replace(comparison(400, 20), min_time_s=0.0, warmup_s=0.0, profile_compiles=0, **changed)  # type: ignore[arg-type]
    return measure_interleaved(session, [subject] * 2, chosen, host=HOST)


def test_a_comparison_goes_on_while_the_machine_is_seldom_in_its_fast_state(simulated: Simulated, subject: Subject) -> None:
    with simulated(noise=0.005).open() as session:
        quiet = compared(session, subject)
    with simulated(noise=0.005, slow_share=0.7, slow_ratio=1.6, slow_least_s=0.01, slow_most_s=0.1, load_s=0.01, seed=3).open() as session:
        loud = compared(session, subject)
        alone = compared(session, subject, quiet_pairs=0)
    assert [len(one.latency.block_sizes) for one in (*quiet, *alone)] == [20] * 4
    first, second = (one.latency for one in loud)
    assert 20 < len(first.block_sizes) == len(second.block_sizes) <= AGAIN_AT_MOST * 20
    met = sum(ours and theirs for ours, theirs in zip(first.quiet, second.quiet, strict=True))
    assert met >= ADVISED_QUIET_PAIRS or len(first.block_sizes) == AGAIN_AT_MOST * 20


def test_who_is_loaded_first_is_drawn_anew_for_every_load(simulated: Simulated, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes first may lie better in memory; in one order for all loads, that would become a verdict."""
    names: list[str] = []
    with simulated(noise=0.0).open() as session:
        load = type(session).load
        monkeypatch.setattr(type(session), "load", lambda one, onnx, name, *given: names.append(name) or load(one, onnx, name, *given))
        chosen = replace(comparison(400, 40), rounds=40, min_time_s=0.0, warmup_s=0.0, profile_compiles=0)
        measure_interleaved(session, [subject, replace(subject, network="other")], chosen, host=HOST)
    firsts = names[::2]
    assert len(firsts) == 20
    assert 4 <= firsts.count("other") <= 16
