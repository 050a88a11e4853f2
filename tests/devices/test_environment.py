"""Creating a device's interpreter says what is missing, and does again only what is not there."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices import environment
from harness.devices.environment import RECIPES, Recipe, advice, create, find_python, main
from harness.errors import DeviceUnavailable

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """An environment of this interpreter that needs nothing from a package index."""
    return Recipe("own", tmp_path / "own", (HERE,), RECIPES["ncs2"].machines, (), "print('plugin 1'); print('sticks ')")


def fake(directory: Path, name: str, answer: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    return path


def test_earlier_versions_of_the_recipe_are_preferred_and_broken_ones_skipped(tmp_path: Path) -> None:
    places = [fake(tmp_path, "a", "echo 3.9"), fake(tmp_path, "b", "echo 3.8"), fake(tmp_path, "c", "exit 1"), tmp_path / "absent"]
    assert find_python(("3.8", "3.9"), places) == str(places[1])


def test_no_interpreter_is_told_with_those_there_are_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match=r"no Python 3.6 to 3.9 with venv was found \(there is 3.12\).*pyenv install 3.8"):
        find_python(RECIPES["ncs2"].pythons, [fake(tmp_path, "a", "echo 3.12")])


def test_an_environment_is_created_once(recipe: Recipe, tmp_path: Path) -> None:
    base = fake(tmp_path, "base", f'mkdir -p "$4/bin" && ln -s {sys.executable} "$4/bin/python"')  # -m venv --clear DIRECTORY
    told: list[str] = []
    assert create(recipe, str(base), told.append) == "plugin 1\nsticks \n"
    assert told == [f"creating {recipe.directory} with {base}"]
    assert create(recipe, str(base), told.append)
    assert len(told) == 1


def test_a_step_that_fails_says_which_and_what_to_do(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="install its venv package"):
        create(recipe, "/bin/false", lambda line: None)
    (recipe.directory / "bin").mkdir(parents=True)
    fake(recipe.directory / "bin", "python", 'echo no plugin >&2; exit $(test "$2" = check && echo 1 || echo 0)')
    with pytest.raises(DeviceUnavailable, match="no plugin; the environment does not work; delete"):
        create(replace(recipe, check="check"), None, lambda line: None)


def test_a_machine_without_builds_is_told(recipe: Recipe) -> None:
    with pytest.raises(DeviceUnavailable, match="has no build for"):
        create(replace(recipe, machines=("s390x",), requirements=("openvino==2021.4.2",)))


def test_what_a_stick_still_needs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert advice("plugin 7\nsticks MYRIAD.1.2-ma2480\n") == ("plugin 7", "found MYRIAD.1.2-ma2480: pytest bench/ --device=ncs2")
    monkeypatch.setattr(environment, "UDEV_RULES", tmp_path / "97.rules")
    without = "\n".join(advice("plugin 7\nsticks \n"))
    assert "--compile-only" in without
    assert 'ATTRS{idVendor}=="03e7"' in without
    (tmp_path / "97.rules").touch()
    assert len(advice("plugin 7\nsticks \n")) == 2


def test_the_command_line_ends_with_2_for_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jetsn"]) == 2
    assert "unknown environment 'jetsn': choose one of ncs2" in capsys.readouterr().err


def test_the_command_line_says_where_the_environment_is(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "create", lambda recipe, python: "plugin 1")
    monkeypatch.setitem(RECIPES, "own", recipe)
    assert main(["own", "--python", sys.executable]) == 0
    assert f"ready: {recipe.directory}" in capsys.readouterr().out
