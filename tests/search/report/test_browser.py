"""The page in a real browser: skipped where no Chromium is installed."""

import json
import re
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from search.race import rehearsal
from search.race.rehearsal import Rehearsal
from search.report import report, summary

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome is installed")
SETTLED_MS = 4000  # of the browser's own virtual time, in which it loads and lays out

# An outer page holds the report in a frame of the wanted width, looks at it as it is laid out, and tells what it saw.
PROBE = """<!doctype html><title>probe</title><iframe id="frame" style="border:0;width:{width}px;height:900px" src="report.html"></iframe>
<pre id="seen"></pre><script>
document.getElementById("frame").addEventListener("load", (event) => {{
  const page = event.target.contentDocument, view = event.target.contentWindow;
  const shown = (element) => view.getComputedStyle(element).display !== "none" && element.getClientRects().length > 0;
  const light = (colour) => {{
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.match(/[0-9.]+/g).map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }};
  const behind = (element) => {{
    for (let e = element; e; e = e.parentElement) {{
      const colour = view.getComputedStyle(e).backgroundColor;
      if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return light(colour);
    }}
    return 1;
  }};
  const contrast = (element) => {{
    const own = view.getComputedStyle(element), drawn = element.namespaceURI.includes("svg");
    const [a, b] = [light(drawn ? own.fill : own.color), behind(element)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }};
  const texts = [...page.querySelectorAll(".figure, .note, .spread, p, h1, h2, th, code, li, svg text")].filter(shown);
  const compared = [...page.querySelectorAll("table.compared tbody tr")].map((row) => [...row.cells].map((cell) => cell.innerText));
  const figures = (table) => [...page.querySelectorAll(table + " tbody tr")].map((row) =>
    [...row.cells].map((cell) => (cell.querySelector(".figure") || {{ textContent: "" }}).textContent));
  document.getElementById("seen").textContent = JSON.stringify({{
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    figures: [...page.querySelectorAll("figure svg")].filter(shown).length,
    smallest: Math.min(...[...page.querySelectorAll("svg text")].filter(shown).map((text) => text.getBoundingClientRect().height)),
    faint: texts.filter((element) => contrast(element) < 4.5).map((element) => element.className + ": " + element.textContent.trim()),
    first: page.querySelector("h1").getBoundingClientRect().bottom,
    table: page.querySelector("table.compared").getBoundingClientRect().top,
    compared,
    shares: figures("table.shares"), layers: figures("table.layers"),
    requested: view.performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !name.startsWith("data:")),
  }});
}});
</script>
"""


@dataclass(frozen=True)
class Seen:
    """What the browser told: the probe's findings and its console."""

    found: dict[str, Any]
    console: list[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = rehearsal.write(tmp_path_factory.mktemp("campaigns") / "one", Rehearsal(simulated=False))
    report.write(summary.load(made))
    return made


def look(folder: Path, profile: Path, width: int, dark: bool) -> Seen:
    assert CHROMIUM is not None
    probe = folder / f"probe-{width}-{dark}.html"
    probe.write_text(PROBE.format(width=width))
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    words += ["--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--allow-file-access-from-files", "--enable-logging=stderr"]
    words += [f"--user-data-dir={profile}", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    words += ["--disable-extensions", "--disable-default-apps", "--host-resolver-rules=MAP * ~NOTFOUND"]
    words += [f"--window-size={width},900", f"--virtual-time-budget={SETTLED_MS}", "--dump-dom", probe.as_uri()]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = re.search(r'<pre id="seen">(.*?)</pre>', ended.stdout, flags=re.S)
    assert told, "the page never finished loading"
    assert told[1], "the page never finished loading"
    unescaped = told[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&nbsp;", " ")
    return Seen(json.loads(unescaped), [line for line in ended.stderr.splitlines() if "CONSOLE" in line])


@dataclass(frozen=True)
class View:
    width: int
    dark: bool

    def __str__(self) -> str:
        return f"{self.width} px, {'dark' if self.dark else 'light'}"


@pytest.fixture(scope="module", params=[View(1280, False), View(1280, True), View(390, False), View(390, True)], ids=str)
def seen(folder: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return look(folder, tmp_path_factory.mktemp("profile"), request.param.width, request.param.dark)


def test_it_loads_without_network_and_without_complaint(seen: Seen) -> None:
    assert seen.console == []
    assert seen.found["requested"] == []


def test_it_fits_its_width_with_one_variant_of_each_figure_and_readable_text(seen: Seen) -> None:
    assert seen.found["overflow"] <= 0
    assert seen.found["figures"] == 3
    assert seen.found["smallest"] >= 9, "pixels of the smallest text in a figure"


def test_every_text_stands_out_from_its_background(seen: Seen) -> None:
    assert seen.found["faint"] == []


def test_the_answer_and_the_table_begin_on_the_first_screen(seen: Seen) -> None:
    assert seen.found["first"] < 450
    assert seen.found["table"] < 700


def test_the_table_agrees_with_the_json(seen: Seen, folder: Path) -> None:
    contenders = json.loads((folder / "contenders.json").read_text())["contenders"]
    stored = json.loads((folder / "proof.json").read_text())["benchmarks"]
    samples = {entry["extra_info"]["espalier"]["artefact_digest"]: entry["stats"]["data"] for entry in stored}
    assert len(seen.found["compared"]) == len(contenders)
    for row, contender in zip(seen.found["compared"], contenders, strict=True):
        plain = [re.sub(r"[\s\u00a0\u202f]+", " ", cell).replace("\u2060", "") for cell in row]
        assert plain[0].startswith(contender["name"])
        median = re.match(r"([\d.]+) µs ([\d.]+)–([\d.]+) n = (\d+)", plain[1])
        assert median, plain[1]
        told = samples[contender["artefact_digest"]]
        assert float(median[1]) == pytest.approx(1e6 * statistics.median(told), abs=0.06)
        assert float(median[2]) <= float(median[1]) <= float(median[3])
        assert int(median[4]) == len(told)
        top1 = re.match(r"([\d.]+) % .* (\d+) of (\d+)$", plain[4])
        assert top1, plain[4]
        assert (int(top1[2]), int(top1[3])) == (contender["test"]["correct"], contender["test"]["total"])
        assert float(top1[1]) == pytest.approx(100 * contender["test"]["correct"] / contender["test"]["total"], abs=0.006)


def plain(cell: str) -> float:
    return float(re.sub(r"[ %\s\u00a0\u202f\u2060]", "", cell).replace("−", "-"))


def test_layers_before_and_after_and_their_shares_agree_with_the_json(seen: Seen, folder: Path) -> None:
    stored = {
        entry["extra_info"]["espalier"]["notes"][0][1]: entry for entry in json.loads((folder / "proof.json").read_text())["benchmarks"]
    }
    for name, column in (("dense", 3), ("optimised", 4)):
        nodes = stored[name]["extra_info"]["espalier"]["layers"]
        times = {node["source_layers"][0]: statistics.median(node["runs_s"]) for node in nodes if node["source_layers"]}
        rows = {row[0]: row[column] for row in seen.found["layers"]}
        for layer, seconds in times.items():
            assert plain(rows[layer]) == pytest.approx(1e6 * seconds, abs=0.051)
        assert plain(rows["whole network"]) == pytest.approx(1e6 * statistics.median(stored[name]["stats"]["data"]), abs=0.051)
        assert plain(rows["remainder"]) == pytest.approx(plain(rows["whole network"]) - 1e6 * sum(times.values()), abs=0.11)
    *parts, whole = seen.found["shares"]
    assert whole[0] == "whole network"
    assert sum(plain(row[1]) for row in parts) == pytest.approx(100, abs=0.06 * len(parts))
