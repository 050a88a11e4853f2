"""The experiment: every study from the trained baseline to the comparison, each step resumable, and one page about all of them.

The hypothesis: an optimiser can choose compression parameters and improve inference latency on the device.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.devices import spec
from harness.errors import CampaignError, HarnessError
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.records import benchmark_json
from harness.training import baseline, processor, recipes, stored_baseline
from harness.training.speed import probe
from harness.training.stored_baseline import StoredBaseline
from search import journey
from search.campaign.subject import bench_of
from search.experiment import page as experiment_page
from search.experiment.studied import Studied
from search.experiment.studies import Plan, Study
from search.records import folder as folders
from search.records import outcome
from search.records.display import Display
from search.records.outcome import Contender
from search.records.request import Request
from search.records.trial import RunsIn
from search.report import summary
from search.space.bench_run import Bench, run_bench

BASELINES = "baselines"
OTHER_PRECISION = "bf16"  # half the bytes: where published schedules were seen to be slower than dense
OTHER_FILE = f"proof-{OTHER_PRECISION}.json"
COMPILING_DEVICE = "ncs2"


def run(plan: Plan, display: Display, without_device: bool = False) -> Path | None:
    """Do whatever of the plan is not done yet, and write the page after every study; returns its path. Raises the harness's errors.

    The page tells of every finished study, also of those that an earlier run did, and names those that are missing. without_device:
    the device is elsewhere; do what needs none (training, search, tuning) and return None: the next run, where it is, measures.
    """
    dataset = datasets.load(plan.dataset, plan.data)  # at 32 x 32, as its stored baselines and campaigns
    for study in plan.studies:
        display.say(f"study: {study.network} on {plan.dataset}, {plan.device}")
        weights = _baselines(plan, study, dataset, display)[0].weights
        for search in study.searches:
            if search.trials and search.random:
                _campaign(plan, plan.request(study, search, weights, rival=True), display, without_device)
            folder = _campaign(plan, plan.request(study, search, weights), display, without_device)
            if without_device:
                continue
            if not search.is_joint:
                _measure_in_other(plan, folder, display)
                _compile(plan, folder, display)
            write_page(plan, dataset)
    return None if without_device else plan.reports / experiment_page.PAGE


def pages(plan: Plan) -> Path:
    """Only write the pages, about what is finished on disk; CampaignError where nothing is."""
    if not any(outcome.is_compared(plan.folder(study, study.in_float)) for study in plan.known):
        raise CampaignError(f"no study is finished in {plan.reports}: python -m search experiment does them all, --network=resnet20 one")
    return write_page(plan, datasets.load(plan.dataset, plan.data))


def write_page(plan: Plan, dataset: Dataset) -> Path:
    """The page about all of the plan's kind of studies that are finished on disk."""
    told, missing = [], []
    for study in plan.known:
        folder, together = (plan.folder(study, search) for search in study.searches)
        paths = [
            stored_baseline.path_of(plan.reports / BASELINES, study.network, plan.dataset, seed) for seed in range(study.baseline_seeds)
        ]
        if not outcome.is_compared(folder):
            missing.append(study.network)
            continue
        found = tuple(stored_baseline.described(path, dataset) for path in paths if path.with_suffix(".json").is_file())
        other = folder / OTHER_FILE
        in_other = summary.load(folder, other.name) if _holds(other, in_float(folder)) else None
        joint = summary.load(together) if outcome.is_compared(together) else None
        told.append(Studied(summary.load(folder), found, in_other, (*_notes(folder, other), *_joint_notes(together)), joint))
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


def _campaign(plan: Plan, request: Request, display: Display, without_device: bool) -> Path:
    """Run a campaign, go on with it where it was interrupted, or leave it where it is finished."""
    folder = plan.reports / "campaigns" / str(request.name)
    if not (folder / folders.REQUEST).is_file():
        return journey.run(request, display, without_device).folder
    return journey.resume(str(request.name), plan.reports, display, lambda old: _at_least(old, request), without_device).folder


def _at_least(old: Request, asked: Request) -> Request:
    """A campaign's own request with whatever the study wants of the comparison beyond it."""
    seeds = max(old.proof_seeds, asked.proof_seeds)
    return replace(
        old,
        proof_seeds=seeds,
        rival=old.rival or asked.rival,
        from_scratch=old.from_scratch or asked.from_scratch,
        global_pruning=old.global_pruning or asked.global_pruning,
    )


def _bench(plan: Plan, folder: Path, device: str, precision: str) -> Bench:
    request = folders.read_request(folder)
    return bench_of(replace(request, device=device, reports=plan.reports), precision)


def _measure_in_other(plan: Plan, folder: Path, display: Display) -> None:
    """The compared networks that run in f32 once more, interleaved, in another precision."""
    contenders, path = in_float(folder), folder / OTHER_FILE
    if _holds(path, contenders):
        return
    given = [f"--contender={contender.name}={folder / contender.onnx}" for contender in contenders]
    rounds = folders.read_request(folder).rounds
    options = [*_bench(plan, folder, plan.device, OTHER_PRECISION).options(), f"--rounds={rounds}", *given]
    with display.timed(f"measuring the compared networks in {OTHER_PRECISION}"):
        run_bench(("test_verdict.py",), path, options, display.say)


def in_float(folder: Path) -> tuple[Contender, ...]:
    """The compared networks of a finished campaign that run in what the dense network runs in, each under one name."""
    floats = [one for one in outcome.read(folder).contenders if one.runs_in == RunsIn()]
    first = {one.artefact_digest: one for one in reversed(floats)}
    return tuple(one for one in floats if first[one.artefact_digest] is one)


def _holds(path: Path, contenders: Sequence[Contender]) -> bool:
    """Whether all of them were measured there."""
    if not path.is_file():
        return False
    measured = {one.artefact_digest for one in benchmark_json.read(path).measurements}
    return measured >= {one.artefact_digest for one in contenders}


def _compile(plan: Plan, folder: Path, display: Display) -> None:
    """What the NCS2's compiler makes of every compared network; where it is not installed, why not, in one line."""
    try:
        spec.find(COMPILING_DEVICE)
        for contender in in_float(folder):
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
    floats = in_float(folder)
    lacking = [one.name for one in floats if not compiled_path(folder, one.name).is_file()]
    notes = [f"Not compiled for the {COMPILING_DEVICE}: {', '.join(lacking)}."] if lacking else []
    notes += [] if _holds(other, floats) else [f"Not measured in {OTHER_PRECISION}."]
    return (*notes, *_absent(folder, "Not compared yet"))


def _joint_notes(folder: Path) -> tuple[str, ...]:
    """What the search over channels, bits and sizes still lacks."""
    if not outcome.is_compared(folder):
        return ("Not searched yet: channels, bits and sizes together.",)
    return _absent(folder, "Channels, bits and sizes together, not compared yet")


def _absent(folder: Path, told: str) -> tuple[str, ...]:
    """Rivals that a finished comparison is without; nothing, or one sentence that begins with ``told``."""
    roles = {one.role for one in outcome.read(folder).contenders}
    rivals = {
        "random": "random search's choice",
        "from-scratch": "the chosen shape trained from nothing",
        "global-pruning": "Torch-Pruning's global pruning",
    }
    absent = [words for role, words in rivals.items() if role not in roles]
    return (f"{told}: {', '.join(absent)}.",) if absent else ()
