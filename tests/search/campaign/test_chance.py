"""A dense network that knows next to nothing stops the campaign, and a search in which there is nothing to choose too."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TrainingError
from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network
from search.campaign import dense_check
from search.campaign.subject import Subject
from search.records.request import Request


def subject(labels: list[int], right: int) -> Subject:
    split = Split(torch.zeros(len(labels), 1, 1, 1), torch.tensor(labels))
    made = Dataset("made up", "digest", (1, 1, 1), max(labels) + 1, split, split, split, class_names=("cat", "dog", "owl", "emu"))
    network: Network = None  # type: ignore[assignment]  # which is not asked
    return Subject(network, made, np.arange(len(labels)) < right)


@given(counts=st.lists(st.integers(1, 60), min_size=2, max_size=10), share=st.floats(0, 1))
def test_it_stops_below_the_margin_over_the_commonest_class_and_only_there(counts: list[int], share: float) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    right = round(share * len(labels))
    made, chance = subject(labels, right), max(counts) / len(labels)
    if right / len(labels) >= chance + 0.1 * (1 - chance):
        dense_check.refuse_chance(Request(), made)
        return
    with pytest.raises(TrainingError, match="pruning could keep nothing"):
        dense_check.refuse_chance(Request(), made)
    dense_check.refuse_chance(Request(chance_margin=0), made)


def test_what_to_do_is_said_in_one_line() -> None:
    made = subject([0, 1, 2, 3] * 25, 26)
    with pytest.raises(TrainingError) as trained:
        dense_check.refuse_chance(Request(dense_learning_rate=3.0), made)
    assert "answers 26.00% of the validation pictures, where 25.00% are right" in str(trained.value)
    assert "below 32.50% (--chance-margin)" in str(trained.value)
    assert "another --dense-learning-rate (now 3), more --dense-epochs (now 12)" in str(trained.value)
    with pytest.raises(TrainingError, match=r"in this order \(cat, dog, owl \.\.\.\), and prepare the pictures as then: --input-shape"):
        dense_check.refuse_chance(Request(weights=Path("w.pt")), made)
    assert "\n" not in str(trained.value)
