"""Every command that the README, the guides and CONTRIBUTING show exists as shown; the ones that take minutes run elsewhere, shorter."""

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.networks import zoo
from search import command_line
from search.records.request import OPTIONS

ROOT = Path(__file__).parent.parent
README, SEARCH = ROOT / "README.md", ROOT / "docs" / "search.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
MOST_LINES, FIRST_SCREEN = 150, 40  # of the README
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:make|pytest|python3?) [^`]*)`")  # in a sentence, or in a table of figures
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)")  # a page, a picture, a heading; not what lies elsewhere in the world
WITH_VALUE = ("-k", "-m", "-n", "-o", "-p")  # pytest's short options whose value is the next word
OWN_WEIGHTS = "--weights=mine.pt"  # of whoever reads the guide


def in_blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCED.findall(page.read_text()) if found == language]


def commands(page: Path) -> list[str]:
    """What a page shows to be typed, in blocks and in sentences, each once."""
    lines = [line for block in in_blocks(page, "sh") for line in block.splitlines() if line.strip() and not line.startswith("#")]
    sentences = re.sub(r"\s+", " ", FENCED.sub("", page.read_text()))
    return list(dict.fromkeys([*lines, *INLINE.findall(sentences)]))


def headings(page: Path) -> set[str]:
    """The names that a link to a part of the page may use."""
    told = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in told}


def test_the_first_screen_shows_the_two_commands() -> None:
    first_screen = "\n".join(README.read_text().splitlines()[:FIRST_SCREEN])
    assert "\nmake search\n" in first_screen
    assert "\nmake test\n" in first_screen


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES, "move what a newcomer does not need into docs/"


def test_measuring_needs_nothing_that_only_the_tests_install() -> None:
    """``make search`` installs no test extra, and pytest refuses the settings of plugins that are not there."""
    plugins = ("timeout", "xdist", "xdist.looponfail", "pytest_cov", "hypothesispytest")
    absent = [word for plugin in plugins for word in ("-p", f"no:{plugin}")]
    words = [sys.executable, "-m", "pytest", "bench/", "--device=simulated", "--collect-only", "-q", *absent]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=200)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def pytest_options() -> set[str]:
    """Every option that pytest knows here, long and short."""
    told = subprocess.run([sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", told))


@pytest.mark.parametrize("command", [pytest.param(command, id=f"{page.stem}: {command}") for page in PAGES for command in commands(page)])
def test_a_shown_command_is_understood(command: str, pytest_options: set[str]) -> None:
    understand(shlex.split(command, comments=True), pytest_options)


def understand(words: list[str], pytest_options: set[str]) -> None:
    """Whether a command's options and files exist; of one that runs another one after ``--``, both."""
    if "--" in words:
        understand(words[words.index("--") + 1 :], pytest_options)
        words = words[: words.index("--")]
    command = shlex.join(words)
    words[0] = words[0].removeprefix(".venv/bin/")
    if words[:3] == ["python", "-m", "pytest"]:
        words = words[2:]
    if words[0] == "make":
        planned = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
        assert planned.returncode == 0, planned.stderr
    elif words[:3] == ["python", "-m", "search"]:
        arguments = command_line.parse([word for word in words[3:] if word not in ("--help", OWN_WEIGHTS)])
        if arguments.verb in ("run", "fork"):
            command_line.request(arguments)
    elif words[0] == "pytest":
        for before, word in itertools.pairwise(words):
            if word.startswith("-"):
                assert word.partition("=")[0] in pytest_options, word
            elif before not in WITH_VALUE:
                assert (ROOT / word).exists(), word
    elif words[:3] == ["python", "-m", "harness.runner"]:
        understand(["pytest", *(word if word.startswith("-") else f"bench/test_{word}.py" for word in words[3:])], pytest_options)
    elif words[:2] == ["python", "-m"]:
        module = ROOT.joinpath(*words[2].split("."))
        source = next(path for path in (module.with_suffix(".py"), module / "__main__.py") if path.exists())
        assert not [word for word in words[3:] if word.startswith("--") and f'"{word.partition("=")[0]}"' not in source.read_text()]
    else:
        assert words[0] == "python", f"no test knows how to try: {command}"
        assert (ROOT / words[1]).is_file(), f"no test knows how to try: {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pictures_pages_and_headings_that_are_linked_exist(page: Path) -> None:
    for target, heading in LINK.findall(page.read_text()):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not heading or heading in headings(linked), f"{target}#{heading}"


def test_every_guide_is_found_from_the_readme() -> None:
    linked = {(ROOT / target).resolve() for target, _ in LINK.findall(README.read_text()) if target}
    assert not [page.name for page in PAGES if page != README and page not in linked]


def test_the_guide_to_searching_tells_every_option() -> None:
    told = SEARCH.read_text().partition("## Options")[2]
    assert not [field.name for field in OPTIONS if f"`--{field.name.replace('_', '-')}`" not in told]


def test_the_network_that_is_shown_as_an_example_can_be_built(tmp_path: Path) -> None:
    (example,) = in_blocks(SEARCH, "python")
    (tmp_path / "my_network.py").write_text(example)
    zoo.build(f"{tmp_path / 'my_network.py'}:small", (1, 32, 32), 10)
