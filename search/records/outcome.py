"""What a finished campaign leaves on disk beside its journal: the contenders of the proof, and how they were obtained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import CampaignError
from harness.records.accuracy import Accuracy
from harness.records.metric import TOP_1, Metric
from harness.records.pruning_config import PruningConfig
from search.records import whole_file
from search.records.losses.certainty import Evidence
from search.records.losses.drop import Paired

SCHEMA = 1
CONTENDERS, PROOF, MEASUREMENTS, JOURNAL = "contenders.json", "proof.json", "measurements.json", "journal.jsonl"
ROLES = ("dense", "off-the-shelf", "uniform", "global-pruning", "random", "optimised", "candidate", "from-scratch")


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same network tuned with one seed: top-1 on the validation split, and on the test split."""

    seed: int
    validation: Accuracy
    test: Accuracy


@dataclass(frozen=True, slots=True)
class Untouched:
    """The dense network as it came, not tuned by the comparison's recipe: its top-1 on both splits."""

    validation: Accuracy
    test: Accuracy


@dataclass(frozen=True, slots=True)
class Contender:
    """One network of the final comparison, tuned with the same budget as all the others.

    role: one of ``ROLES``; "global-pruning" is what Torch-Pruning's users get at the optimised one's latency, "random" is what random
    search found on as many trials, "candidate" a found network that the validation split did not choose, "from-scratch" the optimised
    one's shape trained from nothing. macs, parameters: of the network as it is run. onnx: file name inside the campaign's folder. test:
    top-1 on the test split, read once, after the choice. repeats: accuracies of every seed that it was tuned with, the first of which gave
    onnx, validation and test. paired, paired_validation: the test and validation images that it lost against the dense network tuned
    alike; None for that one, and in files that do not say. paired_untouched: the test images that it lost against the untouched dense
    network. folds: training images that networks of this configuration lost which had not seen them. curse_points: how much of its
    validation top-1 was held to be luck.
    precision: what it runs in; size: of its pictures (``HxW``); each empty for what the dense network is compared in.
    """

    name: str
    role: str
    config: PruningConfig
    macs: int
    parameters: int
    validation: Accuracy
    test: Accuracy
    artefact_digest: str
    onnx: str
    source: str = ""
    repeats: tuple[Repeat, ...] = ()
    paired: Paired | None = None
    paired_validation: Paired | None = None
    paired_untouched: Paired | None = None
    folds: tuple[Paired, ...] = ()
    curse_points: float = 0.0
    precision: str = ""
    size: str = ""

    def evidence(self, dense: Contender) -> Evidence | None:
        """What is known of its true drop without the test split; None for ``dense`` itself, and in files that do not say."""
        if self.paired_validation is None:
            return None
        return Evidence.of(self.validations, dense.validations, self.paired_validation, self.folds, self.curse_points)

    @property
    def validations(self) -> tuple[Accuracy, ...]:
        """Validation accuracies, one per seed."""
        return tuple(repeat.validation for repeat in self.repeats) or (self.validation,)

    @property
    def tests(self) -> tuple[Accuracy, ...]:
        """Test accuracies, one per seed."""
        return tuple(repeat.test for repeat in self.repeats) or (self.test,)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything about a finished campaign that is in neither the journal nor a benchmark file.

    command: repeats the campaign. settings: what it ran with, as printed at its start. split_sizes: images for
    training, validation and test. seconds: where the time went, by step. certainty: probability of keeping ``max_drop_points`` that was
    asked for. untouched, certainty: None in files that do not say. metric: what networks were judged by; top-1 where a file does not say.
    """

    name: str
    command: str
    network: str
    dataset: str
    device: str
    precision: str
    max_drop_points: float | None
    max_latency_s: float | None
    settings: tuple[tuple[str, str], ...]
    split_sizes: tuple[int, int, int]
    proof_recipe: str
    contenders: tuple[Contender, ...]
    seconds: tuple[tuple[str, float], ...]
    finished_at: str
    untouched: Untouched | None = None
    certainty: float | None = None
    metric: Metric = TOP_1

    def contender(self, role: str) -> Contender:
        """The first contender of a role; CampaignError when there is none."""
        for contender in self.contenders:
            if contender.role == role:
                return contender
        raise CampaignError(f"campaign {self.name} has no {role} network; run it again to the end")


def write(folder: Path, outcome: Outcome) -> Path:
    """Write ``contenders.json`` whole or not at all."""
    document = {"schema": SCHEMA, **asdict(outcome)}
    for entry, contender in zip(document["contenders"], outcome.contenders, strict=True):
        entry["config"] = dict(contender.config.channels)
    return whole_file.write(folder / CONTENDERS, json.dumps(document, indent=1))


def is_compared(folder: Path) -> bool:
    """Whether a final comparison lies in the folder."""
    return (folder / CONTENDERS).is_file() and (folder / PROOF).is_file()


def read(folder: Path) -> Outcome:
    """Read it back; CampaignError, one line, when the campaign is unfinished or the file is broken or newer."""
    path = folder / CONTENDERS
    if not path.is_file():
        raise CampaignError(f"campaign {folder.name} has no finished comparison; run: python -m search resume {folder.name}")
    try:
        document = json.loads(path.read_bytes())
        if document.pop("schema") != SCHEMA:
            raise CampaignError(f"{path} is of another schema than {SCHEMA}; use the Espalier that wrote it")
        document["contenders"] = tuple(_contender(document["network"], entry) for entry in document["contenders"])
        document["metric"] = Metric(**document.get("metric", {}))
        if (untouched := document.get("untouched")) is not None:
            document["untouched"] = Untouched(*(Accuracy(**untouched[split]) for split in ("validation", "test")))
        for key in ("settings", "seconds", "split_sizes"):
            document[key] = tuple(tuple(part) if isinstance(part, list) else part for part in document[key])
        return Outcome(**document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CampaignError(f"{path} is not a whole comparison ({error}); run: python -m search resume {folder.name}") from error


def _contender(network: str, entry: Mapping[str, Any]) -> Contender:
    accuracies = {split: Accuracy(**entry[split]) for split in ("validation", "test")}
    repeats = tuple(
        Repeat(one["seed"], Accuracy(**one["validation"]), Accuracy(**one["test"]))
        for one in entry.get("repeats", ())  # files of one seed have none
    )
    paired = {key: None if entry.get(key) is None else Paired(**entry[key]) for key in ("paired", "paired_validation", "paired_untouched")}
    config = PruningConfig.of(network, entry["config"])
    folds = tuple(Paired(**one) for one in entry.get("folds", ()))
    return Contender(**{**entry, **accuracies, "repeats": repeats, **paired, "config": config, "folds": folds})
