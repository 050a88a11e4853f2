"""Locks open nobody's file, what killed processes leave is swept, and a full disk is told with path and room."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.files import disk, leftovers, locks
from harness.records import stored_files

PRECIOUS = b"years of work\n"


@pytest.mark.parametrize("attack", ["symbolic", "hard", "pipe", "folder"])
def test_a_lock_is_a_file_of_its_own(tmp_path: Path, attack: str) -> None:
    victim, lock = tmp_path / "thesis", tmp_path / "journal.lock"
    victim.write_bytes(PRECIOUS)
    if attack == "symbolic":
        lock.symlink_to(victim)
    elif attack == "hard":
        os.link(victim, lock)
    elif attack == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(OSError, match=r"symbolic links|no file of its own|Is a directory"):
        locks.take(lock)
    assert victim.read_bytes() == PRECIOUS


def test_a_lock_is_held_by_one_and_free_when_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = locks.take(path)
    assert held is not None
    assert locks.take(path) is None
    held.release()
    code = "import sys, time; from pathlib import Path; from harness.files import locks; lock = locks.take(Path(sys.argv[1]))"
    code += "; print(1, flush=True); time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, env=environment)
    assert other.stdout is not None
    other.stdout.readline()
    assert locks.take(path) is None
    other.kill()
    other.communicate()
    again = locks.take(path, wait_s=5.0)
    assert again is not None
    again.release()


def old(path: Path) -> Path:
    os.utime(path, (time.time() - 3600,) * 2, follow_symlinks=False)
    return path


def test_only_folders_of_dead_owners_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive, young = (tmp_path / f"espalier-smac-{name}" for name in ("dead", "alive", "young"))
    for path in (dead, alive, young):
        path.mkdir()
        (path / "runhistory").write_text("x")
    link = tmp_path / "espalier-smac-link"
    (tmp_path / "mine").mkdir()
    link.symlink_to(tmp_path / "mine")
    theirs = tmp_path / "espalier-smac-theirs"
    theirs.mkdir()
    if not os.geteuid():
        os.chown(theirs, 65_534, 65_534)
    held = locks.hold(old(alive))
    for path in (dead, link, theirs):
        old(path)
    mine = leftovers.HeldFolder("espalier-smac-")
    kept = {alive, young, link, mine.path} | ({theirs} if not os.geteuid() else set())
    assert set(tmp_path.glob("espalier-smac-*")) == kept
    mine.cleanup()
    assert not mine.path.exists()
    held.release()


def test_halves_of_files_are_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "tuned").mkdir()
    half, other, whole = tmp_path / "tuned" / ".weights.safetensors.ab12cd_9", tmp_path / ".bashrc", tmp_path / "report.html"
    for path in (half, other, whole):
        path.write_text("x")
        old(path)
    fresh = tmp_path / ".report.md.ab12cd_9"
    fresh.write_text("x")
    assert leftovers.sweep_files(tmp_path) == (half,)
    assert fresh.exists()
    assert other.exists()


def test_a_full_disk_is_told_with_path_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as refused:
        stored_files.replace(tmp_path / "model.onnx", b"x" * 2_000_000)
    told = disk.told(refused.value)
    assert str(tmp_path / "model.onnx") in told
    assert "the disk is full" in told
    assert "of which 1.9 MiB are needed" in told
    assert not list(tmp_path.iterdir())


def test_room_that_is_not_there_is_told_before() -> None:
    assert disk.lacks(Path("/tmp"), 1) == ""
    assert "about" in disk.lacks(Path("/tmp/not there yet"), 2**62)
