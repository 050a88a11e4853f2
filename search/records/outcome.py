"""What a finished campaign leaves on disk beside its journal: the contenders of the proof, and how they were obtained."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from harness.errors import CampaignError, RecordError
from harness.files.numbers import SECONDS, Range
from harness.records.accuracy import Accuracy
from harness.records.decoding import OneOf
from harness.records.metric import TOP_1, Metric
from harness.records.pruning_config import PruningConfig
from search.records import whole_file
from search.records.costs.objective import COMPILED_COST
from search.records.losses.certainty import Evidence
from search.records.losses.drop import Paired
from search.records.trial import RunsIn

SCHEMA = 1
CONTENDERS, PROOF, MEASUREMENTS, JOURNAL = "contenders.json", "proof.json", "measurements.json", "journal.jsonl"
COMPILED, COMPARED = "compiled.json", "compared.json"  # compilations: what a campaign went by, and its contenders'
IN_INT8 = "optimised-int8"
ROLES = ("dense", "off-the-shelf", "uniform", "global-pruning", "random", "optimised", IN_INT8, "candidate", "from-scratch")

Count = Annotated[int, Range(0, 2**62, whole=True)]
Points = Annotated[float, Range(-1e8, 1e8)]  # of any task's metric


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
    search found on as many trials, "optimised-int8" the optimised one quantised after training where the search itself ran no INT8,
    "candidate" a found network that the validation split did not choose, "from-scratch" the optimised one's shape trained from nothing.
    macs, parameters: of the network as it is run. onnx: file name inside the campaign's folder. test: top-1 on the test split, read once,
    after the choice. repeats: accuracies of every seed that it was tuned with, the first of which gave onnx, validation and test. paired,
    paired_validation: the test and validation images that it lost against the dense network tuned alike; None for that one, and in files
    that do not say. paired_untouched: the test images that it lost against the untouched dense network. folds: training images that
    networks of this configuration lost which had not seen them. curse_points: how much of its validation top-1 was held to be luck.
    precision: what it runs in; size: of its pictures (``HxW``); each empty for what the dense network is compared in.
    """

    name: str
    role: Annotated[str, OneOf(ROLES)]
    config: PruningConfig
    macs: Count
    parameters: Count
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
    curse_points: Points = 0.0
    precision: str = ""
    size: str = ""

    def __post_init__(self) -> None:
        if Path(self.onnx).is_absolute() or ".." in Path(self.onnx).parts:
            raise RecordError(f"{self.onnx[:60]!r} is no file in the campaign's folder; run the campaign again")

    def evidence(self, dense: Contender) -> Evidence | None:
        """What is known of its true drop without the test split; None for ``dense`` itself, and in files that do not say."""
        if self.paired_validation is None:
            return None
        return Evidence.of(self.validations, dense.validations, self.paired_validation, self.folds, self.curse_points)

    @property
    def runs_in(self) -> RunsIn:
        """Precision and size."""
        return RunsIn(self.precision, self.size)

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
    max_drop_points: Points | None
    max_latency_s: Annotated[float, SECONDS] | None
    settings: tuple[tuple[str, str], ...]
    split_sizes: tuple[int, int, int]
    proof_recipe: str
    contenders: tuple[Contender, ...]
    seconds: tuple[tuple[str, Annotated[float, SECONDS]], ...]
    finished_at: str
    untouched: Untouched | None = None
    certainty: Annotated[float, Range(0, 1)] | None = None
    metric: Metric = TOP_1

    @property
    def is_compiled(self) -> bool:
        """Whether compiled cost was lowered, and nothing measured."""
        return dict(self.settings).get("--objective") == COMPILED_COST.name

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
    return (folder / CONTENDERS).is_file() and ((folder / PROOF).is_file() or (folder / COMPARED).is_file())


def read(folder: Path) -> Outcome:
    """Read it back; CampaignError, one line, when the campaign is unfinished or the file is broken or newer."""
    path = folder / CONTENDERS
    if not path.is_file():
        raise CampaignError(f"campaign {folder.name} has no finished comparison; run: python -m search resume {folder.name}")
    return whole_file.read(path, Outcome, SCHEMA, f"run: python -m search resume {folder.name}", _prepared)


def _prepared(document: dict[str, Any]) -> dict[str, Any]:
    """Every configuration with the network that it is of, which the file names once."""
    listed = document.get("contenders")
    if not isinstance(listed, list):
        return document
    return {**document, "contenders": [_with_network(one, document.get("network")) for one in listed]}


def _with_network(entry: Any, network: Any) -> Any:
    return {**entry, "config": {"network": network, "channels": entry.get("config")}} if isinstance(entry, dict) else entry
