"""The cut by class that stored results were trained on: scikit-learn's, without importing it, which takes as long as half of torch.

Only who is held out matters here, so its last two shuffles are left out. Source: ``StratifiedShuffleSplit`` of scikit-learn 1.9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def held_out(labels: Indices, count: int, seed: int) -> tuple[Indices, Indices]:
    """Numbers of the images that stay and of the ``count`` that are held out, each class by its share, in order.

    labels: one for each image. Raises ValueError where a class has fewer than two images, or where either part has too few for every class.
    """
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min(initial=2) < 2:
        raise ValueError(f"{int((counts < 2).sum())} classes have one image alone")
    if min(count, len(labels) - count) < len(counts):
        raise ValueError(f"{len(labels)} images are too few for {count} of {len(counts)} classes")
    random = np.random.RandomState(seed)
    stays = _shares(counts, len(labels) - count, random)
    held = _shares(counts - stays, count, random)
    each = np.split(np.argsort(which, kind="stable"), np.cumsum(counts)[:-1])
    rest, out = [], []
    for members, stay, take in zip(each, stays, held, strict=True):
        drawn = members[random.permutation(len(members))]
        rest.append(drawn[:stay])
        out.append(drawn[stay : stay + take])
    return np.sort(np.concatenate(rest)), np.sort(np.concatenate(out))


def _shares(counts: Indices, total: int, random: np.random.RandomState) -> Indices:
    """How many of each class make ``total``: its share rounded down, then one more to those that lost most by rounding, ties by lot."""
    exact = counts / counts.sum() * total
    found = np.floor(exact)
    lost, missing = exact - found, int(total - found.sum())
    for value in np.sort(np.unique(lost))[::-1]:
        if missing == 0:
            break
        (ties,) = np.where(lost == value)
        more = random.choice(ties, size=min(len(ties), missing), replace=False)
        found[more] += 1
        missing -= len(more)
    shares: Indices = found.astype(np.int64)
    return shares
