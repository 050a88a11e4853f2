"""Copies of a picture, told by their pixels as they are read: who lies in two splits is judged too well, who has two labels never right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.errors import DatasetError
from harness.networks.pictures import large_arrays
from harness.networks.pictures.division import Labels, Pixels
from harness.networks.pictures.layout import count

FEW_RATIO = 0.5  # different pictures of different files, at and below which it is said
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, order=True)
class Entry:
    """One file, in the order that pictures come in: by split, then by content, of copies by label."""

    split: int
    digest: bytes
    label: int
    path: Path


def by_pixels(entries: Sequence[Entry], pixels: Pixels) -> list[Entry]:
    """The same entries with digests of their pixels (``N x C x H x W``) instead of their files': what was stored otherwise is a copy."""

    def digest(row: Pixels) -> bytes:
        large_arrays.was_read(row.nbytes)
        return hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest()

    digests = map(digest, pixels)
    return [replace(entry, digest=digest) for entry, digest in zip(entries, digests, strict=True)]


def likeness(entries: Sequence[Entry], alike: Sequence[Entry], root: Path) -> Iterator[str]:
    """The sentence on files that differ and are few pictures once they are read; DatasetError where all are one."""
    files, different = len({entry.digest for entry in entries}), len({entry.digest for entry in alike})
    if different == 1:
        raise DatasetError(
            f"all {len(alike)} pictures below {root} are alike as they are read, and nothing can be learnt from them; "
            "look whether they are what you meant, and give a larger --input-shape where they differ in detail"
        )
    if different <= files * FEW_RATIO:
        yield (
            f"{count(files, 'different file')} are {different} different pictures as they are read: "
            "a larger --input-shape, or pictures of 8 bits that use all of them, would tell more apart"
        )


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
