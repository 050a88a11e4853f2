"""Sections of tables as one HTML file without scripts or requests, or as Markdown; either is written whole or not at all."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RecordError
from harness.records import stored_files

CSS = """
:root { color-scheme: light dark; --page: #f6f7f8; --paper: #fff; --ink: #1c2126; --muted: #5c6670; --line: #d9dde2; --warn: #fff3d6; --warn-ink: #6b4700; }
@media (prefers-color-scheme: dark) {
  :root { --page: #121518; --paper: #1a1e22; --ink: #e7eaed; --muted: #9ba5af; --line: #343b42; --warn: #3a2d0c; --warn-ink: #ffd98a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 1200px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; } h2 { margin: 0 0 .4rem; font-size: 1.1rem; }
section { margin: 0 0 1.25rem; padding: 1.1rem; background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
p { max-width: 60rem; margin: 0 0 .7rem; } .warning { padding: .35rem .7rem; border-radius: 6px; background: var(--warn); color: var(--warn-ink); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .9rem .4rem 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--muted); font-size: .85rem; font-weight: 550; vertical-align: bottom; white-space: nowrap; }
tbody th { font-weight: 550; overflow-wrap: anywhere; min-width: 9rem; }
td { min-width: 10rem; } .number { text-align: right; white-space: nowrap; min-width: 0; }
small { display: block; color: var(--muted); font-size: .8rem; font-weight: 400; }
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Cell:
    """text: the figure or the word; note: its spread or its reason, shown smaller below; number: aligned to the right."""

    text: str
    note: str = ""
    number: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence, and a table; warning: what must not be overlooked, before the sentence. Each row has a cell per column.

    figure: an SVG between sentence and table, in HTML alone.
    """

    heading: str
    text: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    warning: str = ""
    figure: str = ""


def as_html(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page as one file that asks for nothing else."""
    body = "\n".join(_section_html(section) for section in sections)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title>'
    top = f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(lead)}</p>"
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{CSS}</style></head>\n<body>\n{top}\n{body}\n</body></html>\n'


def as_markdown(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The same for a terminal, a repository or a comment."""
    lines = [f"# {title}", "", lead, ""]
    for section in sections:
        lines += [f"## {section.heading}", ""]
        lines += [f"**{section.warning}**", ""] if section.warning else []
        lines += [section.text, ""]
        if section.rows:
            numbers = [cell.number for cell in section.rows[0]]
            lines.append(_row(section.columns))
            lines.append(_row(["--:" if number else "---" for number in numbers]))
            lines += [_row([f"{cell.text} ({cell.note})" if cell.note else cell.text for cell in row]) for row in section.rows]
            lines.append("")
    return "\n".join(lines)


def write(path: Path, content: str) -> Path:
    """Write the page whole or not at all; RecordError when the folder refuses it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored_files.replace(path, content.encode())
    except OSError as error:
        raise RecordError(f"cannot write {path} ({error.strerror}); make room, or give another place") from error
    return path


def _section_html(section: Section) -> str:
    warning = f'<p class="warning">{html.escape(section.warning)}</p>' if section.warning else ""
    table = _table_html(section) if section.rows else ""
    return f"<section><h2>{html.escape(section.heading)}</h2>{warning}<p>{html.escape(section.text)}</p>{section.figure}{table}</section>"


def _table_html(section: Section) -> str:
    numbers = [cell.number for cell in section.rows[0]]
    heads = "".join(f"<th{_class(number)}>{html.escape(column)}</th>" for column, number in zip(section.columns, numbers, strict=True))
    rows = "\n".join(f"<tr>{_first(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in section.rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'


def _first(cell: Cell) -> str:
    return f'<th scope="row">{_content(cell)}</th>'


def _cell(cell: Cell) -> str:
    return f"<td{_class(cell.number)}>{_content(cell)}</td>"


def _content(cell: Cell) -> str:
    return html.escape(cell.text) + (f"<small>{html.escape(cell.note)}</small>" if cell.note else "")


def _class(number: bool) -> str:
    return ' class="number"' if number else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
