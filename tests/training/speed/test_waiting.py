"""How threads wait: a policy that collapses beside others is never taken, and a person's word stands."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.training.speed import answers, waiting
from harness.training.speed.waiting import Policy, Seen

RATES = st.floats(1, 1000)
SEEN = st.lists(st.builds(Seen, st.builds(Policy, st.integers(0, 10**6)), RATES, RATES), min_size=1, unique_by=lambda one: one.policy)
TINY = """
from torch import nn
def tiny(input_shape, classes):
    return nn.Sequential(nn.Conv2d(input_shape[0], 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
"""


@given(SEEN)
def test_the_chosen_policy_holds_beside_others_and_none_that_does_is_much_faster(seen: list[Seen]) -> None:
    found = next(one for one in seen if one.policy == waiting.best(seen))
    steady = [one for one in seen if one.beside >= waiting.HOLDS * max(two.beside for two in seen)]
    assert found in steady
    assert found.alone >= waiting.ALIKE * max(one.alone for one in steady)


@given(SEEN, RATES)
def test_a_policy_that_collapses_changes_nothing_however_fast_it_is_alone(seen: list[Seen], alone: float) -> None:
    collapsing = Seen(Policy(10**9), 1000 * alone, 0.1 * min(one.beside for one in seen))
    assert waiting.best([*seen, collapsing]) == waiting.best(seen)


@pytest.mark.parametrize("name", waiting.VARIABLES)
def test_what_a_person_put_into_the_environment_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "attempt", lambda *_: pytest.fail("tried"))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv(name, "1")
    assert waiting.settle().chosen is None
    assert waiting.usual() == ()
    assert waiting.told() == f"{name}=1"


def test_one_thread_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert waiting.settle().chosen is None


def test_children_of_a_machine_that_was_not_asked_look_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in waiting.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert waiting.usual() == waiting.USUAL.environment


def test_a_busy_machine_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    undecided = {name: text for name, text in os.environ.items() if name not in waiting.VARIABLES}
    monkeypatch.setattr(os, "environ", {**undecided, "OMP_NUM_THREADS": "2"})
    monkeypatch.setattr(waiting, "_threads", lambda: 2)  # also where there is one
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(answers, "BUSY_SHARE", -1.0)
    monkeypatch.setattr(waiting, "attempt", lambda *_: pytest.fail("tried"))
    assert waiting.settle().chosen == waiting.USUAL
    assert waiting.told() == " ".join(f"{name}={text}" for name, text in waiting.USUAL.environment)


def test_children_train_by_their_policies_and_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.training.speed.turns.TURN_S", 0.01)
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    seen = waiting.attempt((f"{path}:tiny", 1, 8, 3, 4), waiting.POLICIES[:2])
    assert tuple(one.policy for one in seen) == waiting.POLICIES[:2]
    assert all(one.alone > 0 and one.beside > 0 for one in seen)


def test_where_no_child_can_train_nothing_is_said(tmp_path: Path) -> None:
    assert waiting.attempt((f"{tmp_path}/missing.py:tiny", 1, 8, 3, 4), waiting.POLICIES[:1]) == ()
