"""What reads one kind of file, and how such a file is broken."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.attacks import breaking
from tests.attacks.seeds import CORPUS

Break = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Reader:
    """What reads one kind of file. modules: of the product, that parse on its way. seed: a whole file's bytes, by the place it lies at.

    beside: other files that must be there. breaks: ways to break one. read: gets the file's path.
    """

    name: str
    file: str
    modules: tuple[str, ...]
    seed: Callable[[], bytes]
    breaks: tuple[Break, ...]
    read: Callable[[Path], object]
    beside: tuple[str, ...] = ()

    def lay(self, place: Path) -> Path:
        """Put what belongs beside the file into a folder; returns where the file goes."""
        for name in self.beside:
            if name != self.file:
                (place / name).write_bytes((CORPUS / "campaign" / name).read_bytes())
        path = place / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


JSON: tuple[Break, ...] = (breaking.broken_document, breaking.broken_document, breaking.broken_bytes)
LINES: tuple[Break, ...] = (breaking.broken_lines, breaking.broken_lines, breaking.broken_bytes)
TEXT: tuple[Break, ...] = (breaking.broken_text,)
BYTES: tuple[Break, ...] = (breaking.broken_bytes,)
