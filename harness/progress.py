"""A progress bar with the time left, drawn through pytest's capture onto the terminal's error stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def shown(config: pytest.Config, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function of (done, in all) that moves the bar; nothing is drawn where there is no terminal."""
    capture = config.pluginmanager.getplugin("capturemanager")
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    if capture is not None:
        capture.suspend_global_capture(in_=False)
    try:
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(what)

            def advance(done: int, in_all: int) -> None:
                progress.update(task, completed=done, total=in_all)

            yield advance
    finally:
        if capture is not None:
            capture.resume_global_capture()
