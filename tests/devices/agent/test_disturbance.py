"""A loud machine on purpose: slow for the share of time that was asked for, for as long as was asked for, the same for the same seed."""

from __future__ import annotations

import importlib
import itertools
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.probe import Probe
from harness.devices.session import Device
from harness.errors import UsageError

Simulated = Callable[..., Device]


@pytest.fixture(scope="module")
def disturbance() -> Iterator[ModuleType]:
    sys.path.insert(0, str(AGENT_DIRECTORY))
    yield importlib.import_module("disturbance")
    sys.path.remove(str(AGENT_DIRECTORY))
    sys.modules.pop("disturbance")


def course(disturbance: ModuleType, seed: int = 0, **changes: float) -> Any:
    return disturbance.Disturbance(dict(disturbance.NUMBERS, **changes), seed)


def states(machine: Any, until_s: float, step_s: float = 0.005) -> list[bool]:
    return [machine.slow(number * step_s) for number in range(int(until_s / step_s))]


@given(share=st.floats(0.1, 0.8), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_slow_states_take_their_share_of_the_time(disturbance: ModuleType, share: float, seed: int) -> None:
    found = statistics.mean(states(course(disturbance, seed, slow_share=share, slow_most_s=1.0), 400.0, 0.02))
    assert found == pytest.approx(share, abs=0.12)


@given(seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_slow_states_last_as_long_as_was_asked_for(disturbance: ModuleType, seed: int) -> None:
    machine = course(disturbance, seed, slow_share=0.5, slow_least_s=0.1, slow_most_s=0.4)
    machine.slow(30.0)
    slow_s = [end - begin for begin, end in itertools.pairwise(machine.changes) if machine.slow((begin + end) / 2)]
    assert len(slow_s) > 20
    assert 0.1 <= min(slow_s) < max(slow_s) <= 0.4 * (1 + 1e-9)


@given(now_s=st.floats(0, 100), salt=st.floats(-1, 1))
@settings(max_examples=50, deadline=None)
def test_a_quiet_machine_changes_nothing(disturbance: ModuleType, now_s: float, salt: float) -> None:
    quiet = course(disturbance)
    assert quiet.ratio(now_s, salt) == 1.0
    assert quiet.stolen_s(1.0) == 0.0


@given(seed=st.integers(0, 99), times=st.lists(st.floats(0, 50), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_the_course_is_the_same_in_whatever_order_it_is_asked_for(disturbance: ModuleType, seed: int, times: list[float]) -> None:
    loud = {"slow_share": 0.4, "wander": 0.02}
    first, second = course(disturbance, seed, **loud), course(disturbance, seed, **loud)
    assert {now: first.ratio(now, 0.0) for now in times} == {now: second.ratio(now, 0.0) for now in reversed(times)}


def test_networks_are_slowed_down_alike_but_for_the_spread(disturbance: ModuleType) -> None:
    loud = course(disturbance, slow_share=0.999, slow_ratio=1.5, slow_spread=0.1)
    slow_s = next(now / 100 for now in range(10_000) if loud.slow(now / 100))
    assert [loud.ratio(slow_s, salt) for salt in (-1.0, 0.0, 1.0)] == pytest.approx([1.45, 1.5, 1.55])


def test_the_level_wanders_as_far_as_was_asked_for_over_a_minute(disturbance: ModuleType) -> None:
    after = [math.log(course(disturbance, seed, wander=0.02).ratio(60.0, 0.0)) for seed in range(200)]
    assert statistics.stdev(after) == pytest.approx(0.02, rel=0.25)


def test_the_device_takes_its_numbers_or_says_which_one_is_wrong(simulated: Simulated, network: Probe) -> None:
    with simulated(noise=0.0, slow_share=0.5, slow_ratio=2.0, slow_spread=0.0, slow_least_s=0.01, slow_most_s=0.02).open() as session:
        block = session.load(network.onnx, "probe").infer(3000, 0.5)
    assert max(block.wall_ns) / min(block.wall_ns) == pytest.approx(2.0, rel=0.01)
    for option, wrong in (("slow_share", 1.0), ("slow_share", "much"), ("noise", -5), ("noise", math.inf), ("slow_least_s", 9.0)):
        with pytest.raises(UsageError, match=option.partition("_")[0]):
            simulated(**{option: wrong}).open()
