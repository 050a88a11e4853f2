"""The experiment: every study from the trained baseline to the comparison, each step resumable, and one page about all of them.

The hypothesis: an optimiser can choose compression parameters and improve inference latency on the device.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.devices import spec
from harness.errors import HarnessError, UnknownName
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.training import baseline, processor, recipes, stored_baseline
from harness.training.speed import probe
from harness.training.stored_baseline import StoredBaseline
from search import journey
from search.campaign.subject import BEFORE_SIZES, bench_of
from search.experiment import page as experiment_page
from search.records import folder as folders
from search.records import outcome
from search.records.display import Display
from search.records.request import Request
from search.report import summary
from search.space.measurements import Bench, run_bench

BASELINES = "baselines"
MOST_WORKERS = 4  # a process holds a copy of the images
OTHER_PRECISION = "bf16"  # half the bytes: where published schedules were seen to be slower than dense
OTHER_FILE = f"proof-{OTHER_PRECISION}.json"
COMPILING_DEVICE = "ncs2"


@dataclass(frozen=True)
class Study:
    """What one network goes through. epochs: of a full trial and, as proof_epochs, of every compared network's fine-tuning.

    short: epochs of the search's own trials, of which the best are promoted to full length; None for full length throughout. Where
    epochs and proof_epochs are equal, promoted trials enter the comparison as they are.
    finalists: about how many of the best are repeated with two more seeds. baseline_seeds: dense networks trained; the campaign starts
    from the first. dense_epochs: None for the dataset's recipe. dense_small_ratio: share of the dense training on small images.
    """

    network: str
    trials: int
    epochs: float
    proof_epochs: float
    short: float | None = None
    proof_seeds: int = 3
    baseline_seeds: int = 1
    designs: int = 150
    rounds: int = 1500
    max_drop: float = 0.5
    finalists: int = 3
    dense_epochs: float | None = None
    dense_small_ratio: float = 0.0


STUDIES = (
    Study("resnet20", trials=60, epochs=4.0, short=0.25, proof_epochs=4.0, baseline_seeds=3),
    Study("resnet56", trials=60, epochs=4.0, short=0.25, proof_epochs=4.0, designs=200, dense_epochs=18.0, dense_small_ratio=0.6),
    Study("mobilenetv2", trials=60, epochs=2.0, short=0.25, proof_epochs=2.0, designs=160, dense_epochs=12.0, dense_small_ratio=0.6),
)
QUICK = (Study("resnet20", trials=6, epochs=0.0, proof_epochs=0.25, proof_seeds=2, designs=40, rounds=200, max_drop=5.0, dense_epochs=4.0),)


@dataclass(frozen=True)
class Plan:
    """What the experiment is run on. studies: to do now; known: all that the page may tell of. reports: where all of it lies."""

    studies: tuple[Study, ...]
    known: tuple[Study, ...]
    dataset: str
    data: Path | None
    device: str
    precision: str
    reports: Path

    def campaign(self, study: Study, rival: bool = False) -> str:
        """Name of a study's campaign, or of random search's."""
        plain = "-".join("".join(one if one.isalnum() else "-" for one in part) for part in (study.network, self.dataset, self.device))
        return f"{plain}-random" if rival else plain


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
        return Plan(chosen, studies, "digits", None, device, "f32", reports or Path("reports/quick"))
    return Plan(chosen, studies, dataset, data, device, "f32", reports or Path("reports"))


def run(plan: Plan, display: Display, without_device: bool = False) -> Path | None:
    """Do whatever of the plan is not done yet, and write the page after every study; returns its path. Raises the harness's errors.

    The page tells of every finished study, also of those that an earlier run did, and names those that are missing. without_device:
    the device is elsewhere; do what needs none (training, search, tuning) and return None: the next run, where it is, measures.
    """
    dataset = datasets.load(plan.dataset, plan.data)  # at 32 x 32, as its stored baselines and campaigns
    for study in plan.studies:
        display.say(f"study: {study.network} on {plan.dataset}, {plan.device}")
        baselines = _baselines(plan, study, dataset, display)
        if study.trials:
            _campaign(plan, _request(plan, study, baselines[0].weights, rival=True), display, without_device)
        folder = _campaign(plan, _request(plan, study, baselines[0].weights), display, without_device)
        if without_device:
            continue
        _measure_in_other(plan, folder, display)
        _compile(plan, folder, display)
        write_page(plan, dataset)
    return None if without_device else plan.reports / experiment_page.PAGE


def write_page(plan: Plan, dataset: Dataset) -> Path:
    """The page about all of the plan's kind of studies that are finished on disk."""
    told, missing = [], []
    for study in plan.known:
        folder = plan.reports / "campaigns" / plan.campaign(study)
        paths = [
            stored_baseline.path_of(plan.reports / BASELINES, study.network, plan.dataset, seed) for seed in range(study.baseline_seeds)
        ]
        if not outcome.is_compared(folder):
            missing.append(study.network)
            continue
        found = tuple(stored_baseline.described(path, dataset) for path in paths if path.with_suffix(".json").is_file())
        other = folder / OTHER_FILE
        in_other = summary.load(folder, other.name) if other.is_file() else None
        told.append(experiment_page.Studied(summary.load(folder), found, in_other, _notes(folder, other)))
    return experiment_page.write(plan.reports, told, missing)


def _baselines(plan: Plan, study: Study, dataset: Dataset, display: Display) -> tuple[StoredBaseline, ...]:
    found = []
    display.say(probe.adopt(study.network, dataset, processor.processors()).sentence)
    for seed in range(study.baseline_seeds):
        recipe = recipes.dense_recipe(dataset.name).with_seed(seed)
        if study.dense_epochs is not None:
            recipe = replace(recipe, epochs=study.dense_epochs, small_ratio=study.dense_small_ratio)
        with display.step(f"baseline {study.network}, seed {seed}") as bar:
            stored = stored_baseline.find_or_train(
                plan.reports / BASELINES, study.network, dataset, recipe, baseline.CACHE_DIR, lambda done, steps: bar.at(done, steps)
            )
        display.say(f"baseline {study.network}, seed {seed}: test top-1 {stored.test.top1_ratio:.2%} ({stored.weights})")
        found.append(stored)
    return tuple(found)


def _request(plan: Plan, study: Study, weights: Path, rival: bool = False) -> Request:
    """The campaign of a study; neither of the two campaigns may learn from the other's trials."""
    asked = Request(
        device=plan.device,
        network=study.network,
        dataset=plan.dataset,
        data=plan.data,
        input_shape=BEFORE_SIZES,
        weights=weights,
        precision=plan.precision,
        trials=study.trials,
        budget=study.epochs,
        short=study.short,
        proof_budget=study.proof_epochs,
        max_drop=study.max_drop,
        finalists=study.finalists,
        designs=study.designs,
        rounds=study.rounds,
        workers=workers(),
        share=False,
        name=plan.campaign(study, rival),
        reports=plan.reports,
    )
    if rival:
        return replace(asked, optimizer="random", proof_seeds=0)
    return replace(asked, proof_seeds=study.proof_seeds, rival=plan.campaign(study, rival=True), from_scratch=True)


def workers() -> int:
    """Trials side by side: as many as there are processors, up to four; one thread each trains more images than all on one network."""
    return max(1, min(MOST_WORKERS, len(os.sched_getaffinity(0))))


def _campaign(plan: Plan, request: Request, display: Display, without_device: bool) -> Path:
    """Run a campaign, go on with it where it was interrupted, or leave it where it is finished."""
    folder = plan.reports / "campaigns" / str(request.name)
    if not (folder / folders.REQUEST).is_file():
        return journey.run(request, display, without_device).folder
    return journey.resume(str(request.name), plan.reports, display, lambda old: _at_least(old, request), without_device).folder


def _at_least(old: Request, asked: Request) -> Request:
    """A campaign's own request with whatever the study wants of the comparison beyond it."""
    seeds = max(old.proof_seeds, asked.proof_seeds)
    return replace(old, proof_seeds=seeds, rival=old.rival or asked.rival, from_scratch=old.from_scratch or asked.from_scratch)


def _bench(plan: Plan, folder: Path, device: str, precision: str) -> Bench:
    request = folders.read_request(folder)
    return bench_of(replace(request, device=device, reports=plan.reports), precision)


def _measure_in_other(plan: Plan, folder: Path, display: Display) -> None:
    """The compared networks once more, interleaved, in another precision."""
    if not (folder / OTHER_FILE).is_file():
        given = [f"--contender={contender.name}={folder / contender.onnx}" for contender in outcome.read(folder).contenders]
        rounds = folders.read_request(folder).rounds
        options = [*_bench(plan, folder, plan.device, OTHER_PRECISION).options(), f"--rounds={rounds}", *given]
        with display.timed(f"measuring the compared networks in {OTHER_PRECISION}"):
            run_bench(("test_verdict.py",), folder / OTHER_FILE, options, display.say)


def _compile(plan: Plan, folder: Path, display: Display) -> None:
    """What the NCS2's compiler makes of every compared network; where it is not installed, why not, in one line."""
    try:
        spec.find(COMPILING_DEVICE)
        for contender in outcome.read(folder).contenders:
            path = compiled_path(folder, contender.name)
            if path.is_file():
                continue
            config = path.with_suffix(".config.json")
            config.parent.mkdir(exist_ok=True)
            config.write_text(json.dumps({"network": contender.config.network, "channels": dict(contender.config.channels)}))
            options = [*_bench(plan, folder, COMPILING_DEVICE, "f16").options(), "--compile-only", f"--config={config}"]
            run_bench(("test_compiled.py::test_compiled_schedule_and_cost",), path, options, display.say)
    except HarnessError as error:
        display.say(f"not compiled for the {COMPILING_DEVICE}: {str(error).splitlines()[-1]}")


def compiled_path(folder: Path, contender: str) -> Path:
    """Where a contender's compilation lies in a campaign's folder."""
    return folder / "compiled" / f"{contender}.json"


def _notes(folder: Path, other: Path) -> tuple[str, ...]:
    """What a finished study still lacks."""
    contenders = outcome.read(folder).contenders
    lacking = [one.name for one in contenders if not compiled_path(folder, one.name).is_file()]
    notes = [f"Not compiled for the {COMPILING_DEVICE}: {', '.join(lacking)}."] if lacking else []
    notes += [] if other.is_file() else [f"Not measured in {OTHER_PRECISION}."]
    roles = {one.role for one in contenders}
    rivals = {"random": "random search's choice", "from-scratch": "the chosen shape trained from nothing"}
    absent = [words for role, words in rivals.items() if role not in roles]
    return (*notes, *([f"Not compared yet: {', '.join(absent)}."] if absent else []))
