"""Which channels are one: numbers for all produced channels, joined where the network adds them, fixed where one cannot go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

NO_CHANNEL = -1  # what stands where no removable channel lies: padding, a constant, a part that is left alone
FIXED_PLACE = "they are added to something of fixed size"
OUTPUT = "they are the network's answer"


@dataclass
class Identities:
    """Disjoint sets of channel numbers, some of them fixed for a reason."""

    _parents: list[int] = field(default_factory=list)
    _reasons: dict[int, str] = field(default_factory=dict)

    def fresh(self, count: int) -> Tensor:
        """``count`` new numbers."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return torch.arange(start, start + count)

    def root(self, channel: int) -> int:
        """The number that stands for all channels that are one with this one."""
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return channel

    def roots(self, channels: Tensor) -> tuple[int, ...]:
        """The same for a vector, ``NO_CHANNEL`` kept."""
        return tuple(one if one == NO_CHANNEL else self.root(one) for one in channels.tolist())

    def join(self, ours: Tensor, theirs: Tensor) -> None:
        """Make channels one, place by place; what meets no channel is fixed. Both tensors have the same shape."""
        pairs = torch.stack([ours.flatten(), theirs.flatten()])
        pairs = pairs[:, pairs[0] != pairs[1]]
        for one, other in torch.unique(pairs, dim=1).T.tolist() if pairs.shape[1] else []:
            if NO_CHANNEL in (one, other):
                self._fix(self.root(max(one, other)), FIXED_PLACE)
                continue
            keeps, goes = sorted((self.root(one), self.root(other)))
            if keeps != goes:
                self._parents[goes] = keeps
                if goes in self._reasons:
                    self._fix(keeps, self._reasons[goes])

    def fix(self, channels: Tensor, reason: str) -> None:
        """None of these may go."""
        for channel in torch.unique(channels).tolist():
            if channel != NO_CHANNEL:
                self._fix(self.root(channel), reason)

    def reason(self, roots: Iterable[int]) -> str | None:
        """Why one of these may not go; None where all may."""
        return next((self._reasons[self.root(one)] for one in roots if one != NO_CHANNEL and self.root(one) in self._reasons), None)

    def _fix(self, root: int, reason: str) -> None:
        if reason == OUTPUT:  # the reason of which nothing need be said
            self._reasons[root] = reason
        self._reasons.setdefault(root, reason)


@dataclass(frozen=True, eq=False)
class Labels:
    """Which channel every value of a tensor belongs to.

    ids: channel numbers in the tensor's shape. zero: whether the value is zero where its channel is.
    """

    ids: Tensor
    zero: bool

    @property
    def varying(self) -> tuple[int, ...]:
        """The dimensions along which different channels lie."""
        compact = collapsed(self.ids)
        return tuple(dim for dim, size in enumerate(compact.shape) if size > 1)

    def along(self, dim: int) -> Tensor | None:
        """The channels along ``dim`` as a vector; None where others vary too."""
        compact = collapsed(self.ids)
        if any(size > 1 for place, size in enumerate(compact.shape) if place != dim):
            return None
        return compact.flatten().expand(self.ids.shape[dim]) if compact.shape[dim] == 1 else compact.flatten()


def collapsed(ids: Tensor) -> Tensor:
    """The same labels with every dimension along which nothing changes narrowed to 1."""
    for dim, (size, stride) in enumerate(zip(ids.shape, ids.stride(), strict=True)):
        if size > 1 and stride == 0:
            ids = ids.narrow(dim, 0, 1)
    for dim, size in enumerate(ids.shape):
        if size > 1 and bool((ids.narrow(dim, 0, 1) == ids).all()):
            ids = ids.narrow(dim, 0, 1)
    return ids
