"""Long lists of a document lie compressed beside it and come back bit for bit; whatever else lies there is refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.files import packed_numbers
from harness.files.packed_numbers import KEY, LEAST, LINE

finite = st.floats(allow_nan=False, allow_infinity=False)
clocked = st.integers(1, 10**10).map(lambda count: count * 1e-9)  # as a device tells its nanoseconds in seconds
lists = st.one_of(
    *(st.lists(one, min_size=LEAST - 2, max_size=LEAST + 4) for one in (clocked, finite, finite | clocked, finite | st.integers()))
)
documents = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.none() | st.text(max_size=3) | finite | lists,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
        max_leaves=6,
    ),
)
TWO = {"samples": [count * 1e-9 for count in range(100, 130)], "more": [1.5e-9] * LEAST}


def there(place: Path, document: dict[str, Any]) -> tuple[Path, Any]:
    """A packed document laid into a folder."""
    short, content = packed_numbers.packed(document, "it")
    path = place / "it.json"
    path.write_bytes(packed_numbers.laid_out(short))
    if content:
        packed_numbers.beside(path).write_bytes(content)
    return path, json.loads(path.read_bytes())


@given(documents)
@example({"a": [-0.0] * LEAST})
@example({"a": [5e-324, 1e308, *[1e-9] * LEAST]})
@example({"a": [1e308] * LEAST})
def test_every_bit_and_the_order_of_keys_come_back(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path, read = there(Path(place), document)
        assert json.dumps(packed_numbers.restored(read, path)) == json.dumps(document)
        assert packed_numbers.is_packed(read) == packed_numbers.beside(path).is_file()


@given(documents)
def test_a_layout_changes_nothing_but_the_lines(document: dict[str, Any]) -> None:
    assert json.dumps(json.loads(packed_numbers.laid_out(document))) == json.dumps(document)


def test_a_record_is_a_line_and_a_line_is_a_list_for_anybody(tmp_path: Path) -> None:
    entries = [{"name": "one", "data": TWO["samples"]}, {"name": "two", "data": TWO["more"]}]
    path, read = there(tmp_path, {"benchmarks": entries, "ours": {"learnt": entries[:1]}})
    assert sum(line.startswith('{"name"') for line in path.read_text().splitlines()) == 3
    number = read["benchmarks"][0]["data"][LINE]
    shown = subprocess.run(["zcat", str(packed_numbers.beside(path))], capture_output=True, text=True, check=True).stdout.splitlines()
    assert json.loads(shown[number - 1]) == {"ns": list(range(100, 130))}
    told = {LINE: number, "count": 30, "min": 100e-9, "median": 114.5e-9, "max": 129e-9}
    assert read["benchmarks"][0]["data"] == pytest.approx(told, rel=1e-12)


@given(data=st.data())
def test_a_damaged_file_is_refused_or_was_not_damaged(data: st.DataObject) -> None:
    """Cut anywhere, or any one byte changed, of which some mean nothing (gzip's time stamp)."""
    with tempfile.TemporaryDirectory() as place:
        path, read = there(Path(place), TWO)
        file = packed_numbers.beside(path)
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content = content[:at]
        else:
            content[at] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        assert refused_or_equal(read, path, TWO)


@given(data=st.data())
def test_a_document_that_asks_for_other_lists_is_refused(data: st.DataObject) -> None:
    """Any part of what stands for a list, or of what is told of the file, is another: the document's own author may have written both."""
    with tempfile.TemporaryDirectory() as place:
        path, read = there(Path(place), TWO)
        part = read[data.draw(st.sampled_from(sorted(read)))]
        name = data.draw(st.sampled_from(sorted(part)))
        other = data.draw(st.none() | st.booleans() | st.integers() | finite | st.text(max_size=3) | st.just([]) | st.just({}))
        if part[name] != other:
            part[name] = other
            assert not isinstance(refused_or_equal(read, path, {}), bool)


hostile_lines = st.sampled_from(
    [
        "",
        "null",
        "[",
        "{}",
        '{"ns": []}',
        '{"ns": {}}',
        '{"ns": [0]}',
        '{"ns": [true]}',
        '{"ns": [1.5]}',
        f'{{"ns": [{2**70}]}}',
        '{"ns": [1], "s": 1}',
        "[1]",
        "[NaN]",
        "[1e999]",
        '["a"]',
        "[[1.0]]",
        "[]",
        "[" * 5000,
        "\x00",
    ]
)


@given(st.lists(hostile_lines, min_size=1, max_size=3))
def test_lines_that_are_no_lists_are_refused_also_where_the_digest_is_right(lines: list[str]) -> None:
    text = ("\n".join(lines) + "\n").encode()
    told = {"sha256": hashlib.sha256(text).hexdigest(), "lines": len(text.splitlines())}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "it.json"
        packed_numbers.beside(path).write_bytes(gzip.compress(text))
        with pytest.raises(RecordError, match=r"line 1 of it\.samples\.gz is no list of numbers; copy both"):
            packed_numbers.restored({KEY: told, "a": {LINE: 1, "count": 1, "min": 1.0, "median": 1.0, "max": 1.0}}, path)


def test_a_list_is_given_once(tmp_path: Path) -> None:
    """Else a short document would ask for a long list a thousand times."""
    path, read = there(tmp_path, {"a": TWO["samples"]})
    with pytest.raises(RecordError, match="asked for twice"):
        packed_numbers.restored({**read, "b": read["a"]}, path)


def test_a_record_that_is_taken_out_leaves_the_others(tmp_path: Path) -> None:
    path, read = there(tmp_path, TWO)
    del read["samples"]
    assert packed_numbers.restored(read, path) == {"more": TWO["more"]}


def test_what_is_half_packed_is_not_packed_again() -> None:
    with pytest.raises(RecordError, match="it: packed_line stands in it"):
        packed_numbers.packed({"a": {LINE: 1}, "b": TWO["samples"]}, "it")


def test_a_copy_takes_its_lists_along_under_its_own_name(tmp_path: Path) -> None:
    path, read = there(tmp_path, TWO)
    target = tmp_path / "copied" / "other.json"
    target.parent.mkdir()
    packed_numbers.copy(path, target)
    assert packed_numbers.restored(json.loads(target.read_bytes()), target) == packed_numbers.restored(read, path) == TWO


def refused_or_equal(read: Any, path: Path, document: dict[str, Any]) -> bool | str:
    """Whether the document came back; the refusal, of one line that says what to do, where it did not."""
    told = ""
    try:
        return packed_numbers.restored(read, path) == document
    except RecordError as refused:
        told = str(refused)
    assert told.startswith(f"{path}: ")
    assert len(told.splitlines()) == 1
    assert told.endswith(("copy both files again from where they were packed", "from where it was packed"))
    return told
