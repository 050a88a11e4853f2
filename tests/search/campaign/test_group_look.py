"""A look at the groups costs at most a quarter of a trial's pictures, and is kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CampaignError
from harness.training.recipes import Recipe
from search.campaign import group_look
from search.race.rehearsed_network import architecture
from search.records import sensitivity_record
from search.records.sensitivity_record import GroupLoss, Sensitivity

FOUND = Sensitivity((GroupLoss("a", 8, 1.5), GroupLoss("b", 0, -0.1)), 200, 3.5, 0.4)


@given(st.floats(0.0, 8.0), st.integers(64, 60000), st.integers(16, 10000))
def test_a_look_costs_at_most_its_share_of_a_trial(epochs: float, train: int, validation: int) -> None:
    recipe, network = Recipe(epochs=epochs), architecture("resnet20", 3)
    cases, images = group_look.plan(network, recipe, train, validation)
    assert (len(cases) + 1) * images * bool(cases) <= group_look.SHARE * group_look.trial_passes(recipe, train, validation)
    assert not cases or group_look.LEAST_IMAGES <= images <= min(validation, group_look.MOST_IMAGES)
    assert not cases or {name for name, _ in cases} == {group.name for group in network.groups}


def test_longer_trials_pay_for_more_widths() -> None:
    network = architecture("resnet20", 3)
    counts = [len(group_look.plan(network, Recipe(epochs=epochs), 1000, 300)[0]) for epochs in (0.01, 0.1, 0.5, 1.0, 1.5, 8.0)]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] > counts[0]


def test_what_was_seen_is_read_back_and_said(tmp_path: Path) -> None:
    assert sensitivity_record.read(tmp_path) is None
    path = sensitivity_record.write(tmp_path, FOUND)
    assert sensitivity_record.read(tmp_path) == FOUND
    assert "3.5 s, 0.40 of a trial's pictures; dearest: a at 8 channels" in group_look.sentence(FOUND)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(CampaignError, match="delete it"):
        sensitivity_record.read(tmp_path)
