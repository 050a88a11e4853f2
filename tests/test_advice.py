"""Advice that can be followed: every option and command that a message names exists in the program that it names."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.runner.elsewhere import entry
from search import command_line
from tests.devices import trtexec_stand_in

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for room in ("harness", "search", "bench", "examples") for path in (ROOT / room).rglob("*.py"))
HOLE = "\x00"  # where a message holds something that is only known when it is said
COMMAND = re.compile(
    r"\b(?:python3? -m (?P<module>[\w.]+)|(?P<pytest>pytest)(?= bench| --)|(?:(?<=`)|(?<=run: ))make(?= ))(?P<words>[^\n`;()]*)"
)
OPTION = re.compile(r"(?<![\w-])--([a-z][\w-]*)(?![\w\x00-])")  # one whose name is made up while it is said is not read
LIKE_AN_ARGUMENT = re.compile(r"-{1,2}\w|.*[/=.\x00]|[A-Z]+\b")
ELSEWHERE = {  # what messages name of other people's programs, by a word with which they name it
    "trtexec": {*trtexec_stand_in.COMMON, *trtexec_stand_in.FLAGS},
    "docker": {"cpus"},
    "container": {"runtime", "gpus"},
    "udevadm": {"reload-rules"},
    "pip": {"no-deps"},
    "--resources": {"resources"},  # of Dask's workers
    "Slurm": {"gres"},
    "CodSpeed": {"codspeed"},
}
Options = Mapping[str, bool]  # by name without dashes: whether a value must follow


@dataclass(frozen=True)
class Message:
    """A text of the program. path: where it stands, below the root."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text.replace(HOLE, '{}')}"


def messages(source: str, path: str) -> Iterator[Message]:
    """Every text of more than a word, with a hole for whatever is put in; constants of the module are put in."""
    tree = ast.parse(source)
    known = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    parts: set[int] = set()
    for node in ast.walk(tree):
        if id(node) in parts or not isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
            continue
        said = _said(node, known)
        parts |= {id(part) for part in ast.walk(node)} if said else set()
        if " " in said and "<style>" not in said and ":root" not in said:
            yield Message(path, node.lineno, said)


def _said(node: ast.AST, known: Mapping[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_said(one, known) for one in values)
        case ast.FormattedValue(value=ast.Name(id=name)) if name in known:
            return known[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            told = _said(left, known), _said(right, known)
            return "".join(told) if any(one.strip(HOLE) for one in told) else ""
        case ast.BinOp(left=left, op=ast.Mod()):
            return re.sub(r"%[sdrg]", HOLE, _said(left, known)).strip(HOLE)
        case ast.FormattedValue() | ast.Name() | ast.Call() | ast.Attribute() | ast.IfExp():
            return HOLE
    return ""


@cache
def pytest_options() -> Options:
    """What ``pytest bench/`` knows, with pytest's own and its plugins'."""
    told = subprocess.run([sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name: value.startswith("=") for name, value in re.findall(r"(?<![\w-])--([a-z][\w-]*)(\[?=)?", told)}


@cache
def search_options() -> dict[str, Options]:
    """What each verb of ``python -m search`` knows."""
    (verbs,) = (action for action in command_line.parser()._actions if isinstance(action, argparse._SubParsersAction))
    return {
        verb: {word.removeprefix("--"): action.nargs != 0 for action in parser._actions for word in action.option_strings}
        for verb, parser in verbs.choices.items()
    }


@cache
def module_options(path: str) -> Options:
    """What a module adds to an argument parser, or to pytest's; empty for one that has none."""
    found: dict[str, bool] = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("add_argument", "option"):
            action = next((ast.unparse(word.value).strip("'") for word in node.keywords if word.arg == "action"), "store")
            for word in node.args:
                if isinstance(word, ast.Constant) and str(word.value).startswith("--"):
                    found[str(word.value)[2:]] = action in ("store", "append")
    return found


def room_options(path: str) -> set[str]:
    """What the doors of a module's own folder take."""
    return {name for beside in (ROOT / path).parent.glob("*.py") for name in module_options(str(beside.relative_to(ROOT)))}


def every_search_option() -> set[str]:
    return {name for options in search_options().values() for name in options}


def wrong(message: Message) -> list[str]:
    """What a user who followed the message would stumble over."""
    found, rest = [], message.text
    for command in COMMAND.finditer(message.text):
        found += _wrong_command(command)
        rest = rest.replace(command[0], " ", 1) if command["words"].strip() else rest
    known = {"help", *room_options(message.path)}
    room, _, below = message.path.partition("/")
    known |= every_search_option() if room in ("search", "examples") else set(pytest_options())
    known |= every_search_option() if room == "harness" and not below.startswith(("runner", "compare")) else set()
    for word, options in ELSEWHERE.items():
        known |= options if word in message.text or word in message.path else set()
    return found + [f"--{name}: nobody has it" for name in OPTION.findall(rest) if name not in known]


def _wrong_command(command: re.Match[str]) -> list[str]:
    words = _arguments(command["words"])
    if command["pytest"] or command["module"] in ("pytest", "harness.runner"):
        paths = [word for word in words if word.startswith("bench") and HOLE not in word]
        return [f"{path}: no such suite" for path in paths if not (ROOT / path).exists()] + _wrong_options(words, pytest_options())
    if not command["module"]:
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return [f"make {word}: no such target" for word in words[:1] if word not in targets]
    if command["module"] == "search":
        verb = words[0] if words and words[0].islower() and "-" not in words[0][:1] and HOLE not in words[0] else "run"
        return _wrong_options(words, search_options()[verb]) if verb in search_options() else [f"{verb}: no such verb"]
    return _wrong_module(command["module"], words)


def _wrong_module(module: str, words: list[str]) -> list[str]:
    if module.partition(".")[0] != "harness" and not module.startswith("search."):
        return [] if importlib.util.find_spec(module) else [f"{module}: not installed"]
    path = module.replace(".", "/")
    door = f"{path}/__main__.py" if (ROOT / path).is_dir() else f"{path}.py"
    if not (ROOT / door).is_file() or '__name__ == "__main__"' not in (ROOT / door).read_text():
        return [f"{module}: cannot be started"]
    return _wrong_options(words[: words.index("--")] if "--" in words else words, module_options(door))


def _arguments(text: str) -> list[str]:
    """The words of a command, up to where a sentence goes on."""
    found: list[str] = []
    for place, word in enumerate(text.split(" ")[1:] if text.startswith(" ") else []):
        bare = word.rstrip(",:.…'\"")
        if not bare or not (LIKE_AN_ARGUMENT.match(bare) or (place == 0 and bare in (*command_line.VERBS, "make"))):
            if place == 0 and bare.islower() and text.count(" ") == 1:
                found.append(bare)  # the last word: a verb, a target
            break
        found.append(bare)
        if word != bare and word.rstrip("…") != bare:
            break
    return found


def _wrong_options(words: list[str], known: Options) -> list[str]:
    found = []
    for place, word in enumerate(words):
        name, given, _ = word.removeprefix("--").partition("=")
        if not word.startswith("--") or HOLE in name or word == "--" or name == "help":
            continue
        if name not in known:
            found.append(f"{word}: the command has no such option")
        elif known[name] and not given and (place + 1 == len(words) or words[place + 1].startswith("--")):
            found.append(f"{word}: needs a value")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_message_names_can_be_done(path: Path) -> None:
    said = messages(path.read_text(), str(path.relative_to(ROOT)))
    assert [f"{message}\n    {told}" for message in said for told in wrong(message)] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("f'{name} is none; give --networc={name}'", "--networc: nobody has it"),
        ("f'measure it: pytest bench/test_layers.py --device={name}'", "bench/test_layers.py: no such suite"),
        ("f'measure it: pytest bench/ --divice={name}'", "--divice=\0: the command has no such option"),
        ("'write one: pytest bench/ --benchmark-json'", "--benchmark-json: needs a value"),
        ("f'nothing is lost: python -m search resume {name} --network=x'", "--network=x: the command has no such option"),
        ("'go on: python -m search resum'", "resum: no such verb"),
        ("'look at it: python -m harness.docter'", "harness.docter: cannot be started"),
        ("'look at it: python -m harness.doctor --divice=cpu'", "--divice=cpu: the command has no such option"),
        ("'put them at one size: python -m nowhere_to_be_found --x'", "nowhere_to_be_found: not installed"),
        ("'nothing is here; run: make serch'", "make serch: no such target"),
        ("'no %s; ' + WHAT % name + 'give --networc'", "--networc: nobody has it"),
    ],
)
def test_what_cannot_be_done_is_found(text: str, told: str) -> None:
    assert [one for message in messages(f"raise E({text})", "harness/errors.py") for one in wrong(message)] == [told]


def test_a_command_ends_where_its_sentence_goes_on() -> None:
    for text in (
        "python -m search resume NAME --trials=3, or give --network",
        "pytest bench/ --precision=int8 quantises it",
        "make it run",
    ):
        assert [one for message in messages(repr(text), "harness/errors.py") for one in wrong(message)] == []


def test_commands_are_found() -> None:
    found = [message.text for path in SOURCES for message in messages(path.read_text(), str(path.relative_to(ROOT)))]
    assert sum(len(COMMAND.findall(text)) for text in found) > 80
    assert sum(len(OPTION.findall(text)) for text in found) > 250


def test_commands_are_told_as_the_working_directory_takes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Installed from a wheel there is no ``bench/``; suites run by their names."""
    error = UsageError("nothing is there; run: pytest bench/test_width_staircase.py --device=cpu, or pytest bench/ --help")
    monkeypatch.chdir(ROOT)
    assert "pytest bench/test_width_staircase.py --device=cpu" in str(error)
    monkeypatch.chdir(tmp_path)
    assert str(error) == (
        "nothing is there; run: python -m harness.runner width_staircase --device=cpu, or python -m harness.runner --help"
    )
    assert pickle.loads(pickle.dumps(error)).args == error.args
    several = UsageError("nothing is there; run: pytest bench/test_network_latency.py bench/test_layer_latency.py --device=cpu")
    assert str(several).endswith("run: python -m harness.runner network_latency layer_latency --device=cpu")


def test_options_are_told_as_arguments_where_a_test_gives_arguments() -> None:
    told = entry.as_arguments("it is fixed at a batch of 4 (x); give --batch-size=4, or --input-shape=3x224x224 and --device=cpu")
    assert told == "it is fixed at a batch of 4 (x); give batch_size=4, or input_shape=(3, 224, 224) and --device=cpu"
