"""Legal widths by a compiler: read off stored compilations, taken over by a campaign, never mixed with latencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import CampaignError, RecordError, UnknownName
from harness.latency.explanation.width_series import twins
from harness.networks import zoo
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation, CompiledStage
from harness.records.conditions import DeviceInfo
from search.records.outcome import COMPILED
from search.space import compiled_widths
from search.space.bench_run import Bench
from search.space.compiled_widths import find_or_compile, of_campaign, replaced, staircases


def compilation(architecture: Architecture, channels: dict[str, int], cost: int, version: str = "1") -> Compilation:
    stages = (CompiledStage("all", "Conv", True, True, cost, ()),)
    device = DeviceInfo("ncs2", "myriad", version, "compiler", "host", "3.8")
    config = architecture.partial(channels)
    return Compilation(architecture.network, architecture.digest, config, "d", 1, device, stages, 1, "b", 5.0, (), "c", "t")


def compiled(architecture: Architecture, groups: list[str] | None = None, version: str = "1") -> tuple[Compilation, ...]:
    """Every group (or some) whole, with a channel less and half: paid for in eights."""
    found = [compilation(architecture, {}, 1000, version)]
    for group in architecture.groups:
        for width in (group.channels - 1, group.channels // 2) if groups is None or group.name in groups else ():
            saved = (group.channels + 7) // 8 - (width + 7) // 8
            found.append(compilation(architecture, {group.name: width}, 1000 - saved, version))
    return tuple(found)


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return Network.wrap("resnet20", zoo.build("resnet20", (1, 8, 8), 10), (1, 8, 8), 10).architecture


def bench(reports: Path, network: str) -> Bench:
    return Bench("simulated", network, "digits", None, "f32", reports)


def test_widths_that_the_compiler_pays_for_are_legal_and_the_others_are_not(architecture: Architecture) -> None:
    found = staircases(compiled(architecture), architecture, "ncs2")
    legal = found.legal()
    assert set(legal) == {group.name for group in architecture.groups}
    assert all(legal[group.name] == (group.channels // 2, group.channels) for group in architecture.groups)
    assert "compiled for ncs2, not measured" in found.sentence()


def test_twins_are_compiled_once(architecture: Architecture) -> None:
    firsts = [names[0] for names in twins(architecture)]
    assert (
        staircases(compiled(architecture, firsts), architecture, "ncs2").legal()
        == staircases(compiled(architecture), architecture, "ncs2").legal()
    )


def test_a_group_that_was_not_compiled_is_named_with_the_command(architecture: Architecture) -> None:
    with pytest.raises(RecordError, match=r"nothing narrower of layer1.0.conv1 .* --compile-only .*--group=all"):
        staircases(compiled(architecture, ["conv1"]), architecture, "ncs2")


def test_compilations_by_an_older_compiler_do_not_count(architecture: Architecture) -> None:
    newer = compilation(architecture, {}, 1000, "2")
    with pytest.raises(RecordError, match="nothing narrower of conv1 is compiled for ncs2"):
        staircases((*compiled(architecture), newer), architecture, "ncs2")


def test_a_twin_that_was_compiled_itself_is_judged_by_its_own_costs(architecture: Architecture) -> None:
    names = next(names for names in twins(architecture) if len(names) > 1)
    full = architecture.group(names[1]).channels
    odd = [compilation(architecture, {}, 1000), compilation(architecture, {names[1]: full - 1}, 10)]
    legal = staircases((*compiled(architecture, [n[0] for n in twins(architecture)]), *odd), architecture, "ncs2").legal()
    assert legal[names[1]] == (full - 1, full)
    assert legal[names[0]] == (full // 2, full)


def test_a_campaign_keeps_the_compilations_that_its_space_was_made_of(architecture: Architecture, tmp_path: Path) -> None:
    stored = tmp_path / "benchmarks" / "ncs2" / "compiled" / "net.json"
    stored.parent.mkdir(parents=True)
    benchmark_json.write(stored, BenchmarkFile((), (architecture,), compilations=compiled(architecture)))
    campaign = tmp_path / "campaigns" / "one"
    campaign.mkdir(parents=True)
    first = of_campaign(campaign, bench(tmp_path, architecture.network), "ncs2", architecture)
    assert benchmark_json.read(campaign / COMPILED).compilations == first.compilations
    stored.unlink()
    assert of_campaign(campaign, bench(tmp_path, architecture.network), "ncs2", architecture).legal() == first.legal()


def test_what_is_not_stored_is_compiled_by_the_bench(architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run_bench(suites: tuple[str, ...], path: Path, options: list[str], say: object) -> None:
        asked.append((*suites, *options))
        path.parent.mkdir(parents=True)
        benchmark_json.write(path, BenchmarkFile((), (architecture,), compilations=compiled(architecture)))

    monkeypatch.setattr(compiled_widths, "run_bench", run_bench)
    said: list[str] = []
    find_or_compile(bench(tmp_path, architecture.network), "ncs2", architecture, said.append)
    assert {"test_compiled.py", "--device=ncs2", "--compile-only", "--group=all"} <= set(asked[0])
    find_or_compile(bench(tmp_path, architecture.network), "ncs2", architecture, said.append)
    assert len(asked) == 1
    assert "compiled networks" in said[-1]


def test_an_unknown_device_and_other_groups_are_refused(architecture: Architecture, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="ncs3"):
        find_or_compile(bench(tmp_path, architecture.network), "ncs3", architecture, print)
    with pytest.raises(CampaignError, match="other groups"):
        replaced({"conv9": (8,)}, staircases(compiled(architecture), architecture, "ncs2"))
