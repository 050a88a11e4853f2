"""A campaign's lines: in a log, a line a minute and no bar; on a terminal, the bar and no such line."""

import io

import pytest
from rich.console import Console

from search.records.display import Display


def drawn(every_s: float, terminal: bool) -> str:
    stream = io.StringIO()
    display = Display(Console(file=stream, force_terminal=terminal, width=120), every_s=every_s)
    with display.step("search", 4) as bar:
        for done in range(4):
            bar.at(done, note=f"trial {done}")
    return stream.getvalue()


def test_a_log_gets_a_line_with_how_far_and_how_long() -> None:
    lines = drawn(every_s=0.0, terminal=False).splitlines()
    told = [line for line in lines if line.startswith("  search:")]
    assert len(told) == 4
    assert told[2].startswith("  search: 50% after 0 s, about 0 s left (trial 2)")


@pytest.mark.parametrize(("every_s", "terminal"), [(3600.0, False), (0.0, True)])
def test_nothing_is_said_within_the_minute_nor_where_a_bar_is_seen(every_s: float, terminal: bool) -> None:
    assert "  search: " not in drawn(every_s, terminal)
