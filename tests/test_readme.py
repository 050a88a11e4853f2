"""Every command that the README shows exists as shown; the ones that take minutes run elsewhere, with short budgets."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from search import command_line

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip() and not line.startswith("#")]


def test_the_first_screen_shows_the_two_commands() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert "\nmake search\n" in first_screen
    assert "\nmake test\n" in first_screen


def test_measuring_needs_nothing_that_only_the_tests_install() -> None:
    """``make search`` installs no test extra, and pytest refuses the settings of plugins that are not there."""
    plugins = ("timeout", "xdist", "xdist.looponfail", "pytest_cov", "hypothesispytest")
    absent = [word for plugin in plugins for word in ("-p", f"no:{plugin}")]
    words = [sys.executable, "-m", "pytest", "bench/", "--device=simulated", "--collect-only", "-q", *absent]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=200)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def pytest_help() -> str:
    """Every option that pytest knows here."""
    return subprocess.run([sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_understood(command: str, pytest_help: str) -> None:
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        planned = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
        assert planned.returncode == 0, planned.stderr
    elif words[:3] == ["python", "-m", "search"]:
        arguments = command_line.parse(words[3:])
        if arguments.verb in ("run", "fork"):
            command_line.request(arguments)
    elif words[0] == "pytest":
        for word in words[1:]:
            assert word.partition("=")[0] in pytest_help if word.startswith("--") else (ROOT / word).exists(), word
    else:
        assert words[:2] == ["python", "-m"], f"no test knows how to try: {command}"
        module = ROOT.joinpath(*words[2].split("."))
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()


def test_pictures_and_files_that_the_readme_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
