"""``python -m harness.compare``: two files, the live gate's verdicts, and an exit code for met, failed, and could not be asked."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from harness.compare import __main__ as door
from harness.compare.gate import Gate, append_summary
from harness.records.accuracy import Accuracy, DeviceAccuracy
from harness.records.benchmark_json import BenchmarkFile, write
from tests.compare.conftest import ARCHITECTURE, CONDITIONS, DEVICE, MOMENT, measured

ROOT = Path(__file__).parents[2]
THEN = replace(CONDITIONS, before=replace(MOMENT, taken_at="2026-02-01T00:00:00+00:00"))
LATER = replace(THEN, after=replace(MOMENT, taken_at="2026-02-01T00:01:00+00:00"))


def later(median_s=1e-3, **words):
    return measured(median_s, conditions=words.pop("conditions", LATER), **words)


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Function: the exit code and what is printed for two lots of measurements."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def run(before, after, *words, accuracies=((), ())):
        for name, measurements, answers in zip(("before.json", "after.json"), (before, after), accuracies, strict=True):
            write(tmp_path / name, BenchmarkFile(tuple(measurements), (ARCHITECTURE,), tuple(answers)))
        code = door.main(["before.json", "after.json", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_equal_runs_meet_and_a_slowdown_fails(compare) -> None:
    code, text = compare([measured()], [later()])
    assert (code, "gate: 2 met, 0 missed" in text) == (0, True), text
    assert "same" in text
    code, text = compare([measured()], [later(1.1e-3)])
    assert code == 1
    assert "slower, 1.100 of the baseline's latency" in text


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--fail-on=cannot-tell",), 1), (("--fail-on=never",), 0)])
def test_what_cannot_be_told_fails_where_that_is_asked(compare, words, code) -> None:
    assert compare([measured(spread=0.3)], [later(spread=0.3)], *words)[0] == code


def test_never_fails_on_slower_but_still_where_it_could_not_be_asked(compare) -> None:
    assert compare([measured()], [later(1.1e-3)], "--fail-on=never")[0] == 0
    elsewhere = later(conditions=replace(LATER, device=replace(DEVICE, host="elsewhere")))
    code, text = compare([measured()], [elsewhere], "--fail-on=never")
    assert code == 2
    assert "host (elsewhere against a host)" in text
    assert compare([measured()], [elsewhere], "--allow-different=host", "--markdown=m.md")[0] == 0
    assert "allowed to differ: host: elsewhere against a host" in Path("m.md").read_text()


def test_limits_that_apply_to_nothing_are_refused_or_told(compare, tmp_path) -> None:
    def limited(text):
        (tmp_path / "pyproject.toml").write_text(f"[tool.espalier.limits.{text}\n")
        return compare([measured()], [later()], "--markdown=m.md")

    code, text = limited("tinny]\np99_ms = 3")
    assert (code, "unknown network 'tinny' (did you mean 'tiny'?)" in text) == (2, True)
    code, text = limited("tiny]\nlayers = {conv2 = 0.1}")
    assert (code, "unknown layer 'conv2' (did you mean 'conv1'?)" in text) == (2, True)
    code, text = limited("devices.mine]\np99_ms = 3")
    assert (code, "unknown device 'mine'" in text) == (2, True)
    assert limited("devices.cpu]\np99_ms = 3")[0] == 0  # a device of the file's own, wherever it was
    code, text = limited("detector]\np99_ms = 3")
    assert (code, "[tool.espalier.limits.detector] applied to nothing" in text) == (0, True)
    assert "[tool.espalier.limits.detector] applied to nothing" in Path("m.md").read_text()
    code, text = limited("layers]\nconv1 = 0.1\nfc = 0.1")
    assert (code, "the limit of layer fc applied to nothing" in text, "layer conv1" in text) == (0, True, False)


def test_strict_conditions_ask_for_equal_versions_and_for_every_network(compare) -> None:
    newer = later(conditions=replace(LATER, versions=(("torch", "3.0"),)))
    assert compare([measured()], [newer])[0] == 0
    code, text = compare([measured()], [newer], "--strict-conditions")
    assert (code, "version of torch (3.0 against 2.13.0)" in text) == (2, True)
    other = replace(measured(), network="other", config=None)
    assert compare([measured(), other], [later()])[0] == 0
    code, text = compare([measured(), other], [later()], "--strict-conditions")
    assert (code, "other: could not be asked: is in before.json only" in text) == (2, True)


def test_limits_and_accuracies_are_judged_as_in_the_live_gate(compare) -> None:
    Path("pyproject.toml").write_text("[tool.espalier.limits.tiny]\nmedian_ms = 0.5\n[tool.espalier.limits]\nnetwork = 0.5\n")
    code, text = compare([measured(4e-4)], [later()])
    assert (code, "median: 1.000 ms" in text) == (1, True), text
    code, text = compare([measured(2e-3)], [later(4e-4)])
    assert (code, "the baseline misses a limit of its own (median: 2.000 ms" in text) == (2, True), text
    Path("pyproject.toml").unlink()
    lost = DeviceAccuracy("d" * 64, "tiny", "cpu", "f32", "digits", "e" * 16, "test", Accuracy(300, 360), Accuracy(351, 360), 0.85, 1e-3)
    code, text = compare([measured()], [later()], accuracies=((), (lost,)))
    assert (code, "top-1 drop against f32 on the host" in text) == (1, True)
    Path("limits.toml").write_text("[tool.espalier.limits]\ntop1_drop_points = 30\n")
    assert compare([measured()], [later()], "--limits=limits.toml", accuracies=((), (lost,)))[0] == 0


def test_files_in_the_wrong_order_are_told_for_what_is_faster_would_be_slower(compare) -> None:
    code, text = compare([later()], [measured(1.1e-3)])
    assert (code, "after.json was measured before before.json" in text) == (1, True)
    assert "swap the two" not in compare([measured()], [later(1.1e-3)])[1]
    assert compare([later(1.1e-3)], [measured()])[0] == 0
    code, text = compare([later(1.1e-3)], [measured()], "--strict-conditions")
    assert (code, "swap the two if that is not meant" in text) == (2, True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is not whole JSON"),
        ("[]", "was not written by Espalier's plugin"),
        (json.dumps({"benchmarks": [{"name": "theirs", "stats": {"data": [1.0]}}], "machine_info": {}}), "was not written by Espalier's"),
        (json.dumps({"espalier": {"schema": 99}, "benchmarks": []}), "this program knows up to"),
        (json.dumps({"espalier": {"schema": 1, "architectures": []}, "benchmarks": []}), "holds no network's measurement"),
    ],
    ids=["empty", "list", "pytest-benchmark's", "newer", "nothing"],
)
def test_a_file_that_is_not_ours_is_refused_in_words(compare, capsys, content, told) -> None:
    compare([measured()], [later()])
    Path("theirs.json").write_text(content)
    for words in (["before.json", "theirs.json"], ["theirs.json", "after.json"], ["missing.json", "after.json"]):
        assert door.main(words) == 2
        assert (told if "theirs.json" in words else "cannot read missing.json") in capsys.readouterr().err


def test_what_no_comparison_could_use_is_refused(compare, capsys) -> None:
    code, text = compare([measured()], [measured()])
    assert (code, "holds the same run as" in text) == (2, True)
    for word in ("--same-within=2", "--allow-different=hots", "--limits=none.toml", "--junit=.", "--markdown=before.json/x.md"):
        code, text = compare([measured()], [later()], word)
        assert code == 2, word
        assert "Traceback" not in text


def test_the_table_is_written_as_junit_and_markdown_and_told_to_github(compare, monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    code, text = compare([measured()], [later(1.1e-3)], "--junit=out/gate.xml", "--markdown=out/gate.md")
    assert code == 1
    assert len(list(ET.parse("out/gate.xml").getroot().iter("failure"))) == 1
    assert "| slower |" in Path("out/gate.md").read_text()
    assert Path("summary.md").read_text() == Path("out/gate.md").read_text() + "\n"  # so that what follows is a section of its own
    assert "::error title=slower than the baseline::tiny" in text
    Path("theirs.json").write_text("[]")
    assert door.main(["before.json", "theirs.json"]) == 2
    assert "could not be asked" in Path("summary.md").read_text()


def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path) -> None:
    told = append_summary({"GITHUB_STEP_SUMMARY": str(tmp_path)}, "text")
    assert told.startswith("::warning title=no summary::cannot write")
    assert append_summary({}, "text") == ""
    assert not Gate()


def test_it_is_a_command_that_needs_no_torch(tmp_path) -> None:
    write(tmp_path / "a.json", BenchmarkFile((measured(),), ()))
    write(tmp_path / "b.json", BenchmarkFile((later(),), ()))
    code = "import sys\nfrom harness.compare.__main__ import main\nprint(main(['a.json', 'b.json']), 'torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)
    assert ended.stdout.splitlines()[-1] == "0 False", ended.stdout + ended.stderr
