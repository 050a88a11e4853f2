"""The bench suites as a user runs them: real pytest in a process of its own, on this machine's processor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.latency.explanation import width_series
from harness.records import benchmark_json

ROOT = Path(__file__).parent.parent.parent
QUICK = ("--rounds=20", "--min-time=0.01")


def run_pytest(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=240)


@pytest.fixture(scope="module")
def whole_and_layers(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    path = tmp_path_factory.mktemp("bench") / "resnet20.json"
    suites = (str(ROOT / "bench" / "test_network_latency.py"), str(ROOT / "bench" / "test_layer_latency.py"))
    return run_pytest(*suites, *QUICK, f"--benchmark-json={path}"), path


def test_the_suites_pass_and_show_our_tables(whole_and_layers: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ended, _ = whole_and_layers
    assert ended.returncode == 0, ended.stdout
    for told in ("whole networks (measured)", "95 % interval", "layer1.0.conv1", "f32"):
        assert told in ended.stdout


def test_the_file_holds_the_samples_of_the_device_bit_for_bit(whole_and_layers: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, path = whole_and_layers
    document = json.loads(path.read_text())
    networks = [entry for entry in document["benchmarks"] if "espalier" in entry["extra_info"]]
    for entry, measurement in zip(networks, benchmark_json.read(path).measurements, strict=True):
        assert tuple(entry["stats"]["data"]) == measurement.latency.samples_s
        assert entry["options"]["timer"] == "device_clock"
        assert entry["stats"]["rounds"] == len(measurement.latency.samples_s)


def test_every_layer_of_the_network_has_a_time(whole_and_layers: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, path = whole_and_layers
    file = benchmark_json.read(path)
    detailed = next(measurement for measurement in file.measurements if measurement.layers)
    architecture = file.architecture(detailed.architecture_digest)
    assert {name for node in detailed.layers for name in node.source_layers} == {site.name for site in architecture.layers}


def test_the_conditions_say_what_ran(whole_and_layers: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, path = whole_and_layers
    for measurement in benchmark_json.read(path).measurements:
        conditions = measurement.conditions
        assert (conditions.device.name, conditions.device.runtime, conditions.threads) == ("cpu", "openvino", 1)
        assert conditions.precision == "f32"
        assert conditions.effective_precision == "f32"


def test_the_file_may_lie_in_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "cpu" / "today" / "resnet20.json"
    ended = run_pytest(str(ROOT / "bench" / "test_network_latency.py"), "--device=simulated", *QUICK[1:], f"--benchmark-json={path}")
    assert ended.returncode == 0, ended.stdout
    assert benchmark_json.read(path).measurements


@pytest.mark.parametrize(("name", "why"), [("taken/resnet20.json", "taken is no folder"), ("folder", "is a folder")])
def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "taken").write_text("")
    (tmp_path / "folder").mkdir()
    ended = run_pytest(str(ROOT / "bench" / "test_network_latency.py"), "--device=simulated", f"--benchmark-json={tmp_path / name}")
    assert ended.returncode == 2
    assert f"--benchmark-json={tmp_path / name}: " in ended.stderr
    assert f"{why}; give a file that can be written" in ended.stderr


def test_designed_networks_are_recorded_one_by_one_as_many_as_needed_and_stay_out_of_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "designed.json"
    words = ("--designs=70", "--held-out=8", "--good-enough=0.5", "--max-predictor-error=0.9", "--rounds=10", "--device=simulated")
    ended = run_pytest(str(ROOT / "bench" / "test_predictor.py"), *words, f"--benchmark-json={path}")
    assert ended.returncode == 0, ended.stdout
    roles = [measurement.role for measurement in benchmark_json.read(path).measurements]
    assert (roles.count("design"), roles.count("held-out")) == (60, 8)
    assert "test_designed_network[" not in ended.stdout
    assert "10 skipped" in ended.stdout
    for told in ("8 held-out networks after 60 measured", "is good enough after 60 networks", "widths of resnet20 (predicted)"):
        assert told in ended.stdout
    again = run_pytest(str(ROOT / "bench" / "test_predictor.py"), *words[1:], f"--learn-from={path}", f"--benchmark-json={tmp_path}/b.json")
    assert again.returncode == 0, again.stdout
    assert "predictor: starts from the table of simulated in f32" in again.stdout
    file = benchmark_json.read(tmp_path / "b.json")
    assert [m.role for m in file.measurements].count("design") == 10
    assert len(file.learnt_from) == 68


def test_a_second_sweep_takes_what_the_first_measured_and_both_leave_pictures(tmp_path: Path) -> None:
    path = tmp_path / "widths.json"
    words = ("--widths=2", "--rounds=20", f"--store={tmp_path}", f"--benchmark-json={path}")
    suite = str(ROOT / "bench" / "test_width_staircase.py")
    first = run_pytest(f"{suite}::test_width[conv1-8-cpu-resnet20]", *words)
    assert first.returncode == 0, first.stdout
    assert "3 networks measured now, 0 taken from" in first.stdout
    (picture,) = (tmp_path / "cpu" / "widths").glob("*.png")
    assert picture.name == "resnet20-digits-f32-conv1.png"
    both = (f"{suite}::test_width[conv1-{width}-cpu-resnet20]" for width in (16, 15, 8))
    second = run_pytest(*both, *words)
    assert second.returncode == 0, second.stdout
    assert "0 networks measured now, 3 taken from" in second.stdout
    file = benchmark_json.read(path)
    (architecture,) = file.architectures
    series = width_series.measured_series(architecture, file.measurements)  # the file alone tells the staircase, anchor included
    assert [point.width for point in series["conv1"]] == [16, 15, 8]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--device=toaster",), "unknown device 'toaster'"),
        (("--network=resnet21",), "unknown network 'resnet21'"),
        (("--dataset=digit",), "did you mean 'digits'"),
        (("--weights=/nowhere/w.safetensors",), "there are no weights at /nowhere/w.safetensors"),
        (("--config=/nowhere/config.json",), "cannot read /nowhere/config.json"),
        (("--rounds=0",), "give at least 1"),
        (("--input-shape=3x224",), "give channels, height and width"),
        (("--input-shape=3x0x9",), "give channels, height and width"),
        (("--contender=a",), "--contender=a: give NAME=FILE.onnx"),
    ],
    ids=lambda part: part[0] if isinstance(part, tuple) else "",
)
def test_a_mistake_in_an_option_ends_with_one_line_and_code_2(words: tuple[str, ...], told: str) -> None:
    ended = run_pytest(str(ROOT / "bench" / "test_network_latency.py"), "--benchmark-disable", *words)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert told in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_the_verdict_is_calibrated_on_a_device_from_the_command_line() -> None:
    def calibrate(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness.sweeps.calibration", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=200)

    simulated = calibrate("--device=simulated", "--trials=3")
    assert simulated.returncode == 0, simulated.stdout + simulated.stderr
    assert "simulated (SIMULATED, f32)" in simulated.stdout
    assert "0 of 3 equal pairs judged different" in simulated.stdout
    assert "3 of 3 slowdowns of 3.0% found" in simulated.stdout
    real = calibrate("--trials=1", "--pairs=8")
    assert real.returncode in (0, 1), real.stderr
    assert "cpu (measured, f32): 8 pairs" in real.stdout
    assert "s a comparison" in real.stdout
    refused = calibrate("--pairs=2")
    assert refused.returncode == 2
    assert refused.stderr.strip() == "--trials=100 --pairs=2: give at least 1 trial and 8 pairs"


def test_a_test_that_is_stopped_while_it_is_timed_does_not_cost_the_others_their_file(tmp_path: Path) -> None:
    """As pytest-timeout stops one: by an exception that pytest-benchmark does not expect."""
    (tmp_path / "test_two.py").write_text(
        "import pytest\n\ndef test_stopped(benchmark):\n    benchmark.pedantic(lambda: pytest.fail('too late'), rounds=1)\n\n"
        "def test_timed(benchmark):\n    benchmark.pedantic(lambda: None, rounds=3)\n"
    )
    path = tmp_path / "kept.json"
    ended = run_pytest(str(tmp_path / "test_two.py"), "-p", "harness.runner.plugin", f"--benchmark-json={path}")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert [entry["name"] for entry in json.loads(path.read_text())["benchmarks"]] == ["test_timed"]


def test_a_network_of_any_outputs_is_measured_and_what_judges_it_is_skipped_in_words(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "from torch import nn\n\n\nclass Two(nn.Module):\n    def __init__(self, channels):\n        super().__init__()\n"
        "        self.a, self.b, self.c = nn.Conv2d(channels, 8, 3), nn.Conv2d(8, 4, 1), nn.Conv2d(8, 2, 1)\n\n"
        "    def forward(self, x):\n        x = self.a(x).relu()\n        return self.b(x), self.c(x)\n"
    )
    suites = [str(ROOT / "bench" / f"test_{one}.py") for one in ("network_latency", "width_staircase", "sensitivity")]
    words = (f"--network={tmp_path / 'two.py'}:Two", "--device=simulated", "--widths=2", f"--store={tmp_path}", "-rs")
    ended = run_pytest(*suites, *QUICK, *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "it is measured, not judged; give its task, --dataset=task:path/to/file.py:task" in ended.stdout
    assert "answers (1, 4, 30, 30) and (1, 2, 30, 30): it is measured and explained" in " ".join(ended.stdout.split())
