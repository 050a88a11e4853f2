"""A device's lock touches nobody's file, whatever lies where it might have been, and one user at a time gets it, whoever they are.

``pytest tests/devices/agent/test_device_lock.py -k attacks -s`` prints what was put in its way and what came of it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from harness.devices.bundle import AGENT_DIRECTORY

WHO = {"pid": os.getpid(), "user": "ada", "host": "lab", "command": "pytest bench/"}
PRECIOUS = b"years of work\n"
ELSEWHERE = 65_534  # the user nobody's number


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The agent's module, with a runtime folder and a temporary folder of its own."""
    for name in ("run", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("device_lock")
    for name in ("device_lock", "private_folder", "faults"):
        sys.modules.pop(name)


@pytest.fixture
def resource() -> str:
    return f"test-{uuid.uuid4()}"


def place(lock: ModuleType, resource: str, tmp_path: Path) -> Path:
    """Where the holder's note lies."""
    held, _ = lock.take(resource, WHO)
    assert held is not None
    close(held)
    (found,) = (tmp_path / "run" / "espalier").iterdir()
    found.unlink()
    return found


def close(held: tuple[object, int | None]) -> None:
    name, descriptor = held
    if hasattr(name, "close"):
        name.close()
    if descriptor is not None:
        os.close(descriptor)


ATTACKS = (
    "symbolic link",
    "hard link",
    "dangling link",
    "pipe",
    "folder",
    "folder's link",
    "another's folder",
    "open folder",
    "note of garbage",
)


def plant(attack: str, victim: Path, note: Path) -> None:
    """Put something in the lock's way, as another program of this user might, or another user before the folder was made."""
    folder = note.parent
    if attack == "symbolic link":
        note.symlink_to(victim)
    elif attack == "hard link":
        os.link(victim, note)
    elif attack == "dangling link":
        note.symlink_to(victim.with_name("not there yet"))
    elif attack == "pipe":
        os.mkfifo(note)
    elif attack == "folder":
        note.mkdir()
    elif attack == "note of garbage":
        note.write_bytes(b"\xff{" + b"[" * 5000)
    else:
        folder.rmdir()
        if attack == "folder's link":
            folder.symlink_to(victim.parent)
        else:
            folder.mkdir(mode=0o777)
            folder.chmod(0o777)
            if attack == "another's folder":
                folder.chmod(0o755)
                os.chown(folder, ELSEWHERE, ELSEWHERE)


@pytest.mark.parametrize("by_name", [True, False], ids=["by-name", "by-file"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_leave_every_file_intact(
    attack: str, by_name: bool, lock: ModuleType, resource: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if attack == "another's folder" and os.geteuid():
        pytest.skip("only root can make another user's folder")
    if not by_name:
        monkeypatch.setattr(lock, "_taken", lambda digest: False)  # as on a system without such names
    home = tmp_path / "home"
    home.mkdir()
    victim, note = home / "thesis", place(lock, resource, tmp_path)
    victim.write_bytes(PRECIOUS)
    plant(attack, victim, note)
    try:
        held, _ = lock.take(resource, WHO)
        told = "taken"
    except lock.faults.Unusable as refused:
        held, told = None, f"refused: {' '.join(str(refused).split()[-9:])}"
        assert not by_name, "a note is in the way, the name is not"
    print(f"\n{attack:18} {'by name' if by_name else 'by file':8} {told}; victim intact: {victim.read_bytes() == PRECIOUS}", end="")
    assert victim.read_bytes() == PRECIOUS
    assert sorted(home.iterdir()) == [victim], "nothing appears beside it"
    if held is not None:
        assert lock.take(resource, WHO)[0] is None, "it is a lock all the same"
        close(held)


@pytest.mark.parametrize("resource", ["", "a" * 300, "/", "../../etc/passwd", "a\nb", "\0", "cpu 0"], ids=repr)
def test_any_resource_has_a_lock_of_its_own(lock: ModuleType, resource: str, tmp_path: Path) -> None:
    held, _ = lock.take(f"{resource}-{tmp_path}", WHO)
    other, _ = lock.take(f"{resource}_-{tmp_path}", WHO)
    assert held is not None
    assert other is not None
    assert all(path.parent == tmp_path / "run" / "espalier" and len(path.name) < 128 for path in (tmp_path / "run").rglob("*.lock"))
    close(held)
    close(other)


def test_another_user_is_kept_out_and_told_who_holds(lock: ModuleType, resource: str, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can act as another user")
    held, _ = lock.take(resource, WHO)
    modules = "errno, fcntl, hashlib, json, os, platform, pwd, re, socket, stat, struct, sys, tempfile, time, types"
    ask = f"import {modules}; os.setgid({ELSEWHERE}); os.setuid({ELSEWHERE})\n"  # who may not be able to read our files
    sources = {name: (AGENT_DIRECTORY / f"{name}.py").read_text() for name in ("faults", "private_folder", "device_lock")}
    inlined = "import sys, types\n" + "".join(
        f"module = types.ModuleType({name!r}); sys.modules[{name!r}] = module; exec({text!r}, module.__dict__)\n"
        for name, text in sources.items()
    )
    words = [sys.executable, "-c", f"{ask}{inlined}print(*module.take(sys.argv[1], {{}}))", resource]
    told = subprocess.run(words, capture_output=True, text=True, check=True, env={"XDG_RUNTIME_DIR": "", "PATH": os.environ["PATH"]}).stdout
    assert told.startswith("None {")
    assert str(os.getpid()) in told
    close(held)
    after = subprocess.run(words, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}).stdout
    assert not after.startswith("None"), "free again"


def test_the_private_folder_is_where_platformdirs_says(lock: ModuleType, tmp_path: Path) -> None:
    platformdirs = pytest.importorskip("platformdirs")
    assert lock.private_folder.runtime() == platformdirs.user_runtime_dir("espalier")
