"""Which pictures of a split stand for all of it: drawn by class, seeded, and blind to the order in which the pictures lie.

A folder is read class by class; whatever takes the first pictures of it sees one class only. Everything that needs a few pictures
(batch norm statistics, reconstruction, criteria, short trainings, sensitivities) takes them from here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.networks.splits import Split, joined

_GOLDEN, _FIRST, _SECOND = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures drawn from a split.

    numbers: their places in the split (``n``, int64), in an order in which every stretch holds the classes by their shares.
    per_class: label, pictures drawn and pictures there were, by label.
    """

    split: Split
    numbers: Tensor
    per_class: tuple[tuple[int, int, int], ...]

    @property
    def sentence(self) -> str:
        """How many were drawn, of each class too."""
        if len(self.per_class) == 1:
            return f"{len(self.numbers)} of {self.per_class[0][2]} pictures"
        counts = sorted({count for _, count, _ in self.per_class})
        each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        whole = sum(there for _, _, there in self.per_class)
        return f"{len(self.numbers)} of {whole} pictures, {each} of each of {len(self.per_class)} classes"


def draw(split: Split, count: int, seed: int = 0) -> Drawn:
    """``count`` pictures of ``split``, each class by its share and with one at least, or all where there are no more.

    Which ones follows from the pictures themselves and ``seed``: the same in any order of the split. Where there are more
    classes than ``count``, the largest are drawn from.
    """
    labels = split.strata.numpy()
    keys = _mixed(split.content_keys, seed)
    classes, there = np.unique(labels, return_counts=True)
    wanted = _shares(there, min(count, len(labels)))
    chosen, turns = [], []
    for label, take in zip(classes.tolist(), wanted.tolist(), strict=True):
        members = np.flatnonzero(labels == label)
        chosen.append(members[np.argsort(keys[members], kind="stable")[:take]])
        turns.append((np.arange(take) + 0.5) / max(take, 1))
    numbers, turn = np.concatenate(chosen), np.concatenate(turns)
    order = np.lexsort((keys[numbers], turn))
    picked = torch.from_numpy(numbers[order])
    per_class = tuple(zip(classes.tolist(), wanted.tolist(), there.tolist(), strict=True))
    return Drawn(joined((split, picked)), picked, per_class)


def _shares(there: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many of each class, ``count`` in all: by largest remainders, one at least where ``count`` allows it."""
    least = np.minimum(there, 1) if count >= len(there) else np.zeros_like(there)
    exact = count * there / there.sum()
    found: NDArray[np.int64] = np.maximum(np.floor(exact).astype(np.int64), least)
    while found.sum() > count:  # the ones given to the smallest classes are taken from the most favoured
        spare = np.where(found > least, found - exact, -np.inf)
        found[int(spare.argmax())] -= 1
    while found.sum() < count:
        found[int(np.where(found < there, exact - found, -np.inf).argmax())] += 1
    return found


def _mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Keys in another order for every seed [Steele2014]_.

    .. [Steele2014] G. Steele, D. Lea, C. Flood: Fast Splittable Pseudorandom Number Generators. OOPSLA 2014, fig. 14 (mix64).
    """
    with np.errstate(over="ignore"):
        mixed = keys + _GOLDEN * np.uint64(seed + 1)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
