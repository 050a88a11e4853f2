"""Several choices timed in short turns, there and back again, so that a machine's slow moments fall on all of them alike.

What counts is the quick end of each: a neighbour only ever makes a step slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

TURN_S = 0.15  # short against the seconds for which machines are slow
FIRST_ROUNDS, MORE_ROUNDS = 2, 4  # A-B-B-A for all, then the same twice for those that may win: about a second for each of these
HOPELESS = 1.5  # times slower than the best, by the fastest step of the first rounds: a disturbed one must not end a choice
LEAST_STEPS = 2  # of a turn: on a busy machine one may take as long as the turn
QUICK_SHARE = 0.1  # of the steps: slower ones are the neighbours'

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Timed(Generic[Choice]):
    """The quick end of a choice's steps, in seconds."""

    choice: Choice
    step_s: float


def race(choices: Sequence[Choice], turn: Callable[[Choice], Sequence[float]], more_rounds: int = MORE_ROUNDS) -> tuple[Timed[Choice], ...]:
    """Time all choices.

    ``turn`` takes steps by one of them for ``TURN_S`` seconds, ``LEAST_STEPS`` at least, and answers the seconds of each.
    """
    seen: list[list[float]] = [[] for _ in choices]
    places = list(range(len(choices)))
    for number in range(FIRST_ROUNDS + more_rounds):
        if number == FIRST_ROUNDS:
            best = min((min(seconds) for seconds in seen), default=0.0)
            places = [place for place in places if min(seen[place]) <= HOPELESS * best]
        for place in places if number % 2 == 0 else reversed(places):
            seen[place] += turn(choices[place])
    return tuple(Timed(choice, quick_end(seconds)) for choice, seconds in zip(choices, seen, strict=True))


def visits(choices: Sequence[Choice], turn: Callable[[Choice], Sequence[float]]) -> tuple[Timed[Choice], ...]:
    """Time all choices in one long turn there and one back; ``turn`` is as long as it likes."""
    return race(choices, turn, more_rounds=0)


def quick_end(seconds: Sequence[float]) -> float:
    """Seconds of a step that nobody disturbed."""
    return float(np.quantile(seconds, QUICK_SHARE))
