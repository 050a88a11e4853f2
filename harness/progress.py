"""How far a long step is: a bar with the time left on a terminal, drawn through pytest's capture; elsewhere a line a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    import pytest

_OF_RUN: WeakKeyDictionary[pytest.Config, Lines] = WeakKeyDictionary()
LEAST_SHARE = 0.05  # of a step: what is done of it before tells nothing of the rest
EVERY_S = 60.0  # between two lines: a log tells that the work goes on, and stays short


@dataclass
class Lines:
    """Lines for a log, at most one every ``every_s`` seconds whatever the number of steps; the first when so much has passed."""

    say: Callable[[str], None]
    every_s: float = EVERY_S
    _said: float = field(default_factory=perf_counter)

    def at(self, name: str, began: float, done: float, in_all: float, note: str = "") -> None:
        """Step ``name``, which began at ``began`` by ``perf_counter``, has done so much; ``note`` is what it does now."""
        now = perf_counter()
        if now - self._said < self.every_s:
            return
        self._said = now
        self.say(sentence(name, now - began, done / in_all if in_all > 0 else 0.0, note))


def sentence(name: str, elapsed_s: float, share: float, note: str = "") -> str:
    """How far a step is after ``elapsed_s``, and how long the rest will take if it goes on so. share: of it that is done, 0 to 1."""
    left = f", about {clock(elapsed_s * (1 - share) / share)} left" if LEAST_SHARE <= share < 1 else ""
    return f"  {name}: {min(share, 1):.0%} after {clock(elapsed_s)}{left}" + (f" ({note})" if note else "")


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes, for people."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s" if whole < 6000 else f"{whole // 3600} h {whole // 60 % 60:02d} min"


@contextmanager
def shown(config: pytest.Config, what: str, every_s: float = EVERY_S) -> Iterator[Callable[[int, int], None]]:
    """Yields a function of (done, in all) that moves the bar; where there is no terminal, lines on the error stream tell."""
    capture = config.pluginmanager.getplugin("capturemanager")
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    if capture is not None:
        capture.suspend_global_capture(in_=False)
    try:
        console = Console(stderr=True)
        lines = _lines_of(config, lambda line: console.print(line, markup=False, soft_wrap=True), every_s)
        began = perf_counter()
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(what)

            def advance(done: int, in_all: int) -> None:
                progress.update(task, completed=done, total=in_all)
                if not console.is_terminal:
                    lines.at(what, began, done, in_all)

            yield advance
    finally:
        if capture is not None:
            capture.resume_global_capture()


def _lines_of(config: pytest.Config, say: Callable[[str], None], every_s: float) -> Lines:
    """The lines of this pytest run: its steps, of which many are short, share the minute."""
    lines = _OF_RUN.setdefault(config, Lines(say, every_s))
    lines.say, lines.every_s = say, every_s
    return lines
