"""How a campaign ends that finds nothing, had no time, or crashed: with what there is, one line that says what to do, and its code."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import safetensors.torch

from search.command_line import LIMIT_MISSED
from search.records import outcome
from tests.search.command import own_device, search, small_network
from tests.search.fitted import fitted_network

pytestmark = pytest.mark.timeout(600)  # the first test measures and runs a whole campaign
QUICK = (
    "--trials=3",
    "--budget=0",
    "--proof-budget=0",
    "--designs=14",
    "--rounds=20",
    "--no-share",
    "--chance-margin=0",
    "--folds=0",
    "--finalists=1",
    "--no-global-pruning",
)
HOPELESS = ("--dataset=imagefolder:own", "--weights=fitted.safetensors", *QUICK, "--max-drop=0")  # loses with every channel


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: pictures, a dense network that needs all its channels to answer them, and a device of their own."""
    folder = tmp_path_factory.mktemp("home")
    safetensors.torch.save_file(fitted_network(folder / "own").state_dict(), folder / "fitted.safetensors")
    own_device(folder)
    return folder


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A user's folder, and the words of a campaign in it about a small network that knows nothing of digits."""
    folder = tmp_path_factory.mktemp("hasty")
    words = (*small_network(folder), own_device(folder), *QUICK, "--dataset=digits", "--input-shape=1x16x16", "--max-predictor-error=0.9")
    return folder, (*words, "--proof-seeds=0")


@pytest.fixture(scope="module")
def alone(home: Path) -> subprocess.CompletedProcess[str]:
    """The end of a campaign that nothing keeps the limit of, and that was to compare nothing."""
    return search("--name=missed", "--device=simulated", *HOPELESS, "--proof-seeds=0", cwd=home)


def test_the_limit_is_judged_too_where_nothing_is_compared_or_measured(home: Path, alone: subprocess.CompletedProcess[str]) -> None:
    assert alone.returncode == LIMIT_MISSED == 3, alone.stdout + alone.stderr
    assert alone.stdout.count("no network found keeps the limit") == 1
    assert "the least harmed: trial " in alone.stdout
    again = search("resume", "missed", cwd=home)
    assert again.returncode == 3
    assert again.stdout.splitlines()[-1] == alone.stdout.splitlines()[-1]
    apart = search("resume", "missed", "--proof-seeds=1", "--without-device", cwd=home)
    assert apart.returncode == 3, apart.stdout + apart.stderr
    assert "measure there: python -m search resume missed" in apart.stdout


def test_a_limit_that_nothing_keeps_ends_with_the_trade_off_and_a_code_of_its_own(
    home: Path, alone: subprocess.CompletedProcess[str]
) -> None:
    """Of a campaign that goes on to its comparison: what comes after a trial is the same of one that was not interrupted."""
    ended = search("resume", "missed", "--proof-seeds=1", cwd=home)
    assert ended.returncode == LIMIT_MISSED, ended.stdout + ended.stderr
    assert "no network found keeps the limit of 0 points: of 2 pruned" in ended.stdout
    assert "the unpruned network itself lost" in ended.stdout
    printed = " ".join(ended.stdout.split())
    assert "No network found keeps the limit of 0 points on validation; the nearest: SIMULATED: resnet20 " in printed
    assert "Limits: drop of at most 0 points: missed on validation" in printed
    folder = home / "reports" / "campaigns" / "missed"
    told = outcome.read(folder)
    dense = told.contender("dense").config
    found = [one for one in told.contenders if one.role in ("optimised", "candidate")]
    assert found
    assert all(one.config != dense for one in found)
    assert told.contender("optimised").validation.correct == max(one.validation.correct for one in found)
    assert "No network found keeps the limit of 0 points" in (folder / "report.md").read_text()
    codes = {verb: search(verb, "missed", cwd=home).returncode for verb in ("show", "report", "resume")}
    assert codes == {"show": 0, "report": 0, "resume": 3}


def test_a_campaign_that_had_no_time_says_how_much_it_needs(hasty: tuple[Path, tuple[str, ...]]) -> None:
    home, words = hasty
    ended = search("--name=hasty", *words, "--max-drop=100", "--hours=1e-9", cwd=home)
    assert ended.returncode == 2, ended.stdout
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: the time of 1e-09 h was used up before a pruned network was tuned in full; done: ")
    told = shlex.split(line.rpartition(": ")[2])
    assert told[:5] == ["python", "-m", "search", "resume", "hasty"]
    resumed = search("resume", "hasty", "--hours=1", cwd=home)
    assert resumed.returncode == 0, resumed.stderr
    assert "recommended: trial " in resumed.stdout


def test_a_campaign_whose_trials_all_crash_says_why(hasty: tuple[Path, tuple[str, ...]]) -> None:
    home, words = hasty
    ended = search("--name=crashed", *words, "--trial-timeout=0.001", cwd=home)
    assert ended.returncode == 2, ended.stdout
    first, reason, todo = ended.stderr.splitlines()
    assert re.fullmatch("error: all (3 trials|2 trials of pruned networks) crashed:", first), "the unpruned one takes no time"
    assert re.fullmatch("  [23] × took longer than the 0.001 s of --trial-timeout", reason)
    assert "--name" in todo
