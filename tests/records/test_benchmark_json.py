"""Files of measurements: what is written is read back, and every broken file ends with a named error."""

import gc
import json
import os
import tracemalloc
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.records import benchmark_json
from harness.records.benchmark_json import KEY, PACKED, SCHEMA


def as_text(file):
    return json.dumps(benchmark_json.document(file))


@given(data=st.data())
def test_every_record_survives_the_file(files, data):
    file = data.draw(files)
    assert benchmark_json.parse(json.loads(as_text(file)), "file") == file


@given(data=st.data())
def test_a_file_of_pytest_benchmark_may_hold_more_than_ours(files, data):
    file = data.draw(files)
    document = json.loads(as_text(file))
    document["machine_info"] = {"node": "x"}
    document["benchmarks"].append({"name": "somebody else's", "stats": {"data": [1.0]}, "extra_info": {}})
    document["benchmarks"].append({"name": "without extra_info"})
    assert benchmark_json.parse(document, "file") == file


def test_a_file_cut_anywhere_is_refused(file, tmp_path):
    text = as_text(file)
    path = tmp_path / "cut.json"
    for length in range(0, len(text), 37):
        path.write_text(text[:length])
        with pytest.raises(RecordError, match=r"cut\.json is not whole JSON .*; measure again or delete it"):
            benchmark_json.read(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(RecordError, match=r"cannot read .*; check the path"):
            benchmark_json.read(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"null", b"[]", b"3", b'{"benchmarks": []}', b'{"espalier": 3}'])
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "foreign.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"foreign\.json"):
        benchmark_json.read(path)


@pytest.mark.parametrize("extra", [True, 3, "text", [], None])
def test_benchmarks_of_others_are_passed_over_whatever_they_carry(extra):
    document = {"benchmarks": [{"name": "theirs", "extra_info": extra}], KEY: {"schema": SCHEMA, "architectures": []}}
    assert benchmark_json.parse(document, "theirs.json").measurements == ()


@dataclass(frozen=True)
class Broken:
    """One way to break a whole file: the place, what is put there (or DELETE), and words of the refusal."""

    id: str
    path: tuple
    content: object
    told: str


DELETE = object()
RECORD = ("benchmarks", 0, "extra_info", KEY)
CONDITIONS = (*RECORD, "conditions")

CORPUS = [
    Broken("newer schema", (KEY, "schema"), PACKED + 1, "update Espalier"),
    Broken("no schema", (KEY, "schema"), DELETE, "no schema number"),
    Broken("schema in words", (KEY, "schema"), "1", "no schema number"),
    Broken("schema zero", (KEY, "schema"), 0, "no schema number"),
    Broken("schema true", (KEY, "schema"), True, "no schema number"),
    Broken("no architectures", (KEY, "architectures"), DELETE, "lacks its architectures"),
    Broken("architectures an object", (KEY, "architectures"), {}, "architectures is no list"),
    Broken("benchmarks missing", ("benchmarks",), DELETE, "benchmarks is no list"),
    Broken("no samples", ("benchmarks", 0, "stats", "data"), DELETE, "--benchmark-save-data"),
    Broken("no statistics", ("benchmarks", 0, "stats"), DELETE, "lacks its samples"),
    Broken("samples empty", ("benchmarks", 0, "stats", "data"), [], "no samples"),
    Broken("samples a text", ("benchmarks", 0, "stats", "data"), "0.1", "not a list"),
    Broken("sample in words", ("benchmarks", 0, "stats", "data"), [1e-3, "fast", 1e-3, 1e-3], r"samples_s\[1\] is 'fast'"),
    Broken("sample nothing", ("benchmarks", 0, "stats", "data"), [1e-3, None, 1e-3, 1e-3], r"samples_s\[1\] is None"),
    Broken("sample negative", ("benchmarks", 0, "stats", "data"), [1e-3, -1e-3, 1e-3, 1e-3], "is -0.001 s.*clock cannot be trusted"),
    Broken("sample zero", ("benchmarks", 0, "stats", "data"), [1e-3, 0.0, 1e-3, 1e-3], "sample 1 is 0.0 s"),
    Broken("sample lost", ("benchmarks", 0, "stats", "data"), [1e-3, 1e-3, 1e-3], "do not add up to 3 samples"),
    Broken("blocks lost", (*RECORD, "latency", "block_sizes"), [2], "do not add up"),
    Broken("block of none", (*RECORD, "latency", "block_sizes"), [4, 0], "do not add up"),
    Broken("preempted outside", (*RECORD, "latency", "preempted"), [4], "lies outside"),
    Broken("processor times lost", (*RECORD, "latency", "cpu_samples_s"), [1e-3], "1 processor times for 4 samples"),
    Broken("latency gone", (*RECORD, "latency"), DELETE, "lacks its latency"),
    Broken("record a list", RECORD, [], "lacks its latency"),
    Broken("field missing", (*RECORD, "artefact_digest"), DELETE, "lacks artefact_digest"),
    Broken("field unknown", (*RECORD, "mood"), "good", "holds mood, which no Measurement has"),
    Broken("threads in words", (*CONDITIONS, "threads"), "two", "threads is 'two', not a whole number"),
    Broken("threads a fraction", (*CONDITIONS, "threads"), 1.5, "not a whole number"),
    Broken("threads a truth", (*CONDITIONS, "threads"), True, "not a whole number"),
    Broken("device nothing", (*CONDITIONS, "device"), None, "device is None, not a DeviceInfo"),
    Broken("simulated in words", (*CONDITIONS, "device", "simulated"), "no", "not true or false"),
    Broken("name a number", (*CONDITIONS, "device", "name"), 3, "name is 3, not a text"),
    Broken("clocks broken", (*CONDITIONS, "before", "clocks_mhz"), [["cpu0"]], "not a list of 2"),
    Broken("clocks in words", (*CONDITIONS, "before", "clocks_mhz"), [["cpu0", "fast"]], r"clocks_mhz\[0\]\[1\] is 'fast'"),
    Broken("clock ran backwards", (*CONDITIONS, "after", "taken_at"), "2026-11-23T17:59:59+00:00", "ended .* before it began .* clock"),
    Broken("passed off as measured", (*CONDITIONS, "device", "simulated"), True, "calls itself 'measured' but was SIMULATED"),
    Broken("provenance gone", (*RECORD, "provenance"), DELETE, "calls itself None"),
    Broken("config a list", (*RECORD, "config"), [["a", 8]], "config is .*, not an object"),
    Broken("config a fraction", (*RECORD, "config"), {"a": 7.5, "b": 4}, "not a whole number"),
    Broken("config below zero", (*RECORD, "config"), {"a": -1, "b": 4}, "group a keeps -1"),
    Broken("config of another network", (*RECORD, "config"), {"a": 8}, "disagree about group b"),
    Broken("config too wide", (*RECORD, "config"), {"a": 9, "b": 4}, "disagree about group a"),
    Broken("measured layer vanished", (*RECORD, "layers", 0, "source_layers"), ["a", "z"], "layer z of node /a/Conv vanished from tiny"),
    Broken("layer time in words", (*RECORD, "layers", 0, "runs_s"), ["1"], r"runs_s\[0\] is '1'"),
    Broken("layer without times", (*RECORD, "layers", 0, "runs_s"), [], r"node /a/Conv took \[\] s"),
    Broken("layer ran backwards", (*RECORD, "layers", 0, "runs_s"), [-1e-6], "clock cannot be trusted"),
    Broken("loaded before it began", (*RECORD, "load_s"), -0.5, "loading of tiny took -0.5 s"),
    Broken("group member vanished", (KEY, "architectures", 0, "layers", 2, "name"), "renamed", "layer c of group a vanished"),
    Broken("group vanished", (KEY, "architectures", 0, "layers", 1, "in_groups"), ["z"], "group z of layer b vanished"),
    Broken("layer twice", (KEY, "architectures", 0, "layers", 1, "name"), "a", "names a layer or group twice"),
    Broken("kernel of one side", (KEY, "architectures", 0, "layers", 0, "kernel_size"), [3], "not a list of 2"),
    Broken("accuracy impossible", (KEY, "sensitivities"), [{"accuracy": {"correct": 2, "total": 1}}], "lacks .*channels"),
]  # fmt: skip


def broken(file, case):
    document = json.loads(as_text(file))
    *way, last = case.path
    place = document
    for step in way:
        place = place[step]
    if case.content is DELETE:
        del place[last]
    else:
        place[last] = case.content
    return document


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.id)
def test_a_broken_file_is_refused_in_one_line_that_names_it(file, case):
    with pytest.raises(RecordError, match=case.told) as refused:
        benchmark_json.parse(broken(file, case), "b.json")
    told = str(refused.value)
    assert told.startswith("b.json")
    assert "\n" not in told
    assert ";" in told  # what to do


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(file, word, tmp_path):
    path = tmp_path / "nan.json"
    path.write_text(as_text(file).replace("0.0009", word, 1))
    with pytest.raises(RecordError, match=rf"{word} is no number"):
        benchmark_json.read(path)


@given(data=st.data())
def test_no_damage_ends_in_anything_but_a_record_error(file, data):
    """Any one value anywhere replaced by anything: it is read or refused, never a traceback."""
    document = json.loads(as_text(file))
    place, key = document, None
    while isinstance(place, dict | list) and place and (key is None or data.draw(st.integers(0, 5))):
        parent = place
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place = place[key]
    parent[key] = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({}) | st.just([[]])
    )
    told = "damaged"
    try:
        benchmark_json.parse(document, "damaged")
    except RecordError as refused:
        told = str(refused)
    assert told.startswith("damaged")


def test_writing_is_whole_or_not_at_all(file, tmp_path, monkeypatch):
    path = tmp_path / "stored.json"
    benchmark_json.write(path, file)
    assert benchmark_json.read(path) == file
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        benchmark_json.write(path, replace(file, architectures=()))
    assert path.read_bytes() == before


def test_two_files_with_the_same_measurement_are_refused(file, tmp_path):
    ours, copy = tmp_path / "ours.json", tmp_path / "copy.json"
    for path in (ours, copy):
        benchmark_json.write(path, file)
    with pytest.raises(RecordError, match=r"copy\.json and .*ours\.json hold the same measurement of tiny; remove one"):
        benchmark_json.read_all([ours, copy])
    assert benchmark_json.read_all([ours]) == file


def test_files_of_different_runs_are_read_as_one(file, tmp_path):
    (measurement,) = file.measurements
    conditions = measurement.conditions
    later = replace(conditions, before=replace(conditions.before, taken_at="2026-11-23T18:00:03+00:00"))
    second = replace(file, measurements=(replace(measurement, conditions=later),))
    paths = [tmp_path / "first.json", tmp_path / "second.json"]
    for path, one in zip(paths, (file, second), strict=True):
        benchmark_json.write(path, one)
    both = benchmark_json.read_all(paths)
    assert both.measurements == (measurement, *second.measurements)
    assert both.architectures == file.architectures


def test_an_architecture_is_found_by_digest_or_named_as_missing(file, architecture):
    assert file.architecture(architecture.digest) == architecture
    with pytest.raises(RecordError, match="no architecture 0123; measure the network again"):
        file.architecture("0123")


def test_ten_thousand_rows_are_read(file):
    (measurement,) = file.measurements
    entry = json.loads(as_text(file))["benchmarks"][0]
    document = {**json.loads(as_text(file)), "benchmarks": [entry] * 10_000}
    found = benchmark_json.parse(document, "many")
    assert len(found.measurements) == 10_000
    assert found.measurements[-1] == measurement


def rows(file, count):
    entry = json.loads(as_text(file))["benchmarks"][0]
    return json.dumps({**json.loads(as_text(file)), "benchmarks": [entry] * count})


def test_reading_takes_memory_in_proportion_to_the_rows(file, tmp_path):
    peaks = []
    for count in (300, 1200):
        path = tmp_path / f"{count}.json"
        path.write_text(rows(file, count))
        tracemalloc.start()
        assert len(benchmark_json.read_all([path]).measurements) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert 3.0 < peaks[1] / peaks[0] < 4.5


def test_rows_that_share_their_conditions_share_one_record(file):
    first, second = benchmark_json.parse(json.loads(rows(file, 2)), "two").measurements
    assert first.conditions is second.conditions


@pytest.mark.parametrize("content", ["{", "null"], ids=["cut", "foreign"])
def test_the_interpreter_is_left_as_it_was_whether_a_file_is_read_or_refused(file, tmp_path, content):
    path = tmp_path / "whole.json"
    benchmark_json.write(path, file)
    benchmark_json.read(path)
    assert gc.isenabled()
    path.write_text(content)
    with pytest.raises(RecordError):
        benchmark_json.read(path)
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(RecordError):
            benchmark_json.read(path)
        assert not gc.isenabled()
    finally:
        gc.enable()
