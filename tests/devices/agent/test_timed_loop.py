"""The loop around an inference counts what it should, keeps a pace, and knows when it is warm."""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Iterator
from types import ModuleType

import pytest

from harness.devices.bundle import AGENT_DIRECTORY

TIMING = {"rounds": 5, "min_s": 0.0, "warmup_s": 0.0, "warmup_rounds": 0, "pace_s": 0.0}


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("timed_loop")
    sys.modules.pop("timed_loop")


class Counter:
    """An inference that only counts; pause_s: how long it sleeps."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.calls, self.pause_s, self.collecting = 0, pause_s, False

    def __call__(self) -> None:
        self.calls += 1
        self.collecting |= gc.isenabled()
        if self.pause_s:
            time.sleep(self.pause_s)


def test_as_many_samples_as_asked_for_after_as_many_warm_ups(loop: ModuleType) -> None:
    call = Counter()
    samples, facts = loop.run(call, TIMING | {"warmup_rounds": 7}, witness=False)
    assert (call.calls, len(samples.wall), facts["warmup_inferences"]) == (12, 5, 7)
    assert (len(samples.cpu), len(samples.preempted)) == (0, 0)


def test_a_minimum_of_seconds_adds_samples(loop: ModuleType) -> None:
    samples, _ = loop.run(Counter(0.001), TIMING | {"rounds": 1, "min_s": 0.02}, witness=False)
    assert sum(samples.wall) <= 0.02e9 + max(samples.wall)
    assert len(samples.wall) > 1


def test_a_witness_tells_waiting_from_working(loop: ModuleType) -> None:
    samples, _ = loop.run(Counter(0.002), TIMING, witness=True)
    assert len(samples.cpu) == len(samples.preempted) == 5
    assert all(cpu < wall for cpu, wall in zip(samples.cpu, samples.wall, strict=True))


def test_no_garbage_is_collected_meanwhile_and_all_is_as_before_after(loop: ModuleType) -> None:
    call = Counter()
    loop.run(call, TIMING, witness=False)
    assert not call.collecting
    assert gc.isenabled()


def test_a_pace_leaves_time_between_the_starts(loop: ModuleType) -> None:
    begin = time.perf_counter()
    samples, _ = loop.run(Counter(), TIMING | {"pace_s": 0.01}, witness=False)
    assert time.perf_counter() - begin >= 0.05
    assert sum(samples.wall) < 0.05e9


def test_a_warm_up_ends_when_two_windows_agree_or_after_its_limit(loop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    durations = iter([0.1] * 10 + [0.05] * 100)
    clock = {"now": 0.0}

    def once(call: object) -> float:
        took = next(durations)
        clock["now"] += took
        return took

    monkeypatch.setattr(loop, "time_once", once)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock["now"])
    facts = loop.warm_up(None, 0.5, 1)
    assert (facts["warmup_inferences"], facts["steady"]) == (26, True)  # the older window's median is then of the fast ones

    falling = (1.0 / number for number in range(1, 10**6))
    monkeypatch.setattr(loop, "time_once", lambda call: clock.__setitem__("now", clock["now"] + 0.01) or next(falling))
    clock["now"] = 0.0
    facts = loop.warm_up(None, 0.05, 1)
    assert facts["warmup_s"] == pytest.approx(0.5, abs=0.02)
    assert not facts["steady"]
