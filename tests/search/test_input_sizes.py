"""A campaign that chooses among two sizes of its pictures, from the command line to the report, and what is refused before it begins."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.networks import datasets, export
from harness.pruning import saved
from harness.records.benchmark_json import read as read_benchmarks
from search.campaign.sharing import of_fork
from search.records import folder as folders
from search.records import journal, outcome
from search.records.outcome import Outcome
from search.records.request import Request
from search.records.trial import RunsIn
from search.report import summary
from search.space import measurements
from search.space.screened_latency import as_it_runs, cost_of
from tests.search.command import SMALL, own_device, search

pytestmark = pytest.mark.timeout(600)  # the first test runs a whole campaign
SIZES = ("16x16", "8x8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished campaign on digits, of three trials, in which any drop is allowed: the smaller size is the faster one."""
    home = tmp_path_factory.mktemp("sized")
    (home / "small.py").write_text(SMALL)
    told = ["--network=small.py:small", own_device(home), "--input-shape=16x16", "--input-size=8", "--name=sized", "--designs=14"]
    told += ["--trials=3", "--budget=0.2", "--proof-budget=0.2", "--dense-epochs=3", "--learning-rate=0.05", "--rounds=20"]
    told += ["--max-drop=90", "--folds=0", "--finalists=0", "--no-global-pruning"]
    ended = search(*told, cwd=home, path=Path.cwd())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "sizes of pictures to choose among: 16x16, from which" in ended.stdout
    for size in SIZES:
        assert f"at {size}: predictor: " in ended.stdout, "the error at every size is told"
    return home / "reports" / "campaigns" / "sized"


@pytest.fixture(scope="module")
def told(folder: Path) -> Outcome:
    return outcome.read(folder)


def test_trials_run_at_both_sizes_and_their_latencies_are_their_sizes(folder: Path) -> None:
    trials = [one for one in journal.read(folder).finished if one.outcome.ok]
    assert {one.request.recipe.size for one in trials} == set(SIZES)
    stored = read_benchmarks(folder / outcome.MEASUREMENTS)
    full, small = sorted(stored.architectures, key=lambda one: -one.input_shape[1])
    latency = measurements.read(folder / outcome.MEASUREMENTS, full, "f32", sizes=[small]).known
    for one in trials:
        asked = one.request
        assert one.cost == pytest.approx(cost_of(full, latency, asked.config, *asked.recipe.runs_in))
    alone = measurements.read(folder / outcome.MEASUREMENTS, full, "f32").known
    widths = np.array([[group.channels for group in full.groups]])
    assert alone.costs(widths)[0] == latency.costs(widths)[0] > as_it_runs(latency, RunsIn("", "8x8")).costs(widths)[0]


def test_every_rival_enters_at_both_sizes_and_is_exported_and_judged_there(folder: Path, told: Outcome) -> None:
    sizes = {one.name: one.size for one in told.contenders}
    assert (sizes["dense"], sizes["dense-8x8"], sizes["optimised"]) == ("", "8x8", "8x8")
    for one in told.contenders:
        _, _, *shape = export.read(folder / one.onnx, one.name).input_shape
        assert "x".join(map(str, shape)) == (one.size or "16x16")
    proof = read_benchmarks(folder / outcome.PROOF)
    judged = {one.artefact_digest: one for one in proof.accuracies}
    for one in told.contenders:
        assert judged[one.artefact_digest].on_device == one.test, "the device answers the pictures of the network's own size"
    macs = {one.name: one.macs for one in told.contenders}
    assert macs["dense-8x8"] < macs["dense"] / 2


def test_the_chosen_size_stands_in_the_files_and_the_report(folder: Path) -> None:
    description = saved.describe(folder / "config.json")
    assert description.input_shape[1:] == (8, 8)
    assert description.preprocessing is not None
    assert description.preprocessing.input_shape == description.input_shape
    assert export.read(folder / "model.onnx", "model").input_shape[2:] == (8, 8)
    report = (folder / "report.md").read_text()
    assert "at 8×8 pixels, dense at 16×16" in report
    assert "8 x 8" in report, "the preprocessing"
    assert "The same at 8x8 in f32: mean" in report
    whole = summary.load(folder)
    assert whole.optimised.predicted is not None
    assert whole.dense.predicted is not None
    assert whole.optimised.predicted.seconds < whole.dense.predicted.seconds
    assert whole.off_the_shelf is not None
    assert whole.off_the_shelf.contender.size == "8x8", "nobody wins by the size unseen"


def test_the_script_answers_what_the_campaign_did_at_the_chosen_size(folder: Path, tmp_path: Path) -> None:
    found = datasets.pictures("digits").splits.test
    files = []
    for number, pixels in enumerate(found.pixels[:60]):
        files.append(tmp_path / f"{number:03}.png")
        Image.fromarray(pixels[0]).save(files[-1])
    words = [sys.executable, str(folder / "infer.py"), *map(str, files)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": ""})
    assert ended.returncode == 0, ended.stderr
    logits = np.load(folder / "contenders" / "optimised.logits.npy")[: len(files)]
    lines = [line.rsplit(" ", 2) for line in ended.stdout.splitlines()]
    assert [name for _, name, _ in lines] == [str(best) for best in logits.argmax(1)]
    chances = np.exp(logits - logits.max(1, keepdims=True))
    assert np.allclose([float(chance) for *_, chance in lines], (chances / chances.sum(1, keepdims=True)).max(1), atol=1e-3)


def test_a_fork_takes_over_what_ran_at_its_sizes_and_says_what_it_leaves(folder: Path) -> None:
    request, contents, said = folders.read_request(folder), journal.read(folder), list[str]()
    asked = Request(**{**vars(request), "old": "sized", "reports": folder.parents[1]})
    digest, usable = contents.header.architecture, [one for one in contents.finished if one.outcome.ok]
    assert len(of_fork("sized", asked, digest, said.append)) == len(usable)
    assert not said
    alone = of_fork("sized", Request(**{**vars(asked), "input_size": "16x16"}), digest, said.append)
    assert {one.request.recipe.size for one in alone} == {""}
    assert len(alone) == sum(one.request.recipe.size == "16x16" for one in usable)
    assert "left behind" in said[0]


def test_the_campaign_can_be_resumed_shown_exported_and_told_of(folder: Path) -> None:
    home, where = folder.parents[2], Path.cwd()
    ended = search("show", "sized", cwd=home, path=where)
    assert ended.returncode == 0, ended.stderr
    assert "(8x8)" in ended.stdout
    asked = json.loads((folder / "request.json").read_bytes())
    assert asked["input_size"] == "16x16,8x8"
    ended = search("groups", "--network=small.py:small", "--input-shape=16x16", "--input-size=8", cwd=home, path=where)
    assert "at 8x8: the same groups, 2" in ended.stdout, ended.stdout + ended.stderr


ONE_SIZE = '''
from torch import nn


def fixed(input_shape, classes):
    """Its linear layer has a weight for every pixel."""
    channels, height, width = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * height * width, classes)
    )
'''


def test_a_size_that_the_network_does_not_allow_is_refused_by_name_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "fixed.py").write_text(ONE_SIZE)
    ended = search(
        "--network=fixed.py:fixed", "--device=simulated", "--input-size=32,24", "--dense-epochs=1", cwd=tmp_path, path=Path.cwd()
    )
    assert ended.returncode == 2
    (line,) = [line for line in ended.stdout.splitlines() + ended.stderr.splitlines() if "does not allow" in line]
    assert "24x24" in line
    assert "3.weight would be 10x4608, and is 10x8192" in line
    assert "leave that size out" in line
    assert "training the dense network" not in ended.stdout
