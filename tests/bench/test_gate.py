"""The gate as a user runs it: on a simulated device, with the exit code for met, failed, and could not be asked."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

# pytester forgets what is imported first inside of a run, and torch cannot be imported twice
import torch._dynamo  # noqa: F401

import harness.pipeline  # noqa: F401
from harness.records import benchmark_json

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent.parent
GATE, LATENCY = str(ROOT / "bench" / "test_regression.py"), str(ROOT / "bench" / "test_network_latency.py")
QUICK = ("--device=simulated", "--min-time=0.01", "--rounds=40")
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Function: pytest with these words, in this process, on a log of 80 columns."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def run_pytest(*words: str, where: str = str(ROOT), **environment: str) -> pytest.RunResult:
        for name, text in {"COLUMNS": "80", **environment}.items():
            monkeypatch.setenv(name, text)
        monkeypatch.chdir(where)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), *words)

    return run_pytest


@pytest.fixture
def before(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline with its layers, measured once."""
    path = tmp_path_factory.getbasetemp() / "gate-before.json"
    if not path.exists():
        ended = run(str(ROOT / "bench" / "test_layer_latency.py"), *QUICK, f"--benchmark-json={path}")
        assert ended.ret == 0, ended.stdout.str()
    return path


def changed(before: Path, name: str, faster: float = 1.0, host: str | None = None) -> Path:
    """The baseline as if it had been measured ``faster``, or elsewhere."""
    document = json.loads(before.read_text())
    for entry in document["benchmarks"]:
        entry["stats"]["data"] = [sample / faster for sample in entry["stats"]["data"]]
        if host is not None and "espalier" in entry["extra_info"]:
            entry["extra_info"]["espalier"]["conditions"]["device"]["host"] = host
    path = before.with_name(name)
    path.write_text(json.dumps(document))
    return path


def test_an_unchanged_network_passes_and_the_log_says_same(run: Run, before: Path) -> None:
    ended = run(GATE, *QUICK, f"--baseline={before}", f"--gate-junit={before}.xml", f"--junitxml={before}.tests.xml")
    assert ended.ret == 0, ended.stdout.str()
    assert "same" in ended.stdout.str()
    assert "layer3.0.conv2" in ended.stdout.str()
    assert "gate: 23 met, 0 missed, 0 cannot tell" in ended.stdout.str()
    assert len(list(ET.parse(f"{before}.xml").getroot().iter("testcase"))) == 23
    assert any("would show" in one.get("value", "") for one in ET.parse(f"{before}.tests.xml").getroot().iter("property"))


def test_a_slowdown_fails_with_one(run: Run, before: Path) -> None:
    ended = run(GATE, *QUICK, f"--baseline={changed(before, 'fast.json', faster=1.1)}", GITHUB_ACTIONS="true")
    assert ended.ret == 1, ended.stdout.str()
    assert "::error title=slower than the baseline::" in ended.stdout.str()
    assert "could not be asked" not in ended.stdout.str()


def test_other_conditions_could_not_be_asked_and_nothing_is_measured_for_that(run: Run, before: Path, tmp_path: Path) -> None:
    other, summary = changed(before, "elsewhere.json", host="elsewhere"), tmp_path / "summary.md"
    ended = run(GATE, *QUICK, f"--baseline={other}", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert ended.ret == 2, ended.stdout.str()
    assert "::error title=could not be asked::" in ended.stdout.str()
    assert "host (" in ended.stdout.str()
    assert "against elsewhere)" in summary.read_text()
    assert "whole networks" not in ended.stdout.str()
    half = before.with_name("half.json")
    channels = json.loads(before.read_text())["benchmarks"][0]["extra_info"]["espalier"]["config"]
    half.write_text(json.dumps({"network": "resnet20", "channels": {name: count // 2 for name, count in channels.items()}}))
    ended = run(GATE, *QUICK, f"--baseline={before}", f"--config={half}", "--input-shape=1x64x64", "--pace=60")
    assert ended.ret == 2, ended.stdout.str()
    for told in ("input_shape (1x64x64 against 1x32x32)", "against dense)", "pace (60 Hz against tight loop)"):
        assert told in " ".join(ended.stdout.str().split()), told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((GATE, "--baseline=README.md"), "README.md is not whole JSON"),
        ((GATE, "--baseline=nowhere.json"), "--baseline=nowhere.json: there is no such file"),
        ((GATE, "--allow-different=weather"), "--allow-different=weather: no such condition"),
        ((GATE, "--benchmark-disable", "--baseline=README.md"), "--baseline with --benchmark-disable: nothing is measured"),
        ((GATE, "--gate-junit=bench"), "bench cannot be written: it is a folder"),
        ((LATENCY, "-n", "2"), "measurements in several processes disturb each other"),
        ((LATENCY, "--precision=int8", "--precision=f32"), "--precision was given as int8 and as f32"),
        ((LATENCY, "--batch-size=2", "--batch-size=4"), "--batch-size was given as 2 and as 4"),
    ],
    ids=lambda words: words[-1] if isinstance(words, tuple) else "",
)
def test_what_could_not_be_asked_is_told_before_anything_is_measured(run: Run, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    summary = tmp_path / "summary.md"
    ended = run(*words, "--device=simulated", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert ended.ret in (2, 3), ended.stdout.str() + ended.stderr.str()  # 3: pytester does not know a run that ends while it is configured
    assert re.search(f"::error title=could not be asked::run: could not be asked: .*{re.escape(told)}", ended.stderr.str())
    assert told in summary.read_text()


def test_a_run_that_ends_before_it_begins_has_exit_code_2() -> None:
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", GATE, "--device=simulated", "--baseline=nowhere.json"]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_disabled_benchmarks_are_run_once_and_not_measured(run: Run, tmp_path: Path) -> None:
    ended = run(LATENCY, "--device=simulated", "--benchmark-disable", "--batch-size=2", "-v")
    assert ended.ret == 0, ended.stdout.str()
    assert "[simulated-resnet20-batch2]" in ended.stdout.str()
    assert re.search(r"load \S+ ms +1 *$", ended.stdout.str(), re.MULTILINE)  # one sample


def test_a_summary_that_is_no_file_is_a_warning(run: Run, before: Path, tmp_path: Path) -> None:
    ended = run(GATE, *QUICK, f"--baseline={before}", GITHUB_STEP_SUMMARY=str(tmp_path))
    assert ended.ret == 0, ended.stdout.str()
    assert "cannot write" in ended.stdout.str()


def test_layers_are_entries_that_pytest_benchmark_compares(before: Path) -> None:
    document = json.loads(before.read_text())
    layers = {entry["params"]["layer"]: entry for entry in document["benchmarks"] if "espalier" not in entry["extra_info"]}
    (measurement,) = benchmark_json.read(before).measurements
    assert len(layers) == len(measurement.seconds_by_layer()) == 22
    for name, runs_s in measurement.seconds_by_layer():
        assert layers[name]["stats"]["data"] == list(runs_s)  # what was measured anyway
    storage = f"file://{before.parent}"
    command = ["pytest-benchmark", f"--storage={storage}", "compare", str(before), "--group-by=param:layer", "--columns=median"]
    ended = subprocess.run([str(Path(sys.executable).with_name(command[0])), *command[1:]], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    for told in ("layer=layer3.0.conv2", "layer=whole network"):
        assert told in ended.stdout


def test_what_only_tells_fails_nothing(run: Run, before: Path) -> None:
    """As a search asks it: its campaign is not to end because a compared network is beyond somebody's limit."""
    slower = changed(before, "gate-half.json", faster=2.0)
    words = (GATE, *QUICK, f"--baseline={slower}")
    assert run(*words).ret == 1
    told = run(*words, "--tell-only")
    assert told.ret == 0
    assert "slower" in told.stdout.str()


def test_workers_measure_nothing_whatever_the_run_was_called_with() -> None:
    words = (".", "--ignore=tests", "-k", "test_network_latency", "-p", "no:cacheprovider", "-n", "1", *QUICK)
    ended = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "measurements in several processes disturb each other" in ended.stdout


def test_limits_that_apply_to_nothing_are_refused_before_anything_is_measured_or_told(run: Run, before: Path, tmp_path: Path) -> None:
    own = tmp_path / "pyproject.toml"
    words = ("-c", str(own), "-p", "harness.runner.plugin", "--import-mode=importlib", GATE, *QUICK, f"--baseline={before}")
    for text, said in (
        ("resnt20]\np99_ms = 3", "unknown network 'resnt20' (did you mean 'resnet20'?)"),
        ("resnet20]\nlayers = {'layer3.0.conv3' = 0.3}", "unknown layer 'layer3.0.conv3' (did you mean 'layer3.0.conv2'?)"),
    ):
        own.write_text(f"[tool.espalier.limits.{text}\n")
        ended = run(*words)
        assert ended.ret in (2, 3), ended.stdout.str()  # 3: as above
        assert said in ended.stdout.str() + ended.stderr.str()
        assert "whole networks" not in ended.stdout.str()
    own.write_text("[tool.espalier.limits.resnt20]\np99_ms = 3\n")
    ended = run(*words, "--tell-only")
    assert ended.ret == 0, ended.stdout.str()
    assert "unknown network 'resnt20'" in ended.stdout.str()
    own.write_text("[tool.espalier.limits.resnet56]\nmedian_ms = 3\n[tool.espalier.limits.detector]\nmedian_ms = 3\n")
    ended = run(*words, GITHUB_ACTIONS="true")
    assert ended.ret == 0, ended.stdout.str()
    told = "[tool.espalier.limits.detector] applied to nothing: no network that is known here is called so"
    assert f"\n{told}" in ended.stdout.str()
    assert f"::warning title=gate::{told}" in ended.stdout.str()
    assert "resnet56" not in ended.stdout.str()
