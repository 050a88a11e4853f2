"""Copies of a picture, told by the bytes of their files: who lies in two splits is judged too well, who has two labels never right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.networks.pictures.division import Labels
from harness.networks.pictures.layout import count

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, order=True)
class Entry:
    """One file, in the order that pictures come in: by split, then by content, of copies by label."""

    split: int
    digest: bytes
    label: int
    path: Path


def contents(entries: Sequence[Entry]) -> Labels:
    """A number for each entry, the same for all copies of a picture."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(entry.digest, len(numbers)) for entry in entries], np.int64)


def notes(entries: Sequence[Entry], root: Path) -> Iterator[str]:
    """The sentences on pictures that lie in more than one split, or under more than one class; root: what paths are told from."""
    firsts: list[dict[bytes, Entry]] = [{}, {}, {}]
    for entry in entries:
        firsts[entry.split].setdefault(entry.digest, entry)
    for later, earlier in ((1, 0), (2, 0), (2, 1)):
        shared = [entry for entry in entries if entry.split == later and entry.digest in firsts[earlier]]
        if shared:
            whole = sum(entry.split == later for entry in entries)
            verb = "lies" if len(shared) == 1 else "lie"
            example = _pair(shared[0], firsts[earlier][shared[0].digest], root)
            told = f"{len(shared)} of the {whole} {_SPLITS[later]} pictures {verb} in {_SPLITS[earlier]} too ({example})"
            yield f"{told}: such pictures are judged too well; keep each in one split"
    first: dict[bytes, Entry] = {}
    others: dict[bytes, Entry] = {}
    for entry in entries:
        if first.setdefault(entry.digest, entry).label != entry.label:
            others.setdefault(entry.digest, entry)
    if others:
        verb, (digest, other) = "lies" if len(others) == 1 else "lie", next(iter(others.items()))
        told = f"{count(len(others), 'picture')} {verb} under more than one class ({_pair(first[digest], other, root)})"
        yield f"{told}: no network can be right about both; keep the right one"


def _pair(one: Entry, other: Entry, root: Path) -> str:
    return f"{one.path.relative_to(root).as_posix()} is {other.path.relative_to(root).as_posix()}"
