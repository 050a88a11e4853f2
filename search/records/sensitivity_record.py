"""What each group's narrowing alone costs, as seen before a campaign's first trial: ``sensitivity.json`` in its folder.

Schema history
1  2026-11  first; campaigns of before have no such file, and began with uniform ladders.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import CampaignError
from search.records import whole_file

SCHEMA = 1
FILE = "sensitivity.json"


@dataclass(frozen=True, slots=True)
class GroupLoss:
    """One group at ``channels``, all others whole: points of the right answer's mean probability lost, untuned."""

    group: str
    channels: int
    points: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """A pass over all groups. images: pictures that each network was judged by. seconds: what it took. share: of a trial's images."""

    losses: tuple[GroupLoss, ...]
    images: int = 0
    seconds: float = 0.0
    share: float = 0.0


def write(folder: Path, found: Sensitivity) -> Path:
    """Keep it, whole or not at all."""
    return whole_file.write(folder / FILE, json.dumps({"schema": SCHEMA, **asdict(found)}, indent=1))


def read(folder: Path, name: str = FILE) -> Sensitivity | None:
    """What the folder says; None where it says nothing, CampaignError where the file is broken or of another schema."""
    path = folder / name
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] != SCHEMA:
            raise CampaignError(f"{path} is of another schema than {SCHEMA}; use the Espalier that wrote it")
        losses = tuple(GroupLoss(str(one["group"]), int(one["channels"]), float(one["points"])) for one in document["losses"])
        return Sensitivity(losses, int(document["images"]), float(document["seconds"]), float(document["share"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CampaignError(f"{path} is broken ({error}); delete it, and the sensitivity is looked at again") from error
