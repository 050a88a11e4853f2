"""The problem with the digits' shape: flat, then a cliff, told by few pictures."""

import numpy as np
import pytest

from search.race import compare, plateau
from search.race.plateau import Plateau
from search.records.trial import TrialRequest, TuningChoice


@pytest.mark.parametrize("instance", range(5))
def test_nothing_is_lost_until_most_is_gone_and_then_nearly_everything(instance: int) -> None:
    found = Plateau(instance)
    keep = np.linspace(1, 0, 201)[:, None] * np.ones(len(found.channels))
    drops, latency = (
        found.drops(keep, TuningChoice()),
        found.microseconds(np.maximum(1, keep * found.channels).astype(int)) / found.dense_us,
    )
    assert (np.diff(drops) >= 0).all()
    assert 0.03 < latency[drops <= 1.0].min() < 0.35
    assert drops[keep[:, 0] > 0.45].max() < plateau.PLATEAU_POINTS
    assert drops[-1] > 60


def test_drops_are_whole_pictures_and_mostly_none_on_the_plateau() -> None:
    arena = compare.arena_of(plateau.NAME, 3)
    config = arena.space.architecture.uniform(0.7)
    seen = [arena.evaluate(TrialRequest(one, "model", "", config, TuningChoice(), 2.0, 0), lambda phase, share: None) for one in range(50)]
    pictures = [one.drop_points * plateau.IMAGES / 100 for one in seen]
    assert pictures == pytest.approx(np.round(pictures))
    assert np.median(pictures) == 0
    assert arena.truth is not None
    assert 0 < arena.truth(config, TuningChoice()) < plateau.PLATEAU_POINTS
