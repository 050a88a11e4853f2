"""The main job as a user runs it, once, with the smallest budgets: dense network, measurements, search, proof, report."""

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from harness.devices import spec
from harness.devices.session import Device
from harness.networks import zoo
from harness.pruning import saved
from harness.records import benchmark_json
from search import verbs
from search.records import outcome
from tests.search.command import OWN_RUNTIME, away, own_device, search, small_network

README = (Path(__file__).parent.parent.parent / "README.md").read_text()
pytestmark = pytest.mark.timeout(600)  # the first test runs a whole campaign
SMALL = "--input-shape=1x16x16"  # a quarter of the work
QUICK = (
    "--trials=3",
    "--budget=0",
    "--proof-budget=0",
    "--designs=14",
    "--rounds=60",
    "--max-predictor-error=0.9",
    "--chance-margin=0",
    SMALL,
)
LEAST = ("--dataset=digits", *QUICK, "--max-drop=100", "--rounds=20", "--folds=0", "--finalists=1", "--no-global-pruning")


@dataclass(frozen=True)
class Elsewhere:
    """A user's folder, and the words of the campaign that is finished in it, without its name."""

    home: Path
    words: tuple[str, ...]

    def campaign(self, name: str) -> Path:
        return self.home / "reports" / "campaigns" / name


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the weights of a dense network in it."""
    folder = tmp_path_factory.mktemp("home")
    model = zoo.build("resnet20", (1, 32, 32), 10, seed=1)
    safetensors.torch.save_file(model.state_dict(), folder / "dense.safetensors")
    return folder


@pytest.fixture(scope="module")
def finished(home: Path) -> Path:
    """The folder of a finished campaign, made by the README's command with a dense network at hand and the least budgets."""
    shown = next(line for line in README.splitlines() if line.startswith("python -m search --"))
    ended = search(*shlex.split(shown)[3:], "--weights=dense.safetensors", "--name=first", *QUICK, cwd=home)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return home / "reports" / "campaigns" / "first"


def test_a_campaign_leaves_everything_that_the_guide_promises(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    promised = {"report.html", "report.md", "config.json", "weights.safetensors", "model.onnx", "journal.jsonl", "measurements.json"}
    assert promised <= names
    assert not [name for name in names if name.endswith(".part")]


def test_all_compared_networks_were_measured_and_judged_on_the_device(finished: Path) -> None:
    told, proof = outcome.read(finished), benchmark_json.read(finished / outcome.PROOF)
    assert {"dense", "off-the-shelf", "uniform", "optimised"} <= {contender.role for contender in told.contenders}
    digests = {contender.artefact_digest for contender in told.contenders}
    assert {measurement.artefact_digest for measurement in proof.measurements} == digests
    assert {judged.artefact_digest for judged in proof.accuracies} == digests
    for pruned in told.contenders[1:]:
        assert pruned.paired is not None
        assert pruned.paired.total == told.contender("dense").test.correct - pruned.test.correct, "one seed each"
        assert pruned.paired_validation is not None
        assert pruned.paired_validation.total == told.contender("dense").validation.correct - pruned.validation.correct
    for judged in proof.accuracies:
        assert judged.largest_difference is not None
        assert judged.largest_difference < 1e-3, "the exported network answers as torch does"


def test_the_chosen_network_is_rebuilt_from_config_and_weights_alone(finished: Path) -> None:
    model = saved.load(finished)
    images = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(images).numpy()
    with Device(spec.find("cpu")).open(wait_s=60) as session:
        loaded = session.load((finished / "model.onnx").read_bytes(), "resnet20")
        answered = np.concatenate([loaded.outputs(images[i : i + 1].numpy()) for i in range(4)])
    assert np.abs(answered - expected).max() < 1e-4 * max(1.0, np.abs(expected).max())


def test_show_prints_the_same_figures_from_disk_and_changes_nothing(home: Path, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    shown = search("show", "first", cwd=home)
    assert shown.returncode == 0, shown.stderr
    assert "optimised" in shown.stdout
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before
    repeated = search("report", "first", cwd=home)
    assert repeated.returncode == 0
    assert repeated.stdout == shown.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """A user's folder with a finished campaign on a network of two convolutions, whose device can be taken away."""
    home = tmp_path_factory.mktemp("elsewhere")
    words = (*small_network(home), own_device(home), *LEAST)
    ended = search(*words, "--name=first", cwd=home)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Elsewhere(home, words)


def test_a_second_campaign_takes_the_stored_measurements(elsewhere: Elsewhere) -> None:
    ended = search(*elsewhere.words, "--name=second", "--proof-seeds=0", cwd=elsewhere.home)
    assert ended.returncode == 0, ended.stderr
    assert "measured networks)" in ended.stdout
    assert re.search(r"^plan: about \d+ ", ended.stdout, re.MULTILINE)
    assert len(list((elsewhere.home / "reports" / "benchmarks" / "simulated").glob("*.json"))) == 1


def test_where_the_device_is_not_everything_but_measuring_is_done(elsewhere: Elsewhere) -> None:
    home, words = elsewhere.home, (*elsewhere.words, "--name=apart")
    runtime = (home / OWN_RUNTIME).read_text()
    (home / OWN_RUNTIME).write_text("raise ImportError('no device here')")
    refused = search(*words, cwd=home)
    assert refused.returncode == 2, "the device cannot be reached"
    tuned = search(*words, "--without-device", cwd=home)
    assert tuned.returncode == 0, tuned.stderr
    assert "measure there: python -m search resume apart" in tuned.stdout
    (home / OWN_RUNTIME).write_text(runtime)
    folder = elsewhere.campaign("apart")
    assert not (folder / outcome.CONTENDERS).exists()
    before = {path: path.stat().st_mtime_ns for path in (folder / "tuned").rglob("*") if path.is_file()}
    with away(home / "dense.safetensors"):  # the folder alone was copied to where the device is
        measured = search("resume", "apart", cwd=home)
    assert measured.returncode == 0, measured.stderr
    contenders = outcome.read(folder).contenders
    assert len(before) >= len(contenders)
    after = {path: path.stat().st_mtime_ns for path in (folder / "tuned").rglob("*") if path.is_file()}
    assert after == before, "nothing is tuned again"


def test_without_the_device_its_measurements_must_be_here(home: Path, tmp_path: Path) -> None:
    shutil.copy(home / "dense.safetensors", tmp_path)
    ended = search("--weights=dense.safetensors", *QUICK, "--without-device", cwd=tmp_path)
    assert ended.returncode == 2
    assert "python -m harness.runner network_latency layer_latency predictor --device=" in ended.stderr.splitlines()[-1]
    assert "--designs=14" in ended.stderr
    assert not (tmp_path / "reports" / "campaigns").exists()


def test_a_fork_begins_with_what_the_old_campaign_tried(elsewhere: Elsewhere) -> None:
    home, old = elsewhere.home, elsewhere.campaign("first")
    tried = sum(json.loads(line)["kind"] == "finished" for line in (old / outcome.JOURNAL).read_bytes().splitlines())
    words = ("--weights=dense.safetensors", "--name=forked", "--trials=1", "--budget=0", "--proof-seeds=0")
    ended = search("fork", "first", *words, cwd=home)
    assert ended.returncode == 0, ended.stderr
    assert "the networks of the final comparison" not in ended.stdout, "there is none, so its length is no doubt"
    forked = elsewhere.campaign("forked")
    kinds = [json.loads(line)["kind"] for line in (forked / outcome.JOURNAL).read_bytes().splitlines()]
    assert kinds.count("imported") == tried > 0
    assert json.loads((forked / "request.json").read_text())["old"] == "first"
    refused = search("fork", "second-hand", *words, cwd=home)
    assert refused.returncode == 2
    assert "there is no campaign 'second-hand'" in refused.stderr


def test_a_campaign_that_lost_its_proof_resumes_with_more_seeds_without_repeating_a_trial(elsewhere: Elsewhere) -> None:
    """When a comparison that is there is made again: ``experiment/test_experiment.py``."""
    home, folder = elsewhere.home, elsewhere.campaign("first")
    seeds = min(len(contender.tests) for contender in outcome.read(folder).contenders)
    journal, compared = (folder / outcome.JOURNAL).read_bytes(), (folder / outcome.CONTENDERS).read_bytes()
    same = search("resume", "first", f"--proof-seeds={seeds}", cwd=home)
    assert same.returncode == 0, same.stderr
    assert "is finished" in same.stdout
    assert (folder / outcome.CONTENDERS).read_bytes() == compared
    (folder / outcome.PROOF).unlink()
    shutil.rmtree(folder / "dense")  # too large for a repository: laid again from --weights
    ended = search("resume", "first", f"--proof-seeds={seeds + 1}", cwd=home)
    assert ended.returncode == 0, ended.stderr
    assert "is finished" not in ended.stdout
    assert {len(contender.tests) for contender in outcome.read(folder).contenders} == {seeds + 1}
    assert (folder / outcome.PROOF).is_file()
    began = [json.loads(line) for line in journal.splitlines()]
    now = [json.loads(line) for line in (folder / outcome.JOURNAL).read_bytes().splitlines()]
    assert now[: len(began)] == began
    started = [sum(line["kind"] == "started" for line in lines) for lines in (began, now)]
    assert started[0] == started[1] > 0


def test_what_is_too_large_for_a_repository_is_laid_again_or_asked_for(elsewhere: Elsewhere) -> None:
    """A rival, or a campaign that is explained, may come without its dense network as well as the one that is resumed."""
    home, words = elsewhere.home, elsewhere.words
    assert search(*words, "--name=rival", "--optimizer=random", "--proof-seeds=0", cwd=home).returncode == 0
    folder = elsewhere.campaign("rival")
    laid = (folder / "dense" / "weights.safetensors").read_bytes()
    shutil.rmtree(folder / "dense")
    ended = search(*words, "--name=against", "--rival=rival", "--without-device", cwd=home)
    assert ended.returncode == 0, ended.stderr
    assert (folder / "dense" / "weights.safetensors").read_bytes() == laid
    shutil.rmtree(folder / "dense")
    with away(home / "dense.safetensors"):
        for words in (("explain", "--name=rival"), ("resume", "rival", "--trials=4")):
            refused = search(*words, cwd=home)
            assert refused.returncode == 2, refused.stderr
            assert "put back dense.safetensors" in refused.stderr.splitlines()[-1]
    resumed = search("resume", "rival", "--trials=4", cwd=home)
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--name=first",), "exists already"),
        (("--network=resnet-20",), "did you mean 'resnet20'"),
        (("--device=toaster",), "unknown device 'toaster'"),
        (("--dataset=digit",), "did you mean 'digits'"),
        (("--dataset=imagefolder:empty",), "empty"),
        (("--weights=wrong.safetensors",), "does not fit the network"),
        (("--max-drop=200",), "between 0 and 100"),
        (("--name=a/b",), "path separator"),
        (("--max-latency-ms=0.001", "--max-predictor-error=0.9", "--chance-margin=0", SMALL), "give --max-latency-ms="),
        (("--resources=GPU",), "write for example GPU=1"),
        (("--network=torchvision:resnet0",), "resnet0"),
        (("--network=nofile.py:make",), "nofile.py"),
        (("show", "nothing"), "there is no campaign 'nothing'"),
        (("resume", "nothing"), "there is no campaign 'nothing'"),
        (("report", "../x"), "path separator"),
        (("compare", "--problem=x"), "unknown problem 'x'"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_a_mistake_costs_one_line_and_nothing_else(
    home: Path, finished: Path, words: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In this process, whose imports would be most of it; a traceback would be an exception here."""
    monkeypatch.chdir(home)
    (home / "empty").mkdir(exist_ok=True)
    safetensors.torch.save_file(zoo.build("resnet20", (1, 32, 32), 7).state_dict(), home / "wrong.safetensors")
    weights = () if words[0] in ("show", "resume", "report", "compare") or "--weights" in words[0] else ("--weights=dense.safetensors",)
    before = sorted(home.rglob("*"))
    code, (_, said) = verbs.main([*words, *weights]), capfd.readouterr()
    assert code == 2
    assert told in said
    assert len(said.strip().splitlines()) == 1, said
    assert sorted(home.rglob("*")) == before
