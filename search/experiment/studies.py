"""The experiment's studies: which network goes through what, and where all of it lies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.devices import spec
from harness.errors import UnknownName
from search.campaign.subject import BEFORE_SIZES
from search.records.request import Request

MOST_WORKERS = 4  # a process holds a copy of the images
FLOAT = "f32"


@dataclass(frozen=True)
class Search:
    """One campaign of a study, and random search's on as many trials beside it.

    epochs: of a full trial and, as proof_epochs, of every compared network's fine-tuning. short: epochs of the search's own trials, of
    which the best are promoted to full length; None for full length throughout. Where epochs and proof_epochs are equal, promoted trials
    enter the comparison as they are. finalists: about how many of the best are repeated with two more seeds. precisions: among which it
    chooses, by comma. sizes: further sizes of the pictures among which it chooses, by comma; empty for the full one alone. folds: of
    training pictures that finalists are judged on too. from_scratch: the chosen shape is trained from nothing as well. random: random
    search is run, too.
    """

    trials: int
    epochs: float
    proof_epochs: float
    short: float | None = None
    proof_seeds: int = 3
    finalists: int = 3
    precisions: str = FLOAT
    sizes: str = ""
    folds: int = 4
    from_scratch: bool = True
    random: bool = True

    @property
    def is_joint(self) -> bool:
        """Whether it chooses among precisions or sizes too."""
        return self.precisions != FLOAT or self.sizes != ""


@dataclass(frozen=True)
class Study:
    """What one network goes through: the search over channels in f32, and then the one over channels, bits and the size of the pictures.

    baseline_seeds: dense networks trained; the campaigns start from the first. dense_epochs: None for the dataset's recipe.
    dense_small_ratio: share of the dense training on small images. designs, rounds, max_drop, max_predictor_error: as the search's options
    of these names.
    """

    network: str
    in_float: Search
    joint: Search
    baseline_seeds: int = 1
    designs: int = 150
    rounds: int = 1500
    max_drop: float = 0.5
    max_predictor_error: float = 0.03
    dense_epochs: float | None = None
    dense_small_ratio: float = 0.0

    @property
    def searches(self) -> tuple[Search, ...]:
        """In the order in which they are done."""
        return self.in_float, self.joint


_JOINT = Search(
    30, epochs=2.0, short=0.25, proof_epochs=2.0, proof_seeds=1, finalists=2, precisions="f32,int8", sizes="28x28,24x24", folds=0
)

STUDIES = (
    Study("resnet20", Search(60, epochs=4.0, short=0.25, proof_epochs=4.0), _JOINT, baseline_seeds=3),
    Study("resnet56", Search(60, epochs=4.0, short=0.25, proof_epochs=4.0), _JOINT, designs=200, dense_epochs=18.0, dense_small_ratio=0.6),
    Study(
        "mobilenetv2",
        Search(60, epochs=2.0, short=0.25, proof_epochs=2.0),
        _JOINT,
        designs=160,
        dense_epochs=12.0,
        dense_small_ratio=0.6,
    ),
)
QUICK = (
    Study(
        "resnet20",
        Search(6, epochs=0.0, proof_epochs=0.25, proof_seeds=2),
        Search(
            6,
            epochs=0.25,
            proof_epochs=0.25,
            proof_seeds=1,
            finalists=1,
            precisions="f32,int8",
            sizes="24x24",
            folds=0,
            from_scratch=False,
            random=False,
        ),
        designs=40,
        rounds=200,
        max_drop=5.0,
        max_predictor_error=0.15,
        dense_epochs=4.0,
    ),
)


@dataclass(frozen=True)
class Plan:
    """What the experiment is run on. studies: to do now; known: all that the page may tell of. reports: where all of it lies."""

    studies: tuple[Study, ...]
    known: tuple[Study, ...]
    dataset: str
    data: Path | None
    device: str
    reports: Path

    def campaign(self, study: Study, search: Search, rival: bool = False) -> str:
        """Name of the campaign of a study's search, or of random search's on as many trials."""
        plain = "-".join("".join(one if one.isalnum() else "-" for one in part) for part in (study.network, self.dataset, self.device))
        return "-".join((plain, *(("joint",) if search.is_joint else ()), *(("random",) if rival else ())))

    def folder(self, study: Study, search: Search) -> Path:
        """Where the campaign of a study's search lies."""
        return self.reports / "campaigns" / self.campaign(study, search)

    def request(self, study: Study, search: Search, weights: Path, rival: bool = False) -> Request:
        """The campaign of a study's search; neither it nor random search's may learn from the other's trials.

        The search over bits and sizes too begins with what the one over channels found.
        """
        asked = Request(
            device=self.device,
            network=study.network,
            dataset=self.dataset,
            data=self.data,
            input_shape=BEFORE_SIZES,
            input_size=search.sizes or None,
            weights=weights,
            precision=search.precisions,
            trials=search.trials,
            budget=search.epochs,
            short=search.short,
            proof_budget=search.proof_epochs,
            max_drop=study.max_drop,
            max_predictor_error=study.max_predictor_error,
            finalists=search.finalists,
            folds=search.folds,
            designs=study.designs,
            rounds=study.rounds,
            workers=workers(),
            share=False,
            name=self.campaign(study, search, rival),
            reports=self.reports,
        )
        if rival:
            return replace(asked, optimizer="random", proof_seeds=0)
        theirs = self.campaign(study, search, rival=True) if search.trials and search.random else None
        begun = self.campaign(study, study.in_float) if search.is_joint and study.in_float.trials else None
        compared = replace(asked, proof_seeds=search.proof_seeds, rival=theirs, from_scratch=search.from_scratch, global_pruning=True)
        return replace(compared, warm_start=begun)


def plan(networks: Sequence[str] | None, dataset: str, data: Path | None, device: str, reports: Path | None, quick: bool = False) -> Plan:
    """What to do; UnknownName for a network without a study, or a device that is not in the table."""
    spec.find(device)
    studies = QUICK if quick else STUDIES
    known = {study.network: study for study in studies}
    for name in networks or ():
        if name not in known:
            raise UnknownName("study", name, known)
    chosen = tuple(known[name] for name in networks or known)
    if quick:
        return Plan(chosen, studies, "digits", None, device, reports or Path("reports/quick"))
    return Plan(chosen, studies, dataset, data, device, reports or Path("reports"))


def workers() -> int:
    """Trials side by side: as many as there are processors, up to four; one thread each trains more images than all on one network."""
    return max(1, min(MOST_WORKERS, len(os.sched_getaffinity(0))))
