"""Why a bench run failed is told whole, in the harness's own words, and kept in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import CampaignError
from search.space import bench_run, failure, measurements
from search.space.bench_run import run_bench
from tests.history.conftest import measurement, write

NETWORK = """
from torch import nn

def grouped(classes, in_chans):
    return nn.Sequential(nn.Conv2d(in_chans, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))

def wrong(classes, in_chans):
    raise ValueError("a reason that must be told" + " and is long" * 30)
"""


@pytest.mark.timeout(200)
def test_the_reason_of_a_real_run_arrives_whole(tmp_path: Path) -> None:
    net, path = tmp_path / "net.py", tmp_path / "found.json"
    net.write_text(NETWORK)
    options = ["--device=simulated", f"--network={net}:wrong", "--dataset=digits", "--designs=12"]
    with pytest.raises(CampaignError) as ended:
        run_bench(measurements.SUITES, path, options, lambda _: None)
    told = str(ended.value)
    assert "a reason that must be told" + " and is long" * 30 in told
    assert told.count("a reason that must be told") == 2, "in the message and in the line of the user's file, not once for every test"
    assert "\n" not in told
    log = path.with_suffix(".log")
    assert str(log) in told
    assert "a reason that must be told" in log.read_text()
    assert not path.exists()


def test_what_was_measured_before_a_device_dropped_is_kept(tmp_path: Path) -> None:
    part, path = tmp_path / ".found.json.part", tmp_path / "found.json"
    write(part.parent, measurement(1e-3, 1), 1).rename(part)
    assert "the 1 networks that it measured are kept" in bench_run._kept(part, path)
    assert path.is_file()
    part.write_text('{"half')
    assert bench_run._kept(part, path) == ""
    assert not part.exists()


def test_every_different_reason_is_told_once() -> None:
    output = (
        "E       harness.errors.ModelRefused: conv1 cannot be compiled; leave it out\n"
        "E   harness.errors.ModelRefused: conv1 cannot be compiled; leave it out\n"
        "\x1b[31mE       harness.errors.DeviceTimeout: no answer within 30 s\x1b[0m\n"
        "FAILED bench/test_predictor.py::test_one - harness.errors.ModelRefused: conv1...\n"
    )
    assert failure.reason(output, 1) == "conv1 cannot be compiled; leave it out; no answer within 30 s (pytest ended with 1)"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("!!!!!!!!!!! _pytest.outcomes.Exit: unknown device 'x' !!!!!!!!!!!!!\nno tests ran\n", "unknown device 'x'"),
        ("FAILED bench/test_x.py::test_y - assert 1 == 2\n", "bench/test_x.py::test_y: assert 1 == 2"),
        ("one\n\ntwo\nthree\nfour\n", "two; three; four"),
        ("", "it printed nothing"),
    ],
)
def test_without_an_error_of_ours_what_there_is_is_told(output: str, told: str) -> None:
    assert failure.reason(output, 2) == f"{told} (pytest ended with 2)"


def test_a_refusal_that_is_shown_as_its_one_line_is_told_and_a_traceback_is_not() -> None:
    output = (
        "_________________ test_held_out_error[simulated-net] _________________\n"
        "11 measured networks are too few; measure more\n"
        "_____________________________ test_other _____________________________\n"
        "\n"
        "    def test_other():\n"
        ">       raise ValueError\n"
        "FAILED bench/test_predictor.py::test_held_out_error[simulated-net]\n"
    )
    assert failure.reason(output, 2) == "11 measured networks are too few; measure more (pytest ended with 2)"


def test_what_ended_the_collection_of_tests_is_told() -> None:
    output = (
        "E   harness.networks.zoo.OtherOutputs: network pair answers two maps; return one logit per class\n"
        "E   _pytest.outcomes.Exit: network pair answers two maps; return one logit per class\n"
        "ERROR bench/test_width_staircase.py - _pytest.outcomes.Exit: net...\n"
    )
    assert failure.reason(output, 2) == "network pair answers two maps; return one logit per class (pytest ended with 2)"
