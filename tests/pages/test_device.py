"""The device page: devices side by side, each kind of number in tables of its own, one file that asks for nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import RecordError
from harness.pages import device_tables
from harness.pages import layout as page_layout
from harness.pages.device import gather, main
from harness.pages.layout import Section
from harness.records import benchmark_json
from harness.records.accuracy import Accuracy, DeviceAccuracy
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation, CompiledStage
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, LayerLatency, Measurement, Occasion

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
ROOT = Path(__file__).parents[2]
NETWORK = Architecture(
    "tiny",
    (3, 8, 8),
    4,
    (ChannelGroup("a", 8, ("a",), False, "s1"),),
    (LayerSite("a", "conv", (), "a", 3, 8, (3, 3)), LayerSite("fc", "linear", ("a",), None, 8, 4)),
)


def measured(
    name: str, milliseconds: float, simulated: bool = False, fused: bool = False, minute: int = 0, layers: bool = True
) -> Measurement:
    before = Snapshot(f"2026-11-23T18:{minute:02}:00+00:00", temperatures_c=(("soc", 40.0),), power_mode="MAXN (0)", throttle_events=2)
    after = replace(before, temperatures_c=(("soc", 51.5),), throttle_events=5)
    device = DeviceInfo(name, "runtime", "1.2", "<chip>", "host", "3.6", simulated, (("usb", "USB 3"),))
    conditions = Conditions(device, "f32", "f16", 1, 1, 1, before, after, (), "abc")
    seconds = milliseconds * 1e-3
    nodes = [LayerLatency("n0", ("a", "fc") if fused else ("a",), "Conv", (0.5 * seconds,)), LayerLatency("copy", (), "Reorder", (1e-6,))]
    nodes += [] if fused else [LayerLatency("n1", ("fc",), "Gemm", (0.25 * seconds,))]
    return Measurement(
        "tiny",
        NETWORK.digest,
        NETWORK.dense(),
        f"{name}-{minute}",
        1,
        Latency((seconds,) * 5, (5,)),
        conditions,
        0.1,
        0.1,
        layers=tuple(nodes) if layers else (),
        notes=(("builds", "3 engines"),),
    )


def metered(name: str, millijoules: float, blocks: int = 4, minute: int = 0) -> Measurement:
    """Blocks of a hundred inferences of 5 ms, whose energies lie 10 % apart."""
    taken = measured(name, 5.0, minute=minute)
    occasions = tuple(Occasion(float(at), energy_j=0.1 * millijoules * (1 + 0.1 * (at % 2 - 0.5))) for at in range(blocks))
    return replace(taken, latency=Latency((0.005,) * 100 * blocks, (100,) * blocks, occasions=occasions))


def compiled(channels: int) -> Compilation:
    device = DeviceInfo("ncs2", "myriad", "2021.4.2", "compiler", "host", "3.8")
    stages = (CompiledStage("a", "MyriadXHwOp", True, True, 100 * channels, ("a",)),)
    return Compilation(
        "tiny", NETWORK.digest, NETWORK.partial({"a": channels}), f"c{channels}", 1, device, stages, 77, "b", 5.0, (), "c", str(channels)
    )


JUDGED = DeviceAccuracy("d", "tiny", "ncs2", "f16", "digits", "e", "test", Accuracy(350, 360), Accuracy(355, 360), 0.975, 0.031)
REAL, MADE_UP = (measured("cpu", 1.0), measured("ncs2", 2.0, fused=True)), (measured("toy", 9.0, simulated=True),)
FILE = BenchmarkFile((*REAL, *MADE_UP), (NETWORK,), (JUDGED,), compilations=(compiled(8), compiled(4)))


def section(heading: str, file: BenchmarkFile = FILE) -> Section:
    return next(one for one in device_tables.sections(file) if one.heading == heading)


def texts(one: Section) -> list[list[str]]:
    return [[cell.text for cell in row] for row in one.rows]


def test_devices_stand_side_by_side_and_simulated_ones_apart() -> None:
    assert section("Whole networks (measured)").columns == ("network", "cpu, f16", "ncs2, f16")
    assert texts(section("Whole networks (measured)"))[0][1:] == ["1.000 ms", "2.000 ms"]
    simulated = section("Whole networks (SIMULATED)")
    assert simulated.columns == ("network", "toy SIMULATED, f16")
    assert simulated.warning.startswith("SIMULATED")


@pytest.mark.parametrize("table", [device_tables.whole_networks, lambda mixed: device_tables.layer_tables(mixed, FILE)])
def test_a_table_of_measured_and_simulated_latencies_is_refused(table: object) -> None:
    assert callable(table)
    with pytest.raises(RecordError, match="SIMULATED and measured latencies is refused; make one of each kind"):
        table([*REAL, *MADE_UP])


def test_a_fused_layer_says_where_its_time_is_and_the_rest_is_not_hidden() -> None:
    rows = {row[0]: row[1:] for row in texts(section(f"Layers of tiny {NETWORK.dense().digest[:6]} (measured)"))}
    assert rows["a"] == ["500.0 µs", "1.000 ms"]
    assert rows["fc"] == ["250.0 µs", "in a"]
    assert rows["belongs to no layer"] == ["1.0 µs", "1.0 µs"]
    assert rows["whole network"] == ["1.000 ms", "2.000 ms"]


def test_compiled_costs_have_a_table_without_durations() -> None:
    table = section("Compiled, not measured")
    assert texts(table) == [["tiny", "ncs2", "800", "1", "1", "0", "77"], ["tiny, a 4 of 8", "ncs2", "400", "1", "1", "0", "77"]]
    assert not re.search(r"µs| ms|latency", " ".join([table.text, *table.columns, *(cell for row in texts(table) for cell in row)]))


def test_the_drop_against_the_host_is_told_with_counts() -> None:
    row = section("Accuracy on the device").rows[0]
    assert [cell.text for cell in row] == ["tiny", "ncs2, f16", "97.22%", "98.61%", "+1.39", "97.50%", "0.031"]
    assert "350 of 360" in row[2].note


def test_conditions_tell_what_moved_during_the_measurement() -> None:
    state = section("Conditions").rows[0]
    assert state[3].text == "temperature soc 40 → 51.5 °C; power mode MAXN (0); throttled 3 times"
    assert state[1].note == "f32 asked for"
    assert state[4].text == "builds: 3 engines"


def test_the_unprofiled_run_is_quoted_where_there_is_one() -> None:
    alone = measured("cpu", 3.0, minute=1, layers=False)
    file = replace(FILE, measurements=(measured("cpu", 1.0, minute=2), alone))
    assert texts(section("Whole networks (measured)", file))[0][1] == "3.000 ms"


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(RecordError, match="measure first"):
        device_tables.sections(BenchmarkFile((), (NETWORK,)))


def test_text_from_devices_is_escaped() -> None:
    page = page_layout.as_html("t", "l", device_tables.sections(FILE))
    assert "&lt;chip&gt;" in page
    assert "<chip>" not in page
    piped = Section("h", "t", ("a",), ((page_layout.Cell("x | y\nz"),),))
    assert "| x \\| y z |" in page_layout.as_markdown("t", "l", [piped])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, file in (("cpu", replace(FILE, measurements=REAL[:1])), ("ncs2", replace(FILE, measurements=REAL[1:]))):
        (tmp_path / "in" / name).mkdir(parents=True)
        benchmark_json.write(tmp_path / "in" / name / "file.json", file)
    (tmp_path / "in" / "foreign.json").write_text("{}")
    return tmp_path / "in"


def test_files_and_folders_become_one_page_and_what_two_hold_counts_once(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    found = gather([folder, folder / "cpu" / "file.json"], said.append)
    assert len(found.measurements) == 2
    assert (len(found.accuracies), len(found.compilations), len(found.architectures)) == (1, 2, 1)
    assert ["foreign.json was not written by" in line for line in said] == [True]


def test_the_command_writes_both_forms(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), f"--html={tmp_path / 'out' / 'page.html'}", f"--md={tmp_path / 'page.md'}"]) == 0
    assert (tmp_path / "out" / "page.html").read_text().endswith("</html>\n")
    assert "| network | cpu, f16 | ncs2, f16 |" in (tmp_path / "page.md").read_text()
    assert capsys.readouterr().out.count("written: ") == 2


@pytest.mark.parametrize(
    ("word", "told"), [("foreign.json", "not written by Espalier"), ("absent.json", "cannot read"), ("empty", "holds no benchmark file")]
)
def test_a_mistake_ends_with_one_line_and_code_2(folder: Path, word: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert main([str(folder / word), f"--html={folder / 'page.html'}"]) == 2
    assert told in capsys.readouterr().err
    assert not (folder / "page.html").exists()


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RecordError, match="cannot write"):
        page_layout.write(tmp_path / "taken" / "page.html", "x")


def test_two_devices_are_measured_in_one_run_with_their_names_in_ids_and_records(tmp_path: Path) -> None:
    words = [
        "--device=simulated",
        "--device=simulated-jetson",
        "--rounds=20",
        "--min-time=0.01",
        f"--benchmark-json={tmp_path / 'two.json'}",
    ]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-c", str(ROOT / "pyproject.toml"), *words]
    ended = subprocess.run(
        [*command, str(ROOT / "bench" / "test_network_latency.py")], capture_output=True, text=True, cwd=ROOT, timeout=240
    )
    assert ended.returncode == 0, ended.stdout
    assert {"simulated-resnet20", "simulated-jetson-resnet20"} <= set(re.findall(r"\[(simulated[\w-]*)\]", ended.stdout))
    assert "benchmark 'simulated-jetson resnet20 network, SIMULATED': 1 tests" in ended.stdout
    file = benchmark_json.read(tmp_path / "two.json")
    assert [m.conditions.device.name for m in file.measurements] == ["simulated", "simulated-jetson"]
    columns = next(one for one in device_tables.sections(file) if one.heading == "Whole networks (SIMULATED)").columns
    assert columns == ("network", "simulated SIMULATED, f16", "simulated-jetson SIMULATED, f16")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome; sudo make system-packages")
def test_a_browser_shows_the_page_without_asking_for_anything(tmp_path: Path) -> None:
    page = page_layout.as_html("Devices", "lead", device_tables.sections(FILE))
    probe = (
        "<pre id='seen'></pre><script>document.getElementById('seen').textContent = JSON.stringify({"
        "overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth, "
        "tables: [...document.querySelectorAll('table')].filter((one) => one.getClientRects().length).length, "
        "requested: performance.getEntriesByType('resource').map((entry) => entry.name)})</script></body>"
    )
    (tmp_path / "page.html").write_text(page.replace("</body>", probe))
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=500,900",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
    ]
    shown = subprocess.run([str(CHROMIUM), *words, str(tmp_path / "page.html")], capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="seen">(.*?)</pre>', shown.stdout)
    assert found, shown.stderr[-500:]
    assert json.loads(found[1]) == {"overflow": 0, "tables": 8, "requested": []}


def test_energy_has_a_table_where_there_is_a_meter_and_is_said_to_have_none_elsewhere() -> None:
    both = BenchmarkFile((metered("jetson", 12.0), metered("cpu", 40.0, blocks=2), measured("ncs2", 4.0)), (NETWORK,))
    by_title = {section.heading: section for section in device_tables.sections(both)}
    (row,) = by_title["Energy (measured)"].rows
    told = dict(zip(by_title["Energy (measured)"].columns, ((cell.text, cell.note) for cell in row), strict=True))
    figure, ends = told["jetson, f16"]
    assert figure == "12 mJ"
    low, high = (float(end) for end in ends.removesuffix(" mJ").split("–"))
    assert low < 12 < high
    assert told["cpu, f16"] == ("40 mJ", "metered too shortly for an interval")
    assert told["ncs2, f16"] == ("no meter", "")
    assert "no meter" not in by_title["Whole networks (measured)"].text


def test_where_no_device_has_a_meter_one_sentence_says_so() -> None:
    found = device_tables.sections(BenchmarkFile((measured("ncs2", 4.0), measured("cpu", 1.0)), (NETWORK,)))
    assert not [section for section in found if section.heading.startswith("Energy")]
    assert "Energy: no meter." in next(section.text for section in found if section.heading == "Whole networks (measured)")
