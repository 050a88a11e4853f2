"""Stored measurements that predict well are taken as they are, others are made again, and the better ones taken."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import CampaignError
from harness.networks import datasets
from harness.pipeline import Network
from search.campaign.subject import bench_of
from search.records.request import Request
from search.space import measurements
from search.space.bench_run import Bench, run_bench

DESIGNS = 20
STRICT = 1e-6  # no predictor is that good


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.by_name("resnet20", datasets.load("digits"))


@pytest.fixture(scope="module")
def measured(network: Network, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, list[str]]:
    """Twenty designed networks of a simulated device on disk, asked for twice: leniently, then strictly."""
    bench = Bench("simulated", "resnet20", "digits", None, "default", tmp_path_factory.mktemp("reports"), max_predictor_error=0.9)
    said: list[str] = []
    for asked in (bench, bench, replace(bench, max_predictor_error=STRICT)):
        measurements.find_or_measure(asked, network.architecture, DESIGNS, said.append)
    return bench, said


def test_good_ones_are_not_made_again_and_others_are(measured: tuple[Bench, list[str]]) -> None:
    bench, said = measured
    assert [bool(re.search("^measuring:", line)) for line in said].count(True) == 2
    assert any("beyond 0.0%: measuring again" in line for line in said)
    assert len(list(bench.folder.glob("*.json"))) == 2


def test_the_better_of_two_is_taken(measured: tuple[Bench, list[str]], network: Network) -> None:
    bench, _ = measured
    errors = {path: measurements.read(path, network.architecture, "default").error_ratio for path in bench.folder.glob("*.json")}
    assert all(error > 0 for error in errors.values())
    found = measurements.find_or_measure(replace(bench, max_predictor_error=max(errors.values())), network.architecture, DESIGNS, print)
    assert found.error_ratio <= max(errors.values())


def test_the_limit_travels_from_the_request_to_the_bench() -> None:
    words = bench_of(Request(max_predictor_error=0.07)).options()
    assert "--max-predictor-error=0.07" in words
    assert not [word for word in bench_of(Request()).options() if "predictor" in word]


def test_no_measurements_have_no_error_to_be_held_against(tmp_path: Path, measured: tuple[Bench, list[str]], network: Network) -> None:
    bench, _ = measured
    stored = measurements.read(next(bench.folder.glob("*.json")), network.architecture, "default")
    assert replace(stored, predictor=replace(stored.predictor, held_out=None)).error_ratio == 0.0


def test_int8_with_layers_in_float_is_another_table(tmp_path: Path, network: Network) -> None:
    """The layer lies in a branch, so that some of the designed networks have it not."""
    bench = Bench("simulated", "resnet20", "digits", None, "int8", tmp_path, in_float=("layer2.1.conv1",))
    run_bench(("test_predictor.py",), bench.folder / "known.json", [*bench.options(), f"--designs={DESIGNS}"], print)
    stored = measurements.find(bench, network.architecture, DESIGNS, print)
    assert any(m.config is not None and dict(m.config.channels)["layer2.1.conv1"] == 0 for m in stored.file.measurements)
    said: list[str] = []
    with pytest.raises(CampaignError, match="no measurements of this network"):
        measurements.find(replace(bench, in_float=()), network.architecture, DESIGNS, said.append)
    assert "taken with layer2.1.conv1 in float, wanted is none" in "".join(said)
