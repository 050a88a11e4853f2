"""In somebody else's repository the fixtures measure, mistakes are one line, and nothing costs where nothing is asked for."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest

from harness.records import benchmark_json
from tests.runner.elsewhere.conftest import ROOT, Run

MEASURES = """
import torch
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())

def test_latency(measure):
    assert measure(small(), input_shape=(3, 8, 8), rounds=20).latency.median_s > 0
"""
OWN_OPTION = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--device", default="mine")

@pytest.fixture
def limits():
    return "ours"
"""
MINE = "--espalier-device=mine"


def test_the_documented_example_runs_in_an_empty_folder(run: Run, empty: Path) -> None:
    section = (ROOT / "docs" / "measure.md").read_text().split("## In your own repository")[1].split("\n## ")[0]
    (empty / "test_latency.py").write_text(re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1))
    words = re.search(r"```text\npytest (.*?)\n```", section).group(1).replace("=cpu", "=mine").split()
    done = run("-m", "pytest", *words, "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert {one.network for one in benchmark_json.read(empty / "before.json").measurements} == {"small"}
    (empty / "test_again.py").write_text(
        "from test_latency import network\n"
        "def test_again(compare):\n"
        "    told = compare(network(8), 'before.json', input_shape=(3, 32, 32), name='small')\n"
        "    assert 0.9 < told.ratio < 1.1\n"
    )
    done = run("-m", "pytest", "test_again.py", MINE, "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of the baseline's latency" in done.stdout


@pytest.mark.parametrize("words", [("--device=theirs", "-p", "no:benchmark"), ("--benchmark-disable",)], ids=" ".join)
def test_their_own_options_and_plugins_stay_theirs(run: Run, empty: Path, words: tuple[str, ...]) -> None:
    (empty / "conftest.py").write_text(OWN_OPTION)
    (empty / "test_it.py").write_text(MEASURES + "\ndef test_theirs(limits):\n    assert limits == 'ours'\n")
    done = run("-m", "pytest", "-q", "-W", "error", MINE, *words)  # a warning of ours would fail their tests
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "SIMULATED" in done.stdout


def test_several_devices_run_a_test_on_each(run: Run, empty: Path) -> None:
    (empty / "test_it.py").write_text(MEASURES)
    done = run("-m", "pytest", "-v", MINE, "--espalier-device=board")
    assert "test_latency[mine] PASSED" in done.stdout, done.stdout + done.stderr
    assert "test_latency[board] PASSED" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((MINE, "-n", "2"), "a run without pytest-xdist"),
        (("--espalier-device=simulatd",), "did you mean 'simulated'?"),
        ((MINE, "--espalier-json=no/where.json"), "in a folder that exists"),
        ((MINE, "--espalier-precision=f12"), "f12"),
    ],
    ids=["xdist", "device", "json", "precision"],
)
def test_mistakes_are_one_line(run: Run, empty: Path, words: tuple[str, ...], told: str) -> None:
    (empty / "test_it.py").write_text(MEASURES)
    done = run("-m", "pytest", "-q", *words)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "def test_latency" not in done.stdout, "the test's source was shown"


def test_nothing_is_imported_where_nothing_is_asked_for(run: Run, empty: Path) -> None:
    (empty / "test_it.py").write_text(
        "import sys\n"
        "def test_it(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.has_plugin('espalier')\n"
        "    ours = {name for name in sys.modules if name.startswith('harness')}\n"
        "    assert ours == {'harness', 'harness.runner', 'harness.runner.elsewhere', 'harness.runner.elsewhere.entry'}\n"
        "    assert not {'torch', 'numpy', 'rich'} & set(sys.modules)\n"
    )
    done = run("-m", "pytest", "-q", "-p", "no:hypothesispytest")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_itself_imports_in_under_20_ms(run: Run) -> None:
    script = "import pytest, time; begin = time.process_time(); import harness.runner.elsewhere.entry; print(time.process_time() - begin)"
    assert statistics.median(float(run("-c", script).stdout) for _ in range(3)) < 0.02
