"""What each group's narrowing alone costs, as seen before a campaign's first trial: ``sensitivity.json`` in its folder.

Schema history
1  2026-11  first; campaigns of before have no such file, and began with uniform ladders.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from harness.files.numbers import COUNT, SECONDS, Range
from search.records import whole_file

SCHEMA = 1
FILE = "sensitivity.json"


@dataclass(frozen=True, slots=True)
class GroupLoss:
    """One group at ``channels``, all others whole: points of the right answer's mean probability lost, untuned."""

    group: str
    channels: Annotated[int, COUNT]
    points: Annotated[float, Range(-1e8, 1e8)]  # of any task's metric


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """A pass over all groups. images: pictures that each network was judged by. seconds: what it took. share: of a trial's images."""

    losses: tuple[GroupLoss, ...]
    images: Annotated[int, COUNT] = 0
    seconds: Annotated[float, SECONDS] = 0.0
    share: Annotated[float, Range(0, 1000)] = 0.0


def write(folder: Path, found: Sensitivity) -> Path:
    """Keep it, whole or not at all."""
    return whole_file.write(folder / FILE, json.dumps({"schema": SCHEMA, **asdict(found)}, indent=1))


def read(folder: Path, name: str = FILE) -> Sensitivity | None:
    """What the folder says; None where it says nothing, CampaignError where the file is broken or of another schema."""
    path = folder / name
    if not path.is_file():
        return None
    return whole_file.read(path, Sensitivity, SCHEMA, "delete it, and the sensitivity is looked at again")
