"""In which way a campaign trains, on disk: ``training.json`` in its folder, from before its first training; a resumed one keeps it.

Schema history
1  2026-11  first; campaigns of before have no such file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import CampaignError
from harness.files.numbers import Range
from harness.training.processor import PRECISIONS, Way
from search.records import whole_file

SCHEMA = 1
FILE = "training.json"
THREADS = Range(0, 4096, whole=True)  # 0: torch's own


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """The way, and the sentence that was said of it when it was chosen, with the speeds that it was chosen by."""

    way: Way
    sentence: str


def read(folder: Path) -> TrainingRecord | None:
    """The record in a campaign's folder; None where there is none. CampaignError, one line, when it is broken or newer."""
    path = folder / FILE
    if not path.is_file():
        return None
    advice = "restore it from a copy, or start the campaign again"
    found = whole_file.read(path, TrainingRecord, SCHEMA, advice)
    if found.way.precision not in PRECISIONS[1:] or not THREADS.holds(found.way.threads):
        told = (
            f"way is {found.way.precision[:40]!r} on {found.way.threads} threads, not one of {', '.join(PRECISIONS[1:])} on {THREADS.words}"
        )
        raise CampaignError(f"{path} is broken ({told}); {advice}")
    return found


def write(folder: Path, record: TrainingRecord) -> Path:
    """Keep it, whole or not at all."""
    return whole_file.write(folder / FILE, json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1))
