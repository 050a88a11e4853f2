"""Installed from a wheel, everything is there: devices, suites, the plugin; and nothing is written beside the program."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness.errors import UnknownName, UsageError
from harness.runner.elsewhere import suites
from tests.runner.elsewhere.conftest import ROOT, Run


def test_a_wheel_has_the_devices_of_a_checkout(run: Run) -> None:
    from harness.devices import spec

    script = "from harness.devices import spec; print(spec.__file__); print(*spec.names()); print(spec.find('ncs2').python)"
    place, names, interpreter = run("-c", script).stdout.splitlines()
    assert "site-packages" in place, "the checkout was in sight"
    assert set(names.split()) == {*spec.names(), "mine", "board"}
    assert "site-packages" not in interpreter, "an environment would be written beside the program"


def test_a_wheel_holds_every_file_that_the_program_reads(installed: Path) -> None:
    packages = next(installed.parents[1].glob("lib/python3.*/site-packages"))
    tracked = subprocess.run(["git", "ls-files", "harness", "search"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in tracked if (ROOT / name).is_file() and not (packages / name).is_file()]


def test_suites_run_from_an_empty_folder(run: Run, empty: Path) -> None:
    done = run("-m", "harness.runner", "network_latency", "--device=mine", "--rounds=20", "--benchmark-json=found.json", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIMULATED" in done.stdout
    assert len(json.loads((empty / "found.json").read_text())["benchmarks"]) == 1


def test_a_suite_that_is_none_is_told_with_those_there_are() -> None:
    place = suites.folder()
    with pytest.raises(UnknownName, match=r"unknown suite 'network_latensy' \(did you mean 'network_latency'\?\)"):
        suites.arguments(["network_latensy", "--device=cpu"], place, Path("/"))
    with pytest.raises(UsageError, match="holds no suites"):
        suites.folder([Path("/nowhere")])


def test_options_behind_the_suites_go_to_pytest() -> None:
    place = suites.folder()
    called = suites.arguments(["device", "verdict", "--device", "cpu"], place, Path("/there"))
    assert called[-4:] == [str(place / "test_device.py"), str(place / "test_verdict.py"), "--device", "cpu"]
    assert "--rootdir=/there" in called
