"""A device is a table; what is wrong with a table is said with its file, name and key."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.devices import spec
from harness.errors import UnknownName, UsageError

TABLE = "[tool.espalier.devices.{name}]\n"


def test_the_two_ways_to_one_gpu_exclude_each_other() -> None:
    ways = [spec.parse(name, {"runtime": name, "host": "orin"}, Path("pyproject.toml")) for name in ("trtexec", "tensorrt")]
    assert ways[0].identity == ways[1].identity


def test_a_list_of_words_is_an_option_in_one_text() -> None:
    table = {"runtime": "trtexec", "options": {"flags": ["--sparsity=enable", "--a b"]}}
    assert dict(spec.parse("orin", table, Path("pyproject.toml")).options) == {"flags": "--sparsity=enable '--a b'"}


def write(directory: Path, text: str) -> Path:
    path = directory / "pyproject.toml"
    path.write_text(text)
    return path


def test_the_embedded_device_is_the_processor_by_openvino() -> None:
    cpu = spec.find("cpu")
    assert (cpu.runtime, cpu.host, cpu.python) == ("openvino", None, sys.executable)
    assert dict(cpu.options) == {"device": "CPU", "threads": 1, "nice": -15}


def test_the_working_directory_adds_devices_and_overrides_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        TABLE.format(name="bench-board")
        + "runtime = 'simulated'\n"
        + TABLE.format(name="cpu")
        + "runtime = 'openvino'\noptions = { threads = 2 }\n"
    )
    write(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    assert spec.find("bench-board").runtime == "simulated"
    assert dict(spec.find("cpu").options) == {"threads": 2}
    assert spec.find("simulated").runtime == "simulated"


def test_an_unknown_device_is_named_with_those_that_exist(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE.format(name="board") + "runtime = 'simulated'\n")
    with pytest.raises(UnknownName, match=r"did you mean 'board'\?.*\[tool.espalier.devices.NAME\]"):
        spec.find("bord", path)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("runtim = 'simulated'", "unknown key 'runtim'"),
        ("python = 'python3'", "names no runtime"),
        ("runtime = 3", "is no text"),
        ("runtime = 'simulated'\nhost = '-oProxyCommand=date'", "is no name of a host"),
        ("runtime = 'simulated'\nhost = 'board; rm -r /'", "is no name of a host"),
        ("runtime = 'simulated'\noptions = { a = [1] }", "options are names"),
        ("runtime = 'simulated'\nlock_wait_s = -1", "no number of seconds"),
        ("runtime = 'simulated'\nlock_wait_s = true", "no number of seconds"),
    ],
    ids=["unknown-key", "no-runtime", "number-for-text", "host-is-option", "host-is-shell", "list-option", "negative", "truth"],
)
def test_a_wrong_table_is_refused_by_file_name_and_key(tmp_path: Path, lines: str, told: str) -> None:
    path = write(tmp_path, TABLE.format(name="board") + lines + "\n")
    with pytest.raises(UsageError, match=told) as refused:
        spec.find("board", path)
    assert str(path) in str(refused.value)
    assert "board" in str(refused.value)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        spec.find("cpu", write(tmp_path, "[tool"))


def test_an_interpreter_with_a_slash_is_relative_to_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE.format(name="stick") + "runtime = 'simulated'\npython = '.cache/ncs2/bin/python'\n")
    assert spec.find("stick", path).python == str(tmp_path / ".cache/ncs2/bin/python")


def test_behind_ssh_the_interpreter_is_the_boards_own(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE.format(name="jetson") + "runtime = 'simulated'\nhost = 'jetson-01'\n")
    assert spec.find("jetson", path).python == "python3"
