"""Tables as plain cells, so that the page, the Markdown file and the terminal show the same figures."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN = ("widths", "trials", "settings", "conditions", "seconds", "preprocessing")  # tables that stay tables on a narrow page


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure, its spread, and a note. tone: "good", "bad", "quiet", "noisy", "total" or a role's name, for colour.

    bars: lengths to draw under the text, in [0, 1], each with its tone.
    """

    text: str
    spread: str = ""
    note: str = ""
    tone: str = ""
    bars: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A heading. numeric: its cells are aligned to the right. brief: it is shown in the terminal too. drawn: it holds bars only."""

    heading: str
    numeric: bool = True
    brief: bool = True
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns. caption: what the small figures mean. title: where several stand together."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    title: str = ""

    @property
    def cards(self) -> bool:
        """Whether a narrow page shows each row as a card, for its cells hold more than a word each."""
        return self.name not in PLAIN

    def undrawn(self) -> Table:
        """The same without the columns that hold bars only, for places where nothing can be drawn."""
        kept = [place for place, column in enumerate(self.columns) if not column.drawn]
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return Table(self.name, tuple(self.columns[place] for place in kept), rows, self.caption, self.title)


def in_markdown(cell: Cell) -> str:
    """Text and note in one line that cannot break a Markdown table."""
    small = "; ".join(part for part in (cell.spread, cell.note) if part)
    told = cell.text + (f" ({small})" if small and cell.text else small)
    return " ".join(told.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
