"""The Jetson's agent against a stand-in trtexec of several TensorRT versions, and its parsers against what real engines write."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from harness.devices.bundle import AGENT_DIRECTORY
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
        precision = "i8" if version.startswith("11") else "f16"
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
    with board("11.1.0").open() as session, pytest.raises(ModelRefused, match="has no --fp16; export the network itself"):
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
    session = board().open()
    (agent,) = psutil.Process().children()
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


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("trtexec_files")
    sys.modules.pop("trtexec_files")


def row(start: float, end: float, latency: float) -> str:
    return f'{{ "startComputeMs" : {start}, "endComputeMs" : {end}, "computeMs" : {latency}, "latencyMs" : {latency} }}'


def test_a_latency_is_the_printed_one_never_a_difference(files: ModuleType) -> None:
    text = "[" + row(10000.1, 10000.4, 0.333252) + "]"
    assert files.times_ms(text, (10, 3, 0), 200) == [0.333252]


def test_before_8_5_the_rows_of_the_warm_up_are_dropped(files: ModuleType) -> None:
    text = "[" + ",".join([row(0.1, 5, 4.9), row(199.9, 204, 4.1), row(204, 208, 4.0)]) + "]"
    assert files.times_ms(text, (8, 2, 1), 200) == [4.0]
    assert files.times_ms(text, (8, 5, 2), 200) == [4.9, 4.1, 4.0]


def test_a_profile_has_medians_from_8_4_and_means_before(files: ModuleType) -> None:
    old = '[\n  { "count" : 625 }\n, { "name" : "a", "timeMs" : 625, "averageMs" : 1, "percentage" : 100 }\n]'
    new = '[\n  { "count" : 625 }\n, { "name" : "a", "timeMs" : 625, "averageMs" : 1, "medianMs" : 0.9, "percentage" : 100 }\n]'
    assert files.profile_rows(old) == (625, [("a", 1.0)])
    assert files.profile_rows(new) == (625, [("a", 0.9)])


def test_a_profile_with_unescaped_names_is_still_read(files: ModuleType) -> None:
    text = '[\n  { "count" : 20 }\n, { "name" : "a "b" \\c", "timeMs" : 20, "averageMs" : 1, "medianMs" : 0.5, "percentage" : 100 }\n]'
    assert files.profile_rows(text) == (20, [('a "b" \\c', 0.5)])


@pytest.mark.parametrize("text", ["", "[]", '[{ "count" : 50 }]', '[{ "name" : "a", "averageMs" : 1 }]', '{ "count" : 3 }'])
def test_an_unusable_profile_is_refused(files: ModuleType, text: str) -> None:
    with pytest.raises(files.Unreadable):
        files.profile_rows(text)


def test_a_profile_of_one_inference_is_read_and_refused_as_a_time(files: ModuleType) -> None:
    """Real engines' exports hold such files; zero-time rows in them are normal."""
    rows = '{ "name" : "conv1 + relu", "timeMs" : 0.026, "averageMs" : 0.026, "medianMs" : 0.026, "percentage" : 9.4 }'
    rows += ', { "name" : "Reformatting CopyNode for Input Tensor 0 to conv1", "timeMs" : 0, "averageMs" : 0, "percentage" : 0 }'
    count, found = files.profile_rows('[\n  { "count" : 1 }\n, ' + rows + "\n]")
    assert (count, [milliseconds for _, milliseconds in found]) == (1, [0.026, 0.0])
    with pytest.raises(files.Unreadable, match=r"of 1 inference, no time to quote; profile at least 10: --iterations=10"):
        files.enough_profiled(count)
    assert files.enough_profiled(10) is None


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("/l/conv2/Conv + /l/Add + /l/relu/Relu", ["/l/conv2/Conv", "/l/Add", "/l/relu/Relu"]),
        ("/a/Conv || /b/Conv", ["/a/Conv", "/b/Conv"]),
        ("PWN(/a/Sigmoid, /a/Mul)", ["/a/Sigmoid", "/a/Mul"]),
        ("PWN(PWN(/a/Sigmoid), /a/Mul)", ["/a/Sigmoid", "/a/Mul"]),
        ("/Reshape + (Unnamed Layer* 48) [Shuffle]", ["/Reshape"]),
        ("Reformatting CopyNode for Input Tensor 0 to /a/Conv + /a/Relu", []),
        ("Reformatting CopyNode for Output Tensor 0 to /a/Conv", []),
        ("639 copy", []),
        ("{ForeignNode[/a/Conv.../b/Relu]}", []),
        ("__myl_Conv_myl0_3", []),
    ],
)
def test_a_layers_name_says_which_nodes_it_is_or_nothing(files: ModuleType, name: str, nodes: list[str]) -> None:
    assert files.sources(name, []) == nodes


def test_the_engines_own_record_of_its_nodes_wins(files: ModuleType) -> None:
    layer = {"Name": "__myl_x", "LayerType": "kgen", "Metadata": "[ONNX Layer: /a/Conv]\x1e[ONNX Layer: /a/Relu]"}
    facts = files.layer_facts(json.dumps({"Layers": [layer]}))
    kind, told = facts["__myl_x"]
    assert (kind, files.sources("__myl_x", told)) == ("kgen", ["/a/Conv", "/a/Relu"])


RELEASES = {"v8001": (8, 0, 1), "v8201": (8, 2, 1), "v8412": (8, 4, 12), "v100300": (10, 3, 0), "v101303": (10, 13, 3)}


@pytest.mark.parametrize(("banner", "release"), RELEASES.items())
def test_a_version_is_read_from_the_banner(files: ModuleType, banner: str, release: tuple[int, int, int]) -> None:
    assert files.version(f"&&&& RUNNING TensorRT.trtexec [TensorRT {banner}] # trtexec --help") == release


@pytest.fixture
def tegra(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("tegra_state")
    for name in ("tegra_state", "host_state"):
        sys.modules.pop(name)


def plant(root: Path, entries: dict[str, str]) -> str:
    for path, text in entries.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n")
    return str(root)


def test_rails_of_jetpack_4_are_milliwatts(tegra: ModuleType, tmp_path: Path) -> None:
    sensor = "sys/bus/i2c/devices/6-0040/iio:device0/"
    entries = {"rail_name_0": "POM_5V_IN", "in_power0_input": "3050", "rail_name_1": "POM_5V_GPU", "in_power1_input": "410"}
    root = plant(tmp_path, {sensor + key: text for key, text in entries.items()})
    assert tegra.rails_w(root) == [["POM_5V_IN", 3.05], ["POM_5V_GPU", 0.41]]
    assert tegra.total_w(root) == 3.05


def test_rails_of_jetpack_5_are_volts_times_amperes(tegra: ModuleType, tmp_path: Path) -> None:
    sensor = "sys/bus/i2c/devices/1-0040/hwmon/hwmon3/"
    entries = {"in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "700", "in2_label": "NC", "in2_input": "1", "curr2_input": "1"}
    entries |= {"in7_label": "sum of shunt voltages", "in7_input": "9", "curr7_input": "9"}
    root = plant(tmp_path, {sensor + key: text for key, text in entries.items()})
    assert tegra.rails_w(root) == [["VDD_IN", pytest.approx(3.5)]]


def test_a_boards_state_holds_clock_power_and_throttling(tegra: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"nvpmodel": "NV Power Mode: MAXN\n0\n", "jetson_clocks": "EMC MinFreq=204000000 MaxFreq=1600000000 CurrentFreq=1600000000\n"}
    monkeypatch.setattr(tegra, "ask", lambda command: answers.get(command[0], ""))
    entries = {"sys/class/devfreq/57000000.gpu/cur_freq": "921600000", "sys/class/hwmon/hwmon1/oc1_event_cnt": "27390"}
    state = tegra.snapshot(plant(tmp_path, entries))
    assert state["power_mode"] == "MAXN (0)"
    assert state["clocks_mhz"] == [["gpu", 921.6], ["emc", 1600.0]]
    assert state["throttle_events"] == 27390


def test_a_cards_state_comes_from_its_own_tool(tegra: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tegra, "ask", lambda command: "1410, 1512, 41, 66.2, P0\n" if command[0] == "nvidia-smi" else "")
    assert tegra.snapshot(str(tmp_path))["power_w"] == [["card", 66.2]]


def test_a_machine_that_tells_nothing_gives_nothing(tegra: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tegra, "ask", lambda command: "")
    assert tegra.snapshot(str(tmp_path)) == {}


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
    stored = tmp_path / "espalier-clocks.conf"
    before, after = ["nvpmodel 1", f"jetson_clocks --store {stored}", "jetson_clocks "], [f"jetson_clocks --restore {stored}", "nvpmodel 0"]
    assert calls(tmp_path) == before + after
    assert (tmp_path / "mode").read_text() == "0"
    assert list(tmp_path.glob("espalier-power*")) == []


@pytest.mark.parametrize(
    ("mode", "told"),
    [("7", "left the board at MODE0 .* root or a reboot"), ("8", "nvpmodel -m 8 failed"), ("fast", "give nvpmodel's id")],
)
def test_a_mode_that_the_board_does_not_take_is_an_error_and_changes_nothing(jetson: Board, tmp_path: Path, mode: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        jetson(set_power_mode=mode).open()
    assert (tmp_path / "mode").read_text() == "0"


def test_what_a_killed_run_left_is_put_back_by_the_next_one(jetson: Board, tmp_path: Path) -> None:
    session = jetson(set_power_mode="2").open()
    (agent,) = psutil.Process().children()
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
