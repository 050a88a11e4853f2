"""The Jetson's agent against a stand-in trtexec of several TensorRT versions, and its power modes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.devices.measure import Protocol, Subject, measure
from harness.devices.probe import Probe
from harness.devices.session import Device, Quarantine
from harness.devices.spec import OptionValue, parse
from harness.errors import DeviceCrashed, DeviceUnavailable, ModelRefused, UsageError

VERSIONS = ("8.0.1", "8.2.1", "8.5.2", "10.13.3", "11.1.0")  # 10.3 runs the whole contract, over ssh
SHORT = Protocol(warmup_s=0.01, rounds=30, min_time_s=0.0, blocks=3, precision_target=None, profile_compiles=1)
Board = Callable[..., Device]


@pytest.fixture
def board(tmp_path: Path, stand_in: Callable[[str], Path]) -> Board:
    def device(version: str = "10.3.0", **options: OptionValue) -> Device:
        trtexec = {"trtexec": str(stand_in(version)), "timing_cache": str(tmp_path / "cache" / "timing")}
        table = {"runtime": "trtexec", "options": trtexec | options, "resource": f"test-{os.getpid()}-{tmp_path.name}"}
        return Device(parse("jetson", table, tmp_path / "pyproject.toml"), Quarantine())

    return device


@pytest.fixture
def subject(network: Probe) -> Subject:
    return Subject("probe", "a" * 16, None, network.onnx, "d" * 64, network.node_layers)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_built_timed_and_profiled(board: Board, subject: Subject, tmp_path: Path, version: str) -> None:
    with board(version).open() as session:
        assert session.info.runtime_version == version
        found = measure(session, subject, SHORT)
        precision = "f32" if version.startswith("11") else "f16"
        assert session.load(subject.onnx, "probe", precision).effective_precision == precision
    assert [len(found.latency.samples_s), found.latency.block_sizes] == [30, (10, 10, 10)]
    assert {len(layer.runs_s) for layer in found.layers} == {1}
    assert found.layers[0].kind == "Reformat"
    assert found.layers[0].source_layers == ()
    assert [layer.source_layers for layer in found.layers if layer.source_layers] == [
        ("conv1",),
        ("layer1.0.conv1",),
        ("layer1.0.conv2",),
        ("fc",),
    ]
    assert ("selected device", "NVIDIA Stand-in") in found.notes
    assert (tmp_path / "cache" / "timing").exists()


def test_half_precision_is_refused_where_trtexec_has_no_flag_for_it(board: Board, subject: Subject) -> None:
    with (
        board("11.1.0").open() as session,
        pytest.raises(ModelRefused, match="has no --fp16.*measure with --precision=f32 or int8, or with a TensorRT before 11"),
    ):
        session.load(subject.onnx, "probe", "f16")


def test_several_builds_tell_their_spread(board: Board, subject: Subject) -> None:
    with board(builds=3).open() as session:
        notes = dict(session.load(subject.onnx, "probe").facts.notes)
    assert notes["builds"].startswith("3 engines: ")
    assert len(set(notes["builds"].split(": ")[1].split(" ms")[0].split())) > 1


def test_another_batch_size_is_refused(board: Board, subject: Subject) -> None:
    with board().open() as session, pytest.raises(ModelRefused, match="export it at that batch size"):
        session.load(subject.onnx, "probe", batch_size=4)


def test_a_missing_trtexec_is_named_with_what_to_do(board: Board) -> None:
    with pytest.raises(DeviceUnavailable, match="no trtexec at /nowhere/trtexec; install libnvinfer-bin"):
        board(trtexec="/nowhere/trtexec").open()


def test_a_program_that_is_no_trtexec_is_refused(board: Board) -> None:
    with pytest.raises(DeviceUnavailable, match="lists no --onnx"):
        board(trtexec="/bin/true").open()


def test_a_killed_agent_takes_its_trtexec_along(board: Board, subject: Subject) -> None:
    before = {*psutil.Process().children()}  # another test's workers may wait for more
    session = board().open()
    (agent,) = {*psutil.Process().children()} - before
    loaded = session.load(subject.onnx, "probe")
    started: list[psutil.Process] = []

    def strike() -> None:
        while not started:  # until the timed run, which lasts an hour, is there
            started.extend(one for one in agent.children() if "trtexec_stand_in" in " ".join(one.cmdline()))
        agent.kill()

    striker = threading.Thread(target=strike)
    striker.start()
    with pytest.raises(DeviceCrashed, match="SIGKILL"):
        loaded.infer(1, min_time_s=3600)
    striker.join()
    assert psutil.wait_procs(started, timeout=3)[1] == []


NVPMODEL = """#!/bin/sh
case "$1" in
  -q) printf 'NV Power Mode: MODE%s\\n%s\\n' "$(cat {home}/mode)" "$(cat {home}/mode)" ;;
  -m) echo "nvpmodel $2" >> {home}/calls; [ "$2" = 7 ] || printf %s "$2" > {home}/mode; [ "$2" != 8 ] ;;
esac
"""
JETSON_CLOCKS = """#!/bin/sh
echo "jetson_clocks $*" >> {home}/calls
[ "$1" = --show ] || [ "$1" != --store ] || echo stored > "$2"
"""


@pytest.fixture
def jetson(tmp_path: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A board in mode 0 whose tools write down what was asked of them."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("nvpmodel", NVPMODEL), ("jetson_clocks", JETSON_CLOCKS), ("sudo", '#!/bin/sh\nshift; exec "$@"\n')):
        (tools / name).write_text(text.replace("{home}", str(tmp_path)))
        (tools / name).chmod(0o755)
    (tmp_path / "mode").write_text("0")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return board


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return [line for line in path.read_text().splitlines() if "--show" not in line] if path.exists() else []


def test_the_power_mode_is_left_alone_unless_asked_for(jetson: Board, tmp_path: Path) -> None:
    with jetson().open() as session:
        assert session.snapshot().power_mode == "MODE0 (0)"
        assert "power mode" not in dict(session.info.details)
    assert calls(tmp_path) == []


def test_a_power_mode_that_is_asked_for_is_set_told_and_put_back(jetson: Board, tmp_path: Path) -> None:
    with jetson(set_power_mode="1+clocks").open() as session:
        assert session.snapshot().power_mode == "MODE1 (1)"
        assert dict(session.info.details)["power mode"] == "MODE1 (1) on request, clocks fixed; was MODE0 (0) and is put back"
    stored = tmp_path / f"espalier-{os.geteuid()}" / "espalier-clocks.conf"
    before, after = ["nvpmodel 1", f"jetson_clocks --store {stored}", "jetson_clocks "], [f"jetson_clocks --restore {stored}", "nvpmodel 0"]
    assert calls(tmp_path) == before + after
    assert (tmp_path / "mode").read_text() == "0"
    assert list(tmp_path.rglob("espalier-power*")) == []


@pytest.mark.parametrize(
    ("mode", "told"),
    [("7", "left the board at MODE0 .* root or a reboot"), ("8", "nvpmodel -m 8 failed"), ("fast", "give nvpmodel's id")],
)
def test_a_mode_that_the_board_does_not_take_is_an_error_and_changes_nothing(jetson: Board, tmp_path: Path, mode: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        jetson(set_power_mode=mode).open()
    assert (tmp_path / "mode").read_text() == "0"


def test_what_a_killed_run_left_is_put_back_by_the_next_one(jetson: Board, tmp_path: Path) -> None:
    before = {*psutil.Process().children()}
    session = jetson(set_power_mode="2").open()
    (agent,) = {*psutil.Process().children()} - before
    agent.kill()
    with pytest.raises(DeviceCrashed):
        session.snapshot()
    assert (tmp_path / "mode").read_text() == "2"
    with jetson().open() as after:
        assert dict(after.info.details)["power mode"] == "put back to MODE0 (0), which an interrupted run had changed"
    assert (tmp_path / "mode").read_text() == "0"


def test_a_machine_without_power_modes_refuses(board: Board) -> None:
    with pytest.raises(UsageError, match="leave --set-power-mode out"):
        board(set_power_mode="0").open()
