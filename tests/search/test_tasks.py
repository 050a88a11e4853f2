"""Both examples of tasks the whole way to the report, on the simulated device, and what is refused of tasks before anything is loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from harness.errors import HarnessError
from harness.pruning import saved
from search import verbs
from search.command_line import parse, request
from search.records import folder as folders
from search.records import outcome
from tests.search.command import own_device

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.timeout(600)  # the first test of each example runs a whole campaign
TINY = (
    "--trials=2",
    "--budget=0.5",
    "--proof-budget=0.5",
    "--designs=14",
    "--rounds=20",
    "--finalists=0",
    "--folds=0",
)


def ended(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command's end, in a process of its own whose caches are its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "XDG_CACHE_HOME": str(home / "cache"),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # whose table of fonts takes seconds to make
        "COLUMNS": "80",
    }
    found = subprocess.run([sys.executable, "-m", "search", *words], capture_output=True, text=True, cwd=home, env=environment, timeout=560)
    assert found.returncode in (0, 3), found.stdout + found.stderr
    return found


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a campaign on the U-Net, and what was printed."""
    home = tmp_path_factory.mktemp("segmented")
    (home / "unet.py").write_bytes((EXAMPLES / "unet.py").read_bytes())
    subprocess.run([sys.executable, "unet.py", "shapes"], cwd=home, check=True, capture_output=True)
    asked = (
        "--task=segmentation",
        "--dataset=segmentation:shapes",
        "--network=unet.py:unet",
        "--max-drop=5",
        "--dense-epochs=6",
        "--no-global-pruning",
        "--name=own",
        own_device(home),
    )
    return home / "reports" / "campaigns" / "own", ended(home, *asked, *TINY).stdout


def test_a_campaign_on_segmentation_speaks_of_mean_iou_everywhere(segmented: tuple[Path, str]) -> None:
    folder, printed = segmented
    for told in (printed, (folder / "report.html").read_text(), (folder / "report.md").read_text()):
        assert "mIoU" in told
        assert "top-1" not in told
    said = " ".join(printed.split())
    assert "validation mIoU" in said
    assert any(words in said for words in ("test mIoU drop", "unchanged test mIoU", "a test mIoU"))


def test_its_figures_are_means_over_pictures_with_intervals(segmented: tuple[Path, str]) -> None:
    told = outcome.read(segmented[0])
    assert told.metric.name == "mIoU"
    assert told.contender("dense").test.top1_ratio > 0.7
    for contender in told.contenders:
        low, high = contender.test.interval_ratio
        assert not contender.test.is_counted
        assert low < contender.test.top1_ratio < high
        assert contender.paired is None or not contender.paired.counted


def test_its_network_is_rebuilt_from_config_and_weights_and_the_config_says_what_it_answers(segmented: tuple[Path, str]) -> None:
    config = json.loads((segmented[0] / "config.json").read_text())
    assert config["task"] == "segmentation"
    assert config["metric"] == "mIoU"
    assert "per class for every pixel" in config["outputs"]
    assert config["preprocessing"]["classes"] == ["background", "disc", "square"]
    rebuilt = saved.load(segmented[0])
    assert sum(one.numel() for one in rebuilt.parameters()) > 0
    assert not (segmented[0] / "infer.py").exists(), "the example answers classes of pictures, not of pixels"


def test_a_task_of_ones_own_goes_the_whole_way_and_on_without_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "detector.py").write_bytes((EXAMPLES / "detector.py").read_bytes())
    words = (
        "--task=detector.py:task",
        "--network=detector.py:detector",
        "--max-drop=20",
        "--name=own",
        "--device=simulated",
        "--no-global-pruning",
    )
    printed = ended(tmp_path, *words, *TINY).stdout
    folder = tmp_path / "reports" / "campaigns" / "own"
    told = outcome.read(folder)
    assert told.metric.name == "AP@0.5"
    assert told.contender("dense").test.top1_ratio > 0.3
    for text in (printed, (folder / "report.html").read_text(), (folder / "report.md").read_text()):
        assert "AP@0.5" in text
        assert "top-1" not in text
    assert "for each cell of 8 x 8 pixels" in (folder / "report.md").read_text()
    (tmp_path / "detector.py").unlink()
    monkeypatch.chdir(tmp_path)
    assert verbs.main(["show", "own"]) in (0, 3)
    assert "test AP@0.5" in capsys.readouterr().out
    assert "is finished" in ended(tmp_path, "resume", "own").stdout
    again = folders.read_request(folder)
    assert again.own_task == "detector.py:task"
    assert (folder / "task" / "detector.py").is_file()
    assert "--dataset" not in again.command
    assert "--task detector.py:task" in again.command


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--task=segmentation"], r"--task=segmentation and --dataset=digits do not go together; give --dataset=segmentation:FOLDER"),
        (["--task=classification", "--dataset=segmentation:x"], r"give --dataset=imagefolder:FOLDER, or a built-in one"),
        (["--task=segmentaton"], r"unknown task 'segmentaton' \(did you mean 'segmentation'\?\)"),
        (["--task=mine.py:task", "--dataset=cifar10"], r"gives its own pictures, but --dataset=cifar10 others; leave one of them out"),
    ],
    ids=["no-masks", "masks", "misspelt", "two-sources"],
)
def test_tasks_and_pictures_that_do_not_go_together_are_refused_in_one_line(words: list[str], told: str) -> None:
    with pytest.raises(HarnessError, match=told) as refused:
        request(parse(words))
    assert "\n" not in str(refused.value)


def test_campaigns_of_before_were_judged_by_top_1(tmp_path: Path) -> None:
    """A stored comparison that names no metric, whose accuracies are counts."""
    stored = next(iter(sorted((EXAMPLES.parent / "reports" / "campaigns").glob("*/contenders.json"))), None)
    if stored is None:
        pytest.skip("no campaign is stored in this checkout")
    told = outcome.read(stored.parent)
    assert told.metric.name == "top-1"
    assert all(one.test.is_counted for one in told.contenders)
