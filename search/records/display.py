"""What a person sees while a campaign runs: a bar with the time left for every step, or lines of a log; other lines stay above it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from harness.progress import EVERY_S, Lines
from harness.records.metric import TOP_1, Metric


@dataclass
class Display:
    """Draws steps on a console and keeps how long each took, in seconds. every_s: between two lines where it is no terminal.

    metric: in whose words whatever is said of top-1 and points is said.
    """

    console: Console = field(default_factory=lambda: Console(highlight=False))
    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=perf_counter)
    every_s: float = EVERY_S
    metric: Metric = TOP_1
    _lines: Lines = field(init=False)

    def __post_init__(self) -> None:
        self._lines = Lines(self.say, self.every_s)

    @property
    def elapsed_s(self) -> float:
        """Since it was made, at the very start of a command."""
        return perf_counter() - self.began

    def say(self, line: str) -> None:
        """A line that stays."""
        self.console.print(self.metric.worded(line), markup=False, soft_wrap=True)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """A step that draws its own progress, or none."""
        started = perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - started
        self.say(f"{name}: {self.seconds[name]:.1f} s")

    @contextmanager
    def step(self, name: str, total: float = 1.0) -> Iterator[Bar]:
        """A step of the campaign with its own bar; ``total`` in any unit."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with self.timed(name), Progress(*columns, console=self.console, transient=True) as progress:
            yield Bar(
                progress, progress.add_task(name, total=total, note=""), None if self.console.is_terminal else self._lines, perf_counter()
            )


@dataclass(frozen=True)
class Bar:
    """One step's bar; on no terminal, its lines."""

    _progress: Progress
    _task: TaskID
    _lines: Lines | None
    _began: float

    def at(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Move the bar; ``note`` stands behind it."""
        fields = {} if note is None else {"note": note}
        self._progress.update(self._task, completed=done, total=total, **fields)  # type: ignore[arg-type]
        if self._lines is not None:
            task = self._progress.tasks[0]
            self._lines.at(task.description, self._began, done, task.total or 0.0, task.fields["note"])
