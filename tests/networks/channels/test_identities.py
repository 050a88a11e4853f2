"""Channels that are joined are one, and one that is fixed fixes all that it is one with."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.networks.channels.identities import NO_CHANNEL, OUTPUT, Identities, Labels, collapsed

COUNT = 12
Pairs = st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)), max_size=15)


def joined(pairs: list[tuple[int, int]]) -> tuple[Identities, torch.Tensor]:
    identities = Identities()
    channels = identities.fresh(COUNT)
    for one, other in pairs:
        identities.join(channels[[one]], channels[[other]])
    return identities, channels


@given(Pairs)
def test_joining_is_the_same_whole_as_pair_by_pair(pairs: list[tuple[int, int]]) -> None:
    identities, channels = joined(pairs)
    at_once = Identities()
    at_once.fresh(COUNT)
    if pairs:
        at_once.join(torch.tensor([one for one, _ in pairs]), torch.tensor([other for _, other in pairs]))
    assert identities.roots(channels) == at_once.roots(channels)
    for one, other in pairs:
        assert identities.root(one) == identities.root(other)


@given(Pairs, st.integers(0, COUNT - 1))
def test_a_fixed_channel_fixes_its_own_kind_and_no_other(pairs: list[tuple[int, int]], fixed: int) -> None:
    for order in (0, 1):  # fixed after the joining, and before it
        identities, channels = joined(pairs if order == 0 else [])
        identities.fix(channels[[fixed]], "for a reason")
        for one, other in pairs if order == 1 else []:
            identities.join(channels[[one]], channels[[other]])
        for channel in range(COUNT):
            same = identities.root(channel) == identities.root(fixed)
            assert identities.reason([channel]) == ("for a reason" if same else None)


def test_what_meets_no_channel_is_fixed() -> None:
    identities = Identities()
    channels = identities.fresh(3)
    identities.join(channels, torch.tensor([0, NO_CHANNEL, 2]))
    assert [identities.reason([channel]) is None for channel in range(3)] == [True, False, True]


def test_that_channels_are_the_answer_is_told_before_any_other_reason() -> None:
    identities = Identities()
    identities.fix(identities.fresh(1), "for a reason")
    identities.fix(torch.tensor([0]), OUTPUT)
    assert identities.reason([0]) == OUTPUT


def test_labels_tell_along_which_dimension_channels_lie() -> None:
    along = Labels(torch.arange(4).view(1, 4, 1, 1).expand(2, 4, 5, 5), zero=True)
    assert along.varying == (1,)
    assert along.along(1).tolist() == [0, 1, 2, 3]
    assert along.along(2) is None
    assert collapsed(along.ids.clone()).shape == (1, 4, 1, 1)
    everywhere = Labels(torch.arange(16).view(1, 4, 2, 2), zero=True)
    assert everywhere.along(1) is None
