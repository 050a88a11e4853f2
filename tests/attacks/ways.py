"""Readers that need more than a file's path: what is made of a whole folder, an agent's answer, a table."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from harness.compare import applied
from harness.compare.applied import Names
from harness.compare.limits import limits
from harness.devices import frames, replies, spec
from harness.devices.frames import Decoder, Frame
from harness.devices.link import Hello
from harness.errors import UsageError
from harness.files import reading
from harness.networks import export
from harness.networks.foreign import layers
from harness.training import stored_baseline
from search.records import folder
from search.report import report, summary

ROOT = Path(__file__).parent.parent.parent


def text(path: Path) -> str:
    """What a caller gives to a parser of texts."""
    try:
        return reading.read(path).decode(errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give a file") from error


def exported(path: Path) -> object:
    """A network that somebody exported, and its layers."""
    found = export.read(path, "net")
    return layers.found(found.onnx, 1, {})


def shown(path: Path) -> object:
    """What ``python -m search show`` does with a campaign's folder."""
    told = summary.load(path.parent)
    report.print_summary(Console(file=io.StringIO(), width=100), told)
    return told


def toml(path: Path) -> object:
    """Every device of a table, and its limits, looked through for names that apply to nothing."""
    told = applied.check(path, Names(("tiny",)))
    return [spec.find(name, path) for name in spec.names(path)], limits("tiny", path), told


def agent(path: Path) -> object:
    """Everything that an agent may answer, by one header and its blobs, as it comes over the link."""
    decoder = Decoder()
    header = text(path).encode()[: 1 << 20]
    decoder.feed(len(header).to_bytes(8, "big") + header + np.arange(1, 5, dtype=np.int64).tobytes() * 4)
    try:
        frame = decoder.next()
    except frames.NotAFrame as error:
        raise replies.garbled("a request", error) from error
    frame = Frame({}, ()) if frame is None else frame
    known = spec.parse("one", {"runtime": "simulated"}, ROOT / "pyproject.toml")
    found: list[object] = []
    hello = Hello("3.11", "x86_64", "lab", 3)
    for parse in (
        lambda one: replies.error(one.header, "one"),
        lambda one: replies.device_info(one, known, hello, "digest"),
        replies.snapshot,
        replies.facts,
        replies.block,
        replies.outputs,
        replies.nodes,
        replies.lock,
    ):
        try:
            found.append(parse(frame))
        except replies.DeviceCrashed as error:
            found.append(str(error))
    return found


def described(path: Path) -> object:
    """The description beside stored weights."""
    dataset: Any = SimpleNamespace(name="digits", digest="d" * 16)
    stored_baseline.recipe_of(path.with_suffix(".safetensors"))
    return stored_baseline.described(path.with_suffix(".safetensors"), dataset)


def requested(path: Path) -> object:
    """A campaign's request, which must not lead elsewhere."""
    found = folder.read_request(path.parent)
    assert found.reports == path.parent.parent.parent, "a folder says where it lies itself"
    assert found.name == path.parent.name
    return found
