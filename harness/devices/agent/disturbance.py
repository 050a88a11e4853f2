"""What a loud machine does to work: slow states that last, moments without the processor, a level that wanders.

Modelled on a two-core virtual machine whose neighbour computes on the sibling thread: for a twentieth of a second up to many
seconds everything takes 1.3 to 1.8 times as long, networks not quite alike, then it is quick again.
"""

import bisect
import math
import random

NUMBERS = {
    "slow_share": 0.0,  # of the time that is spent in slow states
    "slow_ratio": 1.5,  # how many times as long everything takes there
    "slow_spread": 0.05,  # by how much of the slowdown networks differ, at most
    "slow_least_s": 0.05,  # a slow state's duration, drawn evenly on a logarithmic scale
    "slow_most_s": 5.0,
    "preempted_per_s": 0.0,  # how often something else takes the processor
    "preempted_s": 0.002,  # and for how long
    "wander": 0.0,  # standard deviation of the level's walk over a minute, relative
}
STEP_S = 0.1  # of the walk
MINUTE_S = 60.0


class Disturbance:
    """The course of one machine's disturbances over virtual time; the same for the same numbers and seed."""

    def __init__(self, numbers, seed):
        self.numbers = numbers
        self.random = random.Random(seed * 7919 + 1)
        self.walk = random.Random(seed * 7919 + 2)
        self.changes, self.slow_first = [0.0], self.random.random() < numbers["slow_share"]
        self.levels = [0.0]

    def ratio(self, now_s, salt):
        """By how much work that starts at ``now_s`` is slowed down; ``salt`` in [-1, 1] tells whose work it is."""
        numbers = self.numbers
        found = math.exp(self._level(now_s)) if numbers["wander"] else 1.0
        if self.slow(now_s):
            found *= 1.0 + (numbers["slow_ratio"] - 1.0) * (1.0 + numbers["slow_spread"] * salt)
        return found

    def slow(self, now_s):
        """Whether the machine is in a slow state."""
        share = self.numbers["slow_share"]
        if share <= 0.0 or share >= 1.0:
            return share >= 1.0
        while self.changes[-1] <= now_s:
            self.changes.append(self.changes[-1] + self._duration_s(len(self.changes)))
        at = bisect.bisect_right(self.changes, now_s) - 1
        return (at % 2 == 0) == self.slow_first

    def stolen_s(self, seconds):
        """Seconds for which something else had the processor during ``seconds`` of work."""
        often = self.numbers["preempted_per_s"]
        if often <= 0.0 or self.random.random() >= -math.expm1(-often * seconds):
            return 0.0
        return self.random.expovariate(1.0 / self.numbers["preempted_s"])

    def _duration_s(self, number):
        """Of the state that is begun by change ``number``, counted from 1."""
        least, most = self.numbers["slow_least_s"], self.numbers["slow_most_s"]
        if (number % 2 == 1) == self.slow_first:
            return math.exp(self.random.uniform(math.log(least), math.log(most)))
        mean_s = (most - least) / math.log(most / least) if most > least else least
        share = self.numbers["slow_share"]
        return self.random.expovariate(share / ((1.0 - share) * mean_s))

    def _level(self, now_s):
        step = self.numbers["wander"] * math.sqrt(STEP_S / MINUTE_S)
        while len(self.levels) * STEP_S <= now_s:
            self.levels.append(self.levels[-1] + self.walk.gauss(0.0, step))
        return self.levels[int(now_s / STEP_S)]
