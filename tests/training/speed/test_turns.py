"""Choices timed in turns: a noisy machine slows all of them alike, and the quick end of each counts."""

from hypothesis import given
from hypothesis import strategies as st

from harness.training.speed import turns

SPEEDS = st.lists(st.floats(0.001, 1.0), min_size=1, max_size=6, unique=True)


@given(SPEEDS, st.randoms(use_true_random=False))
def test_a_neighbour_that_leaves_some_steps_alone_decides_nothing(speeds: list[float], chance: object) -> None:
    """Every turn has a step in three undisturbed, the others up to ten times slower: the order found is the true one."""

    def turn(speed: float) -> list[float]:
        return [speed, *(speed * chance.uniform(1, 10) for _ in range(2))]  # type: ignore[attr-defined]

    found = turns.race(speeds, turn)
    assert [one.choice for one in found] == speeds
    assert min(found, key=lambda one: one.step_s).choice == min(speeds)


@given(SPEEDS)
def test_the_way_back_is_the_way_there_reversed(speeds: list[float]) -> None:
    taken: list[float] = []

    def turn(speed: float) -> list[float]:
        taken.append(speed)
        return [speed]

    turns.race(speeds, turn)
    assert taken[: 2 * len(speeds)] == [*speeds, *reversed(speeds)]
    hopeless = {speed for speed in speeds if speed > turns.HOPELESS * min(speeds)}
    assert hopeless.isdisjoint(taken[2 * len(speeds) :])
    assert taken.count(min(speeds)) == turns.FIRST_ROUNDS + turns.MORE_ROUNDS
