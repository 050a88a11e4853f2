"""A table in a terminal of any width: lines end between words, at hyphens and within intervals, never inside a word or number."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.table import Table as RichTable
from rich.text import Text

from search.report.figures.cells import Cell, Table

GAP = 2  # columns between two cells
_TONES = {"good": "green", "bad": "red", "quiet": "dim", "noisy": "yellow", "optimised": "bold"}
_PIECE = re.compile(
    r".+?(?:(?<=[^\s–−-])-(?=\w)|(?<=\d)–(?=[\d−])| (?!µs\b|ms\b|%|$)|$)"
)  # what stays on one line, and the mark that ends it


def drawn(table: Table, width: int) -> RichTable:
    """The table's brief columns, within ``width`` columns where its words allow that; names give way first, then the widest figures."""
    columns = [(place, column) for place, column in enumerate(table.columns) if column.brief]
    cells = [[_lines(row[place], place == 0) for row in table.rows] for place, _ in columns]
    widths = _fitted(cells, [column.heading for _, column in columns], width)
    found = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for (_, column), room in zip(columns, widths, strict=True):
        found.add_column("\n".join(wrapped(column.heading, room)), justify="right" if column.numeric else "left", no_wrap=True)
    for number, row in enumerate(table.rows):
        found.add_row(*(_cell(row[place], cells[at][number], widths[at]) for at, (place, _) in enumerate(columns)))
    return found


def wrapped(text: str, room: int) -> list[str]:
    """Lines of at most ``room`` letters; a word, a number with its unit, and a part of a name between hyphens stay whole, however long."""
    lines = [""]
    for piece in _pieces(text):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > room:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def _pieces(text: str) -> list[str]:
    return [found.group() for found in _PIECE.finditer(text) if found.group()]


def _lines(cell: Cell, first: bool) -> tuple[str, ...]:
    return (cell.text, cell.spread) if cell.spread and not first else (cell.text,)


def _fitted(cells: Sequence[Sequence[tuple[str, ...]]], headings: Sequence[str], width: int) -> list[int]:
    """How wide each column may be."""
    texts = [[line for lines in column for line in lines] for column in cells]
    least = [
        max(len(piece.strip()) for text in (heading, *column) for piece in _pieces(text) or [""])
        for heading, column in zip(headings, texts, strict=True)
    ]
    widths = [max(low, *map(len, column), 0) for low, column in zip(least, texts, strict=True)]
    while sum(widths) + GAP * (len(widths) - 1) > width:
        spare = [at for at, room in enumerate(widths) if room > least[at]]
        if not spare:
            break
        widths[0 if spare[0] == 0 else max(spare, key=widths.__getitem__)] -= 1
    return widths


def _cell(cell: Cell, lines: tuple[str, ...], room: int) -> Text:
    told = Text("\n".join(wrapped(lines[0], room)), style=_TONES.get(cell.tone, ""))
    for spread in lines[1:]:
        told.append("\n" + "\n".join(wrapped(spread, room)), style="dim")
    return told
