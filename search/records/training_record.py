"""In which way a campaign trains, on disk: ``training.json`` in its folder, from before its first training; a resumed one keeps it.

Schema history
1  2026-11  first; campaigns of before have no such file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import CampaignError
from harness.training.processor import PRECISIONS, Way
from search.records import whole_file

SCHEMA = 1
FILE = "training.json"


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
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] != SCHEMA:
            raise CampaignError(f"{path} is of another schema than {SCHEMA}; use the Espalier that wrote it")
        told = document["way"]
        way = Way(str(told["precision"]), bool(told["channels_last"]), int(told["threads"]))
        if way.precision not in PRECISIONS[1:]:
            raise ValueError(f"precision {way.precision}")
        return TrainingRecord(way, str(document["sentence"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CampaignError(f"{path} is broken ({error}); restore it from a copy, or start the campaign again") from error


def write(folder: Path, record: TrainingRecord) -> Path:
    """Keep it, whole or not at all."""
    return whole_file.write(folder / FILE, json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1))
