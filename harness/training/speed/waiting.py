"""How threads wait for each other: for how long they look for work before they sleep, which OpenMP reads once, before torch is loaded.

Measured, ResNet-20 in bf16, batches of 32, two threads on two cores (AMD EPYC, libgomp), images/s alone and beside a program that takes
a core: threads that sleep at once (``OMP_WAIT_POLICY=PASSIVE``) 530 and 174, that look 1,000 times 740 and 188, 100,000 times 840 and
14. So a bounded look is nearly as fast as spinning, and loses nothing beside others. It is a trait of the machine, not of the network:
tried once, in short child processes, and torch is not imported here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from types import TracebackType

from harness.files import json_text
from harness.training.speed import answers, turns

KIND = "waiting"
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # any of these set: a person decided
HOLDS = 0.75  # of the best one's images/s beside a neighbour: what falls below it has collapsed, however fast it is alone
BESIDE_S = 0.45  # of a turn beside a busy program: several of its slices
ALIKE = 0.97  # of the fastest: then the one that spins least is taken
STANDARD = ("resnet20", 1, 32, 10, 32)  # network, channels, side, classes, batch: small layers, between which there is much waiting
BUSY = "while True: pass"


@dataclass(frozen=True, slots=True)
class Policy:
    """What OpenMP is told. spins: looks for work before a thread sleeps; 0 sleeps at once."""

    spins: int

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """As variables; the first is understood by every OpenMP, the second by GNU's."""
        return (("OMP_WAIT_POLICY", "PASSIVE"),) if self.spins == 0 else (("GOMP_SPINCOUNT", str(self.spins)),)

    @property
    def words(self) -> str:
        """For people."""
        return f"waiting threads look {self.spins} times, then sleep" if self.spins else "waiting threads sleep at once"


POLICIES = (Policy(0), Policy(1_000), Policy(10_000))
USUAL = Policy(1_000)  # where nothing was tried: a Dask worker's children


@dataclass(frozen=True, slots=True)
class Seen:
    """Images a second of one policy, alone and beside a busy program."""

    policy: Policy
    alone: float
    beside: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was chosen, and what it rests on: nothing where a person decided, or one thread has nobody to wait for."""

    chosen: Policy | None
    seen: tuple[Seen, ...] = ()
    note: str = ""


def settle(fresh: bool = False) -> Waiting:
    """Choose how threads wait and put it into this process's environment, which must not have loaded torch yet.

    From the cache where this machine tried before. Nothing is tried, or changed, where the environment decides it already, or gives
    training one thread. On a busy machine the trial takes longest and says least: the usual bounded look is taken, unless ``fresh``.
    """
    if told() or "torch" in sys.modules or _threads() == 1:
        return Waiting(None)
    text, note = (None, "") if fresh else answers.find(KIND, (KIND,))
    busy = answers.is_busy()
    if text is None and busy and not fresh:
        seen: tuple[Seen, ...] = ()
    elif text is None:
        seen = attempt(STANDARD)
        if seen:
            answers.keep(KIND, (KIND,), json.dumps([asdict(one) for one in seen]), busy)
    else:
        seen = tuple(Seen(Policy(int(one["policy"]["spins"])), float(one["alone"]), float(one["beside"])) for one in json_text.parse(text))
    chosen = best(seen) if seen else USUAL
    os.environ.update(chosen.environment)
    return Waiting(chosen, seen, note)


def usual() -> tuple[tuple[str, str], ...]:
    """Variables that a child needs where nobody has decided anything, as on a Dask worker that somebody started."""
    return () if told() else USUAL.environment


def told() -> str:
    """What the environment says of it, as part of what a speed depends on."""
    return " ".join(f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ)


def best(seen: Sequence[Seen]) -> Policy:
    """The fastest alone of those that do not collapse beside a busy program; of those as fast, the one that spins least."""
    held = HOLDS * max(one.beside for one in seen)
    steady = [one for one in seen if one.beside >= held]
    quickest = max(one.alone for one in steady)
    return min((one.policy for one in steady if one.alone >= ALIKE * quickest), key=lambda policy: policy.spins)


def attempt(subject: Sequence[object], policies: Sequence[Policy] = POLICIES, seconds: float = 0.0) -> tuple[Seen, ...]:
    """Train in a child process by each policy, in turns, alone and beside a busy program of our own; nothing where no child can train.

    subject: network, channels, side, classes and batch. With ``seconds``, each for so long in two visits, and not beside anybody.
    """
    with ExitStack() as stack:
        children = {policy: stack.enter_context(_Child(policy, subject)) for policy in policies}
        if not all(child.is_ready() for child in children.values()):
            return ()
        batch = float(str(subject[-1]))
        if seconds:
            longer = turns.visits(policies, lambda policy: children[policy].turn(seconds / 2))
            return tuple(Seen(one.choice, batch / one.step_s, 0.0) for one in longer)
        alone = turns.race(policies, lambda policy: children[policy].turn(turns.TURN_S), more_rounds=2)
        busy = subprocess.Popen([sys.executable, "-c", BUSY])
        try:
            # here the slow steps count: a collapse is seen in some of them
            beside = {policy: children[policy].turn(BESIDE_S) for policy in (*policies, *reversed(policies))}
        finally:
            busy.kill()
            busy.wait()
    rates = {policy: batch * len(steps) / sum(steps) for policy, steps in beside.items()}
    return tuple(Seen(one.choice, batch / one.step_s, rates[one.choice]) for one in alone)


class _Child:
    """A process that trains under one policy when it is told to, and waits otherwise."""

    def __init__(self, policy: Policy, subject: Sequence[object]) -> None:
        words = [sys.executable, "-m", "harness.training.speed.stepping_child", *map(str, subject)]
        environment = {**os.environ, **dict(policy.environment), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def is_ready(self) -> bool:
        """Whether it can train; waits until it can."""
        return self._answer() == "ready"

    def turn(self, seconds: float) -> list[float]:
        """Train for so long; the seconds of each step."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return [float(word) for word in self._answer().split()]

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _threads() -> int:
    """As ``processor.processors`` counts them, without torch."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(count, int(asked))) if asked.isdecimal() else count
