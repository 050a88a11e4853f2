"""JSON of any origin is read whole or refused, and a field's line is found again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.files import json_text, reading, toml_text

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(documents)
def test_what_json_writes_is_read(document: Any) -> None:
    assert json_text.parse(json.dumps(document)) == document


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_anything_else_is_read_or_a_value_error(content: bytes | str) -> None:
    try:
        json_text.parse(content)
    except ValueError:
        return


@pytest.mark.parametrize("depth", [json_text.MOST_DEPTH + 1, 500, 5000, 200_000])
@pytest.mark.parametrize("opened", ["[", '{"a":'])
def test_what_is_nested_too_deeply_is_refused(depth: int, opened: str) -> None:
    closed = "]" if opened == "[" else "}"
    with pytest.raises(ValueError, match="nested more than"):
        json_text.parse(f"{opened * depth}1{closed * depth}")
    whole = f"{opened * (json_text.MOST_DEPTH - 1)}1{closed * (json_text.MOST_DEPTH - 1)}"
    assert json_text.parse(whole)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no number"):
        json_text.parse(text)


@given(documents, st.data())
def test_a_field_is_found_on_its_line(document: Any, data: st.DataObject) -> None:
    way: list[Any] = []
    part = document
    while isinstance(part, dict | list) and part and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        way.append(key)
        part = part[key]
    text = json.dumps(document, indent=1)
    line = text.split("\n")[json_text.line_of(text, way) - 1].strip()
    if way and isinstance(way[-1], str):
        assert line.startswith(json.dumps(way[-1]))
    else:
        assert line.startswith(json.dumps(part)[:1])


def test_only_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert reading.read(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than"):
        reading.read(path, 4)
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    for name, why in (("pipe", "a pipe"), (".", "a folder"), ("none", "No such file"), ("a\0b", "called so")):
        with pytest.raises(OSError, match=why):
            reading.read(tmp_path / name)
    assert not before or len(os.listdir("/proc/self/fd")) == before, "nothing stays open"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = [", "not valid TOML"),
        ("tool = 3", "tool is no table"),
        ("[tool]\nespalier = []", "tool.espalier is no table"),
        (f"a = {'[' * 5000}", "TOML|deeply"),
    ],
)
def test_a_table_that_is_none_is_refused_by_its_name(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        toml_text.table(path, "tool", "espalier")
