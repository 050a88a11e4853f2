"""Threads, batch sizes and streams are options with rows of their own, each under a name that tells it apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.records import benchmark_json
from tests.bench.test_gate import LATENCY, QUICK, ROOT, Run
from tests.bench.test_gate import run as run

pytest_plugins = ["pytester"]
FLOW = str(ROOT / "bench" / "test_throughput.py")
GATE = str(ROOT / "bench" / "test_regression.py")
needs_two = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two threads need two processors")


def test_batch_sizes_are_rows_and_the_gate_takes_the_one_alike(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "sizes.json"
    ended = run(LATENCY, *QUICK, "--batch-size=4,1", f"--benchmark-json={path}", "-v")
    assert ended.ret == 0, ended.stdout.str()
    assert "[simulated-resnet20-batch4]" in ended.stdout.str()
    assert "[simulated-resnet20]" in ended.stdout.str()  # as it is called where one is the only one
    four, one = benchmark_json.read(path).measurements
    assert (four.conditions.batch_size, one.conditions.batch_size) == (4, 1)
    assert four.latency.median_s > one.latency.median_s
    for size in (4, 1):
        gated = run(GATE, *QUICK, f"--batch-size={size}", f"--baseline={path}")
        assert gated.ret == 0, gated.stdout.str()


@needs_two
@pytest.mark.parametrize("kind", ["latency", "throughput"])
def test_threads_and_streams_are_rows_on_the_real_processor(run: Run, tmp_path: Path, kind: str) -> None:
    path, table = tmp_path / "rows.json", tmp_path / "pyproject.toml"
    table.write_text(f'[tool.espalier.devices.mine]\nruntime = "openvino"\npython = "{sys.executable}"\nresource = "sweep-{os.getpid()}"\n')
    words = ["--rounds=20", "--min-time=0", "--device=mine", f"--benchmark-json={path}", "-v"]
    words += [LATENCY, "--threads=1,2"] if kind == "latency" else [FLOW, "--threads=2", "--streams=1,2"]
    ended = run(*words, where=str(tmp_path))
    assert ended.ret == 0, ended.stdout.str()
    found, told = benchmark_json.read(path), ended.stdout.str()
    if kind == "latency":
        assert [one.conditions.threads for one in found.measurements] == [1, 2]
        assert "[mine-1thread-resnet20]" in told
        assert "[mine-2threads-resnet20]" in told
    else:
        assert [one.conditions.streams for one in found.throughputs] == [1, 2]
        assert found.measurements == ()
        assert "whole networks" not in told  # no latency is shown
        assert "[mine-2threads-resnet20-2streams]" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((FLOW,), "test_throughput.py runs only with --streams; give --streams"),
        ((LATENCY, "--streams=2"), "test_network_latency.py runs without --streams; leave --streams out, or name bench/"),
        ((GATE, "--batch-size=1,2"), "take several; name one of them"),
        ((LATENCY, "--threads=2"), "the simulated device has no option 'threads'"),
    ],
    ids=lambda words: words[-1] if isinstance(words, tuple) else "",
)
def test_what_cannot_be_swept_is_told_in_one_line(run: Run, words: tuple[str, ...], told: str) -> None:
    ended = run(*words, "--device=simulated")
    assert ended.ret in (2, 3), ended.stdout.str()
    assert told in ended.stdout.str() + ended.stderr.str()
    assert "Traceback" not in ended.stdout.str() + ended.stderr.str()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((FLOW, "--streams=2", "--pace=30"), "--streams with --pace: throughput is counted"),
        ((FLOW, "--streams=2", "--baseline=README.md"), "--streams with --baseline: throughput is counted"),
        ((FLOW, "--streams=0"), "--streams=0: give a whole number from 1"),
        ((LATENCY, "--threads=0"), "--threads=0: give a whole number from 1"),
        ((LATENCY, "--threads=1", "--threads=2"), "give them as one: --threads=1,2"),
    ],
    ids=lambda words: words[-1] if isinstance(words, tuple) else "",
)
def test_words_that_cannot_be_meant_end_the_run_before_it_begins(
    words: tuple[str, ...], told: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert pytest.main(["-p", "no:cacheprovider", *words, "--device=simulated"]) == 2
    out, err = capfd.readouterr()
    assert told in out + err
    assert "Traceback" not in out + err
