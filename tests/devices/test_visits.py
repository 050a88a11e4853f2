"""Many short visits find the latencies of the quiet machine on a loud one, and say where they could not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.devices.measure import Protocol, Subject, measure_interleaved
from harness.devices.probe import probe
from harness.devices.provenance import HostFacts
from harness.devices.session import Device, Quarantine
from harness.devices.spec import parse
from harness.devices.visits import AGAIN_AT_MOST, Visiting, Visits
from harness.errors import DeviceQuarantined, DeviceUnavailable, UsageError
from harness.latency.verdict.undisturbed import quiet_blocks, undisturbed_s
from harness.records.measurement import Measurement

Simulated = Callable[..., Device]
HOST = HostFacts((), "0123456789ab")
LOUD = {"noise": 0.01, "slow_share": 0.6, "slow_ratio": 1.5, "slow_spread": 0.05, "preempted_per_s": 2.0, "overhead_us": 100.0}


def subject(number: int) -> Subject:
    found = probe(4 * number)
    return Subject("probe", "a" * 16, None, found.onnx, "d" * 64, found.node_layers, label=str(number))


USUAL = Visiting()
SUBJECTS = [subject(number) for number in range(1, 16)]


def measured(device: Device, visiting: Visiting = USUAL, sets: int = 1) -> tuple[Measurement, ...]:
    with device.open() as session:
        visits = Visits(session, SUBJECTS[-1], visiting, host=HOST)
        return tuple(one for _ in range(sets) for one in visits.measure(SUBJECTS))


@pytest.mark.parametrize("seed", range(3))
def test_the_fast_state_of_a_loud_machine_is_the_quiet_machine(simulated: Simulated, seed: int) -> None:
    quiet = [undisturbed_s(one.latency) for one in measured(simulated(noise=0.01, overhead_us=100.0))]
    loud = measured(simulated(seed=seed, slow_most_s=1.0, **LOUD))
    errors = [abs(undisturbed_s(one.latency) / truth - 1) for one, truth in zip(loud, quiet, strict=True)]
    medians = [abs(one.latency.median_s / truth - 1) for one, truth in zip(loud, quiet, strict=True)]
    assert float(np.mean(errors)) < 0.02 < float(np.mean(medians))


def test_whoever_was_seldom_seen_in_the_fast_state_is_visited_again_and_nobody_else(simulated: Simulated) -> None:
    found = measured(simulated(seed=1, slow_most_s=0.5, **LOUD), Visiting(patience_ratio=100.0))
    visits = [len(one.latency.block_sizes) for one in found]
    assert all(10 <= count <= AGAIN_AT_MOST * 10 for count in visits)
    assert all((quiet_blocks(one.latency) or 0) >= 3 for one, count in zip(found, visits, strict=True) if count < AGAIN_AT_MOST * 10)
    assert {len(one.latency.block_sizes) for one in measured(simulated(noise=0.01, overhead_us=100.0))} == {10}


def test_without_patience_what_was_not_seen_is_said(simulated: Simulated) -> None:
    found = measured(simulated(seed=1, slow_most_s=30.0, slow_least_s=20.0, **LOUD), Visiting(patience_ratio=0.0))
    lacking = sum((quiet_blocks(one.latency) or 0) < 3 for one in found)
    told = dict(found[0].notes)["visits"]
    assert {len(one.latency.block_sizes) for one in found} == {10}
    assert (f"{lacking} networks were seen less than 3 times" in told) == (lacking > 0)


def test_a_later_set_knows_what_the_canary_took_in_an_earlier_one(simulated: Simulated) -> None:
    found = measured(simulated(seed=3, slow_most_s=1.0, **LOUD), sets=2)
    first, second = found[: len(SUBJECTS)], found[len(SUBJECTS) :]
    limits = {one.latency.canary_quiet_s for one in first}, {one.latency.canary_quiet_s for one in second}
    assert [len(limit) for limit in limits] == [1, 1]
    assert limits[1].pop() <= 1.01 * limits[0].pop()


def test_visits_tell_when_they_were_made_one_after_the_other(simulated: Simulated) -> None:
    found = measured(simulated(**LOUD))
    starts = [occasion.start_s for one in found for occasion in one.latency.occasions]
    assert len(set(starts)) == len(starts) == sum(len(one.latency.block_sizes) for one in found)
    assert all(list(one.latency.occasions) == sorted(one.latency.occasions, key=lambda at: at.start_s) for one in found)
    assert all(occasion.canary_s is not None and occasion.canary_s > 0 for one in found for occasion in one.latency.occasions)


def test_interleaved_blocks_have_their_canary_too_unless_a_pace_is_kept(simulated: Simulated) -> None:
    protocol = Protocol(rounds=80, blocks=8, min_time_s=0.0, precision_target=None, profile_compiles=0, loads=4)
    with simulated(**LOUD).open() as session:
        found = measure_interleaved(session, SUBJECTS[:2], protocol, host=HOST)
        paced = measure_interleaved(session, SUBJECTS[:2], Protocol(rounds=8, blocks=8, min_time_s=0.0, pace_hz=100.0), host=HOST)
    assert [[at.load for at in one.latency.occasions] for one in found] == [[0, 0, 1, 1, 2, 2, 3, 3]] * 2
    assert all(at.canary_s is not None for one in found for at in one.latency.occasions)
    assert all(one.latency.quiet == () for one in paced)


def test_where_every_request_is_a_process_visits_are_few_and_nobody_runs_a_canary(tmp_path: Path, stand_in: Callable[[str], Path]) -> None:
    options = {"trtexec": str(stand_in("10.3.0"))}
    board = Device(parse("jetson", {"runtime": "trtexec", "options": options, "resource": str(tmp_path)}, tmp_path), Quarantine())
    with board.open() as session:
        found = Visits(session, SUBJECTS[0], Visiting(visits=6, visit_rounds=5, process_visits=2), host=HOST).measure(SUBJECTS[:2])
    assert [len(one.latency.block_sizes) for one in found] == [2, 2]
    assert all(len(one.latency.samples_s) >= 30 and one.latency.quiet == () for one in found)


def test_no_networks_need_no_visits_and_no_visits_are_none(simulated: Simulated) -> None:
    with simulated().open() as session:
        assert Visits(session, SUBJECTS[0]).measure([]) == ()
    for wrong in ({"visits": 0}, {"visit_rounds": 0}, {"process_visits": 0}):
        with pytest.raises(UsageError, match="at least 1"):
            Visiting(**wrong)
    assert replace(Visiting.of_rounds(300), visit_s=Visiting().visit_s) == Visiting()


def test_a_slow_network_is_visited_as_often_but_for_fewer_inferences(simulated: Simulated) -> None:
    assert [Visiting().rounds(seconds) for seconds in (1e-4, 0.01, 0.02, 0.05, 10.0)] == [30, 30, 15, 10, 10]
    assert Visiting(visit_rounds=4).rounds(10.0) == 4
    assert Visiting.of_rounds(1000).rounds(10.0) == 100, "somebody asked for them"
    found = measured(simulated(noise=0.01, overhead_us=20_000.0))
    assert {size for one in found for size in one.latency.block_sizes} < set(range(10, 16))
    assert all(len(one.latency.block_sizes) == 10 for one in found)


def test_a_device_that_drops_keeps_what_every_network_was_visited_for(simulated: Simulated) -> None:
    count, few = 6, Visiting(visits=10, visit_rounds=5, warmup_rounds=1)
    drops = {"fault": "usb-drop", "fault_in": "infer"}
    with simulated(fault_after=2 * (5 * count + 2), **drops).open() as session:  # a visit is two requests, one of the canary
        found = Visits(session, SUBJECTS[-1], few, host=HOST).measure(SUBJECTS[:count])
        assert {len(one.latency.block_sizes) for one in found} == {5, 6}
        assert all("the stick left the USB bus" in dict(one.notes)["the device dropped"] for one in found)
        with pytest.raises(DeviceQuarantined):
            session.snapshot()
    early = simulated(fault_after=2 * (2 * count + 2), **drops)
    with early.open() as session, pytest.raises(DeviceUnavailable, match="left the USB bus"):
        Visits(session, SUBJECTS[-1], few, host=HOST).measure(SUBJECTS[:count])
