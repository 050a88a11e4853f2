"""A history finds the commit that made a network slower and the layer that did it, and reads every content once."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import RecordError
from harness.history import index, page, story
from harness.history.__main__ import main
from harness.records import benchmark_json
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.measurement import Measurement
from tests.history.conftest import measurement, write


def silent(line: str) -> None:
    raise AssertionError(line)


def test_the_change_is_told_with_its_commit_its_size_and_its_layer(years: Path) -> None:
    (series,) = story.told(index.gather([years], silent))
    (change,) = series.changes
    assert change.index == 25
    assert change.since.commit == f"{25:040x}"[::-1][:12]
    low, high = change.ratio_interval
    assert low < 1.2 < high
    assert [one.layer for one in change.layers if one.surely] == ["conv1"]
    assert change.layers[0].difference_s == pytest.approx(200e-6, rel=0.05)
    assert series.stretches == ((0, 24), (25, 39))


def test_what_may_not_be_compared_lies_in_series_of_its_own(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, measurement(1e-3, number), number)
        write(tmp_path, measurement(2e-3, 10 + number, device="board"), 10 + number)
        write(tmp_path, measurement(3e-3, 20 + number, simulated=True), 20 + number)
    series = story.told(index.gather([tmp_path], silent))
    assert [(one.value("device"), one.value("provenance"), len(one.points)) for one in series] == [
        ("board", "measured", 4),
        ("cpu", "SIMULATED", 4),
        ("cpu", "measured", 4),
    ]
    assert not [change for one in series for change in one.changes]
    assert sum(bool(one.warning) for one in page.sections(series)) == 1


def test_a_network_whose_code_changed_goes_on_and_what_was_cut_does_not(tmp_path: Path) -> None:
    """Its file in the repository was edited: that is the change to be found, not another network."""

    def network(channels: int) -> Architecture:
        site = LayerSite("conv0", "conv", (), "conv0", 3, channels, input_size=(8, 8))
        return Architecture("net", (3, 8, 8), 4, (ChannelGroup("conv0", channels, ("conv0",), False, "conv0"),), (site,))

    before, after = network(16), network(24)
    half = before.partial({"conv0": 8})

    def of(own: Architecture, median_s: float, number: int) -> Measurement:
        return replace(measurement(median_s, number), architecture_digest=own.digest, config=own.dense())

    for number in range(12):
        own = after if number >= 6 else before
        write(tmp_path, of(own, 2e-3 if number >= 6 else 1e-3, number), number, own)
        write(tmp_path / "half", replace(of(before, 5e-4, 50 + number), config=half), 50 + number, before)
        write(tmp_path / "paced", replace(of(before, 3e-3, 90 + number), notes=(("pace", "30 Hz"),)), 90 + number, before)
    series = story.told(index.gather([tmp_path], silent))
    headings = {one.heading for one in page.sections(series)[1:]}
    assert headings == {
        "net on cpu (host), f32, pace tight loop",
        "net on cpu (host), f32, pace 30 Hz",
        f"net {half.digest[:8]} on cpu (host), f32",
    }
    (change,) = (change for one in series for change in one.changes)
    assert change.ratio == pytest.approx(2, rel=0.02)


def test_every_content_is_read_once_whatever_it_is_called(years: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = index.gather([years], silent)
    shutil.copytree(years, years / "copies", ignore=shutil.ignore_patterns(index.INDEX))
    assert index.gather([years], silent) == first, "a copy is no second run"
    before = (years / index.INDEX).read_bytes()
    monkeypatch.setattr(benchmark_json, "parse_with_commit", lambda *_: pytest.fail("read again"))
    assert index.gather([years], silent) == first
    assert (years / index.INDEX).read_bytes() == before, "nothing new, nothing written"


def test_a_file_that_changed_is_read_again(years: Path) -> None:
    count = len(index.gather([years], silent))
    write(years, measurement(5e-3, 99), 39)
    points = index.gather([years], silent)
    assert len(points) == count
    assert points[-1].median_s == pytest.approx(5e-3, rel=0.01)


@pytest.mark.parametrize(
    "harm", [lambda text: text[: len(text) // 2], lambda text: "nothing\n" + text, lambda text: ""], ids=["half", "foreign", "empty"]
)
def test_a_broken_index_costs_time_alone(years: Path, harm: Callable[[str], str]) -> None:
    first = index.gather([years], silent)
    path = years / index.INDEX
    path.write_text(harm(path.read_text()))
    assert index.gather([years], silent) == first
    assert index.gather([years], silent) == first


def test_what_is_not_ours_is_told_and_left_out(years: Path) -> None:
    count = len(index.gather([years], silent))
    (years / "theirs.json").write_text(json.dumps({"benchmarks": []}))
    (years / "half.json").write_text('{"bench')
    told: list[str] = []
    assert len(index.gather([years], told.append)) == count
    assert sorted(line.split(" ")[0] for line in told) == ["left", "left"]
    assert "theirs.json was not written by Espalier's plugin" in " ".join(told)
    with pytest.raises(RecordError, match="is no folder"):
        index.gather([years / "nowhere"], silent)


def test_the_pages_hold_it(years: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(years), f"--html={tmp_path / 'h.html'}", f"--md={tmp_path / 'h.md'}"]) == 0
    html, markdown = (tmp_path / "h.html").read_text(), (tmp_path / "h.md").read_text()
    for text in (html, markdown):
        assert "conv1: +20" in text
        assert "slower" in text
    assert html.count("<circle") == 40
    assert "http" not in html, "it asks for nothing"
    assert main([str(years), "--device=board"]) == 2
    assert "no measurement of a network was found" in capsys.readouterr().err


def test_a_wild_measurement_does_not_flatten_the_picture(years: Path) -> None:
    """It is noisy and lies at the edge, as the text says; what is quiet fills the height, in even steps of no less than nothing."""
    (series,) = story.told(index.gather([years], silent))
    wild = replace(series.points[3], median_s=0.5, high_s=0.9, noisy=True)
    spoilt = replace(series, points=(*series.points[:3], wild, *series.points[4:]))
    drawn = page.picture(spoilt)
    heights = [float(one) for one in re.findall(r'cy="([\d.]+)"', drawn)]
    assert max(heights[:3] + heights[4:25]) - min(heights[25:]) > page.HEIGHT / 3
    assert heights[3] == page.TOP
    ticks = re.findall(r'text-anchor="end">([^<]+)</text>', drawn)[:-1]
    assert not [tick for tick in ticks if tick.startswith(("-", "−"))]
    assert len(ticks) in range(3, 8)
    (section,) = page.sections([spoilt])[1:]
    assert "1 of them was noisy (hollow). 1 of those is beyond the picture" in section.text
