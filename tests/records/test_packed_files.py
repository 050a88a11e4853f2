"""Any record whatsoever survives packing bit for bit, and is read by path or by its bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import packing
from harness.files import packed_numbers
from harness.records import benchmark_json


@pytest.fixture(scope="module", autouse=True)
def short_lists_too() -> Iterator[None]:
    """Drawn measurements have few samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_numbers, "LEAST", 2)
        yield


@given(data=st.data())
def test_every_record_survives_packing_and_unpacking(files, data):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "stored.json"
        benchmark_json.write(path, data.draw(files))
        told = repr(benchmark_json.read(path))  # two that are equal may differ in a sign of zero
        packed = packing.pack(path).is_one
        assert packed == packed_numbers.beside(path).is_file()
        assert repr(benchmark_json.read(path)) == told
        assert repr(benchmark_json.parse_with_commit(path.read_bytes(), path)[1]) == told
        assert packing.unpack(path).is_one == packed
        assert repr(benchmark_json.read(path)) == told
