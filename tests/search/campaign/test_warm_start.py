"""A campaign that begins with another one's best shapes: tried anew here, at its own sizes, and nothing else taken over."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import CampaignError, UsageError
from harness.networks import zoo
from harness.pipeline import Network
from harness.records.pruning_config import PruningConfig
from search.campaign import campaign, sharing
from search.campaign.settings import CampaignSettings
from search.campaign.subject import space_of
from search.optimizer import first_design, seeds
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records import checks, journal
from search.records import folder as folders
from search.records.outcome import JOURNAL, MEASUREMENTS
from search.records.recipe_record import read as recipe_of
from search.records.request import Request
from search.records.trial import PROMOTE, Report, TrialOutcome, TrialRequest
from search.space import measurements
from search.space.goals import Goal
from search.space.measurements import Stored
from search.space.space import SearchSpace

REPORTS = Path(__file__).parents[3] / "reports"
OLD, NEW = "resnet20-fashion-mnist-cpu", "resnet20-fashion-mnist-cpu-joint"


@pytest.fixture(scope="module")
def joint() -> tuple[Request, SearchSpace, Stored]:
    """The published search over channels, bits and sizes, as it would begin with what the published one over channels found."""
    folder = REPORTS / "campaigns" / NEW
    request = replace(folders.read_request(folder), warm_start=OLD, reports=REPORTS)
    shapes = [(1, *map(int, size.split("x"))) for size in request.sizes]
    network, *smaller = (Network.wrap(request.network, zoo.build(request.network, one, 10), one, 10) for one in shapes)
    sizes = [one.architecture for one in smaller]
    stored = measurements.read(folder / MEASUREMENTS, network.architecture, *request.precisions, sizes=sizes)
    record = recipe_of(folder)
    assert record is not None
    return request, space_of(request, network, stored, record.recipe)[0], stored


def test_the_first_rows_after_the_dense_ones_are_the_old_front_at_both_sizes(joint: tuple[Request, SearchSpace, Stored]) -> None:
    request, space, stored = joint
    said: list[str] = []
    warm = sharing.warm_start(request, space, stored.known, said.append)
    lost = sharing.drops_in_full(OLD, REPORTS, space.architecture)
    assert len(warm) == sharing.MOST_SHAPES
    assert f"begins with {len(warm)} of {len(lost)} shapes" in said[0]
    begun, goal = seeds.begin(space, stored.known), Goal(request.drop_limit_points)
    cold = first_design.rows(space, stored.known, (), 40, 0, goal)
    rows = first_design.rows(space, stored.known, (), 40, 0, goal, warm=warm)
    dense = len(request.sizes)
    assert [row.tolist() for row in rows[:dense]] == [row.tolist() for row in cold[:dense]]
    for size in ("28x28", "32x32"):
        wanted = {seeds.snapped(space, config, replace(begun, size=size)).tobytes() for config in warm}
        assert wanted <= {row.tobytes() for row in rows}
    assert {row.tobytes() for row in rows[dense : dense + len(warm)]} == {
        seeds.snapped(space, config, replace(begun, size="28x28")).tobytes() for config in warm
    }
    assert space.legal(rows[0][None]).all()
    assert all(space.legal(row[None]).all() for row in rows)


def test_only_what_kept_the_limit_and_nothing_that_another_one_beats(joint: tuple[Request, SearchSpace, Stored]) -> None:
    request, space, stored = joint
    lost = sharing.drops_in_full(OLD, REPORTS, space.architecture)
    warm = sharing.warm_start(request, space, stored.known, lambda line: None)
    assert all(lost[config] <= request.max_drop for config in warm)
    begun = seeds.begin(space, stored.known)
    seconds = {one: space.costs(stored.known, seeds.snapped(space, one, begun)[None])[0] for one in lost}
    for one in warm:
        assert not any(seconds[other] < seconds[one] and lost[other] <= lost[one] for other in lost)
    strict = sharing.warm_start(replace(request, max_drop=0.0), space, stored.known, lambda line: None)
    assert strict, "the least harmed are better than nothing"


def test_nothing_asked_for_begins_as_before(joint: tuple[Request, SearchSpace, Stored]) -> None:
    request, space, stored = joint
    assert sharing.warm_start(replace(request, warm_start=None), space, stored.known, pytest.fail) == ()
    goal = Goal(0.5)
    cold, warm = first_design.rows(space, stored.known, (), 9, 0, goal), first_design.rows(space, stored.known, (), 9, 0, goal, warm=())
    assert [row.tobytes() for row in cold] == [row.tobytes() for row in warm]


def test_what_is_gone_is_said_and_resumed_without(joint: tuple[Request, SearchSpace, Stored], tmp_path: Path) -> None:
    request, space, stored = joint
    said: list[str] = []
    assert sharing.warm_start(replace(request, reports=tmp_path), space, stored.known, said.append) == ()
    assert OLD in said[0]


def test_another_network_or_a_campaign_that_tuned_nothing_is_refused_by_name(
    joint: tuple[Request, SearchSpace, Stored], tmp_path: Path
) -> None:
    _, space, _ = joint
    with pytest.raises(CampaignError, match="another network"):
        sharing.drops_in_full("resnet56-fashion-mnist-cpu", REPORTS, space.architecture)
    with pytest.raises(CampaignError, match="there is no campaign"):
        sharing.drops_in_full("none-such", REPORTS, space.architecture)
    copy = Path(shutil.copytree(REPORTS / "campaigns" / OLD, tmp_path / "campaigns" / OLD, ignore=lambda _, names: {"tuned"} & {*names}))
    (copy / JOURNAL).write_text((copy / JOURNAL).read_text().splitlines(keepends=True)[0])
    assert not journal.read(copy).finished
    with pytest.raises(CampaignError, match="tuned no pruned network in full"):
        sharing.drops_in_full(OLD, tmp_path, space.architecture)


def test_a_rival_begins_with_nothing_of_anybody() -> None:
    with pytest.raises(UsageError, match="random search is a rival by its own trials alone"):
        checks.checked(Request(optimizer="random", warm_start=OLD))


class HarshWhenShort:
    """One shape looks hopeless after a short tuning, and loses nothing after a long one."""

    def __init__(self, shape: PruningConfig) -> None:
        self.shape, self.honest = shape, SyntheticEvaluate("vgg", 0)

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        found = self.honest(trial, report)
        return replace(found, drop_points=9.0 if trial.budget_epochs < 27 else 0.0) if trial.config == self.shape else found


@pytest.mark.parametrize("is_warm", [True, False])
def test_what_another_campaign_found_good_is_tuned_in_full_however_it_fares_short(
    vgg: SyntheticProblem, tmp_path: Path, is_warm: bool
) -> None:
    space = vgg.space()
    ours = seeds.begin(space, vgg)
    shape, _ = space.decode(seeds.snapped(space, vgg.architecture.uniform(0.55), ours))
    settings = CampaignSettings("c", trials=14, seeds=5, budget_epochs=27.0, short_epochs=6.0, goal=Goal(1.0), finalists=2, repeats=1)
    found = campaign.run(settings, space, vgg, HarshWhenShort(shape), tmp_path, warm=(shape,) if is_warm else ())
    full = [one for one in found.trials if one.request.purpose == PROMOTE and one.request.config == shape]
    assert len(full) == is_warm
    if is_warm:
        assert found.chosen is not None
        assert found.chosen.config == shape, "nothing else is as fast for nothing lost"
        again = campaign.run(settings, space, vgg, HarshWhenShort(shape), tmp_path, warm=(shape,), resume=True)
        assert again.trials == found.trials
