"""The table of the final comparison is whole at 80 and 120 columns: no word, no number and no part of a name is broken."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from search.report.figures import terminal
from search.report.figures.cells import Cell, Column, Table

HEADINGS = (
    "network",
    "measured latency, median in the fast state",
    "against dense",
    "test top-1",
    "test drop, points",
    "predicted latency",
)
ROWS = (
    ("dense", ("12728.5 µs", "12727.0–12730.1"), ("—", ""), ("99.44 %", "98.0–99.8 %"), ("—", ""), ("12742.7 µs", "12734.6–12750.8")),
    (
        "uniform_0.75-8x8-int8",
        ("899.1 µs", "898.2–900.4"),
        ("14.15× faster", "14.102–14.199×"),
        ("98.89 %", "97.2–99.6 %"),
        ("10.56", "−10.65 to 11.76"),
        ("unknown", ""),
    ),
    (
        "optimised-int8",
        ("899.1 µs", "898.2–900.4"),
        ("cannot tell", "0.998–1.002×"),
        ("98.89 %", "97.2–99.6 %"),
        ("0.56", "−0.65 to 1.76"),
        ("—", ""),
    ),
)


def table(rows: tuple = ROWS) -> Table:
    columns = tuple(Column(heading, numeric=place > 0) for place, heading in enumerate(HEADINGS))
    return Table("compared", columns, tuple((Cell(name), *(Cell(*told) for told in figures)) for name, *figures in rows))


def shown(drawn: Table, width: int) -> list[str]:
    stream = StringIO()
    Console(file=stream, width=width).print(terminal.drawn(drawn, width))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_no_name_and_no_figure_is_broken_at_the_width_of_a_log(width: int) -> None:
    lines = shown(table(), width)
    assert max(map(len, lines)) <= width
    wholes = (
        "uniform_0.75-",
        "8x8-",
        "int8",
        "optimised-",
        "14.15×",
        "14.102–",
        "14.199×",
        "12727.0–",
        "−10.65",
        "11.76",
        "98.89 %",
        "unknown",
    )
    for whole in wholes:
        assert any(whole in line for line in lines), (whole, lines)
    assert "14.15× faster" in "\n".join(lines) or width == 80


def test_names_are_on_one_line_where_there_is_room() -> None:
    lines = "\n".join(shown(table(), 120))
    assert "uniform_0.75-8x8-int8" in lines
    assert "12727.0–12730.1" in lines


_words = st.text("abcdefgh0123456789_.×", min_size=1, max_size=12)
_names = st.lists(_words, min_size=1, max_size=4).map("-".join)
_figures = st.tuples(st.floats(1, 9e4), st.floats(1, 9e4)).map(lambda ends: (f"{ends[0]:.1f} µs", f"{ends[0]:.1f}–{ends[1]:.1f}"))


@settings(max_examples=25)
@given(_names, st.lists(_figures, min_size=5, max_size=5), st.integers(80, 140))
def test_whatever_it_holds_every_piece_stays_whole(name: str, figures: list[tuple[str, str]], width: int) -> None:
    lines = shown(table(((name, *figures),)), width)
    told = "\n".join(lines)
    for piece in (*re.split(r"(?<=-)", name), *(end for _, spread in figures for end in spread.split("–")), *(text for text, _ in figures)):
        assert piece in told, (piece, lines)


@given(st.text("ab1-– .×", max_size=30), st.integers(1, 30))
def test_wrapping_loses_nothing(text: str, room: int) -> None:
    assert "".join("".join(terminal.wrapped(text, room)).split()) == "".join(text.split())
