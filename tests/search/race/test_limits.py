"""The calibration of the choice: simulated campaigns with known drops, what is made of test drops, and that a killed one goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CampaignError
from search.race import limit_calibration, limit_campaign, simulated_limits
from search.race.limit_campaign import Row
from search.race.simulated_limits import Chosen, World
from search.records.losses import exceedance
from search.records.losses.drop import Paired
from search.records.request import Request

CAMPAIGNS = 24
ROW = Row(0, 1.0, 0.9, 0.95, 0.6, -0.5, 2, 3.0, 15.0, 700, 9.0, 25.0, 0.4, 20.0)
ASKED = Request(max_drop=1.0)


def chosen(world: World) -> list[Chosen | None]:
    return [simulated_limits.campaign(world, seed) for seed in range(CAMPAIGNS)]


def latency(found: list[Chosen | None]) -> float:
    """Mean over campaigns; of the dense network where nothing was certain."""
    return float(np.mean([1.0 if one is None else one.latency_ratio for one in found]))


def certain(found: list[Chosen | None], certainty: float) -> list[Chosen | None]:
    return [one if one is not None and one.chance >= certainty else None for one in found]


@pytest.mark.timeout(300)
def test_simulated_campaigns_keep_their_limit_as_surely_as_asked_and_pay_with_speed() -> None:
    """Certain choices that are over the limit stay within what chance explains of one in ten; the fastest seen within it do not."""
    world = World()
    found = chosen(world)
    sure = [one for one in certain(found, 0.9) if one is not None]
    over = sum(one.true_points > world.limit_points for one in sure)
    assert over <= 0.1 * len(sure) + 2 * np.sqrt(0.09 * len(sure))
    naive = [one.naive_points > world.limit_points for one in found if one is not None and one.naive_points is not None]
    assert np.mean(naive) > 0.3
    bold, strict = (chosen(replace(world, certainty=certainty)) for certainty in (0.5, 0.99))
    for daring, careful in zip(certain(bold, 0.5), certain(strict, 0.99), strict=True):
        if careful is not None:
            assert daring is not None
            assert daring.latency_ratio <= careful.latency_ratio
    more = chosen(replace(world, pictures=4 * world.pictures))
    assert latency(certain(more, 0.9)) < latency(certain(found, 0.9))
    folds = chosen(replace(world, folds=4))
    assert latency(certain(folds, 0.9)) < latency(certain(found, 0.9))


def test_a_simulated_campaign_repeats_itself() -> None:
    assert simulated_limits.campaign(World(), 3) == simulated_limits.campaign(World(), 3)


def test_simulated_answers_lose_what_they_are_said_to() -> None:
    world, rng = World(pictures=200_000), np.random.default_rng(0)
    true = np.array([-0.5, 0.0, 1.0, 5.0])
    dense = rng.random(world.pictures) >= world.error_ratio
    right = simulated_limits._answers(world, true, dense, rng)
    assert 100 * (dense.mean() - right.mean(axis=1)) == pytest.approx(true, abs=0.1)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1.5))
def test_what_noise_explains_and_what_remains_add_up(seed: int, spread: float, mean: float) -> None:
    rng = np.random.default_rng(seed)
    lost = []
    for true in rng.normal(mean, spread, 60):
        kept, gone = rng.binomial(700, 0.01), rng.binomial(700, min(max(0.01 + true / 100, 0.0), 1.0))
        lost.append(Paired(float(gone - kept), float(gone + kept), 700))
    found = exceedance.of(lost, 1.0)
    assert 0 <= found.beyond_low <= found.beyond_high <= 1
    assert 0 <= found.beyond <= 1
    assert found.low <= found.seen <= found.high
    assert exceedance.of(lost, 2.0).beyond <= found.beyond + 1e-9


def test_noise_alone_is_told_from_true_excess() -> None:
    rng = np.random.default_rng(5)

    def lost(true: float, count: int) -> list[Paired]:
        won, gone = rng.binomial(360, 0.015, count), rng.binomial(360, 0.015 + true / 100, count)
        return [Paired(float(one - other), float(one + other), 360) for one, other in zip(gone, won, strict=True)]

    kept = exceedance.of(lost(0.4, 200), 1.0)
    assert kept.seen > 0.15, "360 pictures cannot tell"
    assert kept.beyond < 0.05
    missed = exceedance.of([*lost(0.0, 140), *lost(3.0, 60)], 1.0)
    assert 0.2 < missed.beyond < 0.4


def test_a_killed_calibration_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def run(seed: int, folder: Path, asked: Request) -> Row:
        begun.append(seed)
        return replace(ROW, seed=seed)

    monkeypatch.setattr(limit_campaign, "run", run)
    first = limit_calibration.run(2, tmp_path, ASKED)
    path = tmp_path / limit_calibration.FILE
    path.write_text(path.read_text()[:-20])  # killed while it wrote the second
    again = limit_calibration.run(3, tmp_path, ASKED)
    assert begun == [0, 1, 1, 2]
    assert again[:2] == first
    assert limit_calibration.read(path, ASKED) == again
    assert limit_calibration.read(path, replace(ASKED, max_drop=2.0)) == (), "of another limit"
    path.write_text("no campaign\n" + path.read_text())
    with pytest.raises(CampaignError, match="line 1 is no campaign"):
        limit_calibration.read(path, ASKED)


def test_the_report_tells_the_certain_ones_from_all() -> None:
    rows = [replace(ROW, seed=seed, chance=0.95 if seed % 3 else 0.4, lost=float(seed % 5)) for seed in range(12)]
    told = limit_calibration.report(rows)
    assert told[0] == "limit 1 points, certainty 0.9: reached by 8 of 12 campaigns"
    assert told[1].startswith("those: test drop over the limit in ")
    assert "SIMULATED" in told[1]


WRONG = (["--certainty=0.2"], ["--max-drop=-1"], ["--folds=99"], ["--simulated=0"], ["--campaigns=0"], ["--folder=/proc/none"])


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_request_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code, by_parser = limit_calibration.main(words), False
    except SystemExit as ended:
        code, by_parser = int(str(ended.code)), True
    assert code == 2
    told = capsys.readouterr().err
    assert "is out of range; give a" in told if by_parser else told.count("\n") == 1


@pytest.mark.timeout(300)
def test_one_real_campaign_of_each_kind(tmp_path: Path) -> None:
    """With the least that can be trained: what it says is what was judged, and its line comes back."""
    asked = Request(max_drop=5.0, trials=3, finalists=1, budget=0.5, proof_budget=0.5, folds=1)
    row = limit_campaign.run(0, tmp_path, asked)
    assert (row.seed, row.images) == (0, limit_campaign.TEST)
    assert 0 <= row.chance <= 1
    assert row.latency_ratio > 0
    assert abs(row.lost) <= row.squares <= row.images
