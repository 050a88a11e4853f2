"""Reasons of crashes are grouped, and none is lost."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from search.campaign import ends
from search.campaign.campaign import CampaignSettings
from search.campaign.ends import AllCrashed
from search.race.synthetic import FULL_EPOCHS, SyntheticEvaluate
from search.space.goals import Goal

SETTINGS = CampaignSettings("c", trials=8, seeds=5, budget_epochs=FULL_EPOCHS, goal=Goal(1.0), finalists=2, repeats=1)
SHORT = replace(SETTINGS, trials=14, short_epochs=6.0)
EVALUATE = SyntheticEvaluate("vgg", 0)


words = st.sampled_from(
    [
        "out of memory on cuda:0",
        "out of memory on cuda:1",
        "no layer 'conv1'",
        "no layer 'fc'",
        "died",
        "epoch 3",
        "epoch 12",
        "/a/b: no",
        "/c: no",
    ]
)


@given(st.lists(words, max_size=20))
def test_no_crash_is_lost_in_the_groups(reasons: list[str]) -> None:
    groups = ends.grouped(reasons)
    assert sum(one.count for one in groups) == len(reasons)
    assert [one.count for one in groups] == sorted((one.count for one in groups), reverse=True)
    assert {one.text for one in groups} <= set(reasons)
    assert len(groups) == len({next(key for key in ("memory", "layer", "died", "epoch", ": no") if key in one) for one in reasons})


def test_many_reasons_are_cut_to_the_commonest() -> None:
    letters = ("a", "a", "b", "b", "b", "c", "d", "e")
    said = AllCrashed("c", "all 8 trials", ends.grouped(letters)).sentence.splitlines()
    assert said[1:4] == ["  3 × b", "  2 × a", "  1 × c"]
    assert said[4] == "  2 × for 2 other reasons"
