"""Packed measurements are the measurements: the same records, reports and tables of pytest-benchmark, small; and back."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import packing
from harness.errors import RecordError
from harness.files import locks
from harness.files.packed_numbers import beside
from harness.records import benchmark_json
from search import verbs
from search.report import report, summary

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "tests" / "attacks" / "corpus" / "campaign"
PUBLISHED = ROOT / "reports" / "campaigns" / "resnet20-fashion-mnist-cpu" / "proof.json"


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """A small one, not packed."""
    return Path(shutil.copytree(SMALL, tmp_path / "reports" / "campaigns" / "small"))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A file of pytest-benchmark's own as it is in the repository: packed."""
    for path in (PUBLISHED, beside(PUBLISHED)):
        shutil.copy2(path, tmp_path / path.name)
    return tmp_path / PUBLISHED.name


def contents(*paths: Path) -> list[bytes | None]:
    return [path.read_bytes() if path.is_file() else None for path in paths]


def test_packing_and_unpacking_undo_each_other_and_twice_is_once(published: Path) -> None:
    both, records = (published, beside(published)), repr(benchmark_json.read(published))
    assert packing.unpack(published).is_one
    whole = contents(*both)
    assert whole[1] is None
    assert repr(benchmark_json.read(published)) == records, "bit for bit, not merely equal"
    assert not packing.unpack(published).is_one
    assert contents(*both) == whole
    change = packing.pack(published)
    packed = contents(*both)
    assert published.read_bytes() == PUBLISHED.read_bytes()
    assert gzip.decompress(beside(published).read_bytes()) == gzip.decompress(beside(PUBLISHED).read_bytes()), "zlib's releases differ"
    assert not packing.pack(published).is_one
    assert contents(*both) == packed
    assert change.after_bytes < change.before_bytes / 3
    assert packing.unpack(published).is_one
    assert contents(*both) == whole


def test_a_program_that_knows_no_packed_files_is_told_to_be_updated_and_reads_unpacked_ones(campaign: Path) -> None:
    path = campaign / "proof.json"
    assert schema(path) == benchmark_json.SCHEMA
    packing.pack(path)
    assert schema(path) == benchmark_json.PACKED > benchmark_json.SCHEMA
    packing.unpack(path)
    assert schema(path) == benchmark_json.SCHEMA


def schema(path: Path) -> int:
    return int(json.loads(path.read_bytes())[benchmark_json.KEY]["schema"])


def test_pytest_benchmark_tells_the_same_of_both(published: Path) -> None:
    compare = [Path(sys.executable).with_name("pytest-benchmark"), "compare", str(published)]
    packed = subprocess.run(compare, capture_output=True, text=True, check=True, cwd=published.parent).stdout
    packing.unpack(published)
    assert subprocess.run(compare, capture_output=True, text=True, check=True, cwd=published.parent).stdout == packed
    assert "test_contender[dense-cpu-resnet20]" in packed


def test_a_packed_campaigns_report_is_the_same_byte_for_byte(campaign: Path) -> None:
    before = contents(*report.write(summary.load(campaign)))
    assert packing.main([str(campaign)]) == 0
    assert beside(campaign / "proof.json").is_file()
    assert contents(*report.write(summary.load(campaign))) == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def of_another_campaign(path: Path) -> None:
    shutil.copy2(beside(PUBLISHED), path)


@pytest.mark.parametrize("damage", [Path.unlink, cut, of_another_campaign], ids=["missing", "cut", "other"])
def test_a_packed_campaign_without_its_samples_is_refused_in_one_line(
    campaign: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    packing.main([str(campaign)])
    samples = beside(campaign / "proof.json")
    damage(samples)
    before = contents(campaign / "proof.json", samples)
    for ask in (
        lambda: verbs.main(["show", "small", f"--reports={campaign.parents[1]}"]),
        lambda: packing.main(["--unpack", str(campaign)]),
        lambda: packing.main([str(campaign / "proof.json")]),
    ):
        capsys.readouterr()
        assert ask() == 2
        (told,) = capsys.readouterr().err.splitlines()
        assert str(samples.name) in told
        assert contents(campaign / "proof.json", samples) == before


def test_the_newest_measurements_stay_the_newest(campaign: Path) -> None:
    path = campaign / "proof.json"
    os.utime(path, (1e9, 1e9))
    packing.pack(path)
    packing.unpack(path)
    assert path.stat().st_mtime == 1e9


def test_a_campaign_that_is_worked_on_is_left_alone(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock, before = locks.take(campaign / "journal.lock"), contents(campaign / "proof.json")
    assert lock is not None
    try:
        for path in (campaign.parent, campaign, campaign / "proof.json"):
            assert packing.main([str(path)]) == 2
            assert f"another process is working in {campaign}; wait for it" in capsys.readouterr().err
    finally:
        lock.release()
    assert contents(campaign / "proof.json", beside(campaign / "proof.json")) == [*before, None]
    assert packing.main([str(campaign)]) == 0


def test_a_full_disk_leaves_the_file_as_it_was(campaign: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = campaign / "proof.json"
    before = contents(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert packing.main([str(path)]) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert contents(path, beside(path)) == [*before, None]


def test_a_folder_without_measurements_and_what_is_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "request.json").write_text('{"espalier": 1}')
    (tmp_path / "cut.json").write_text("{")
    for path, told in (("cut.json", "not whole JSON"), ("request.json", "not written by"), ("none.json", "cannot read"), (".", "JSON")):
        assert packing.main([str(tmp_path / path)]) == 2
        assert told in capsys.readouterr().err
    (tmp_path / "cut.json").unlink()
    assert packing.main([str(tmp_path)]) == 2
    assert "holds no benchmark file; give" in capsys.readouterr().err


def test_what_no_json_can_hold_is_refused_before_anything_is_written(campaign: Path) -> None:
    path = campaign / "proof.json"
    path.write_text(path.read_text().replace('"benchmarks"', '"others": 1e999, "benchmarks"', 1))
    with pytest.raises(RecordError, match="not finite"):
        packing.pack(path)
    assert not beside(path).exists()
