"""SMAC, driven with our parts: what it asks for, and the private places that we reach into."""

import inspect
import logging
import os

import numpy as np
import pytest
from ConfigSpace import Configuration
from smac.intensifier import Intensifier
from smac.main.config_selector import ConfigSelector
from smac.runhistory.enumerations import StatusType

from harness.records.pruning_config import PruningConfig
from search.optimizer.array_search import SpaceExhausted
from search.optimizer.seeds import initial_rows
from search.optimizer.selector import Optimizer, configuration
from search.race.synthetic import SyntheticProblem
from search.records.trial import KnownCost, TuningChoice
from search.space.goals import Goal
from search.space.recipe_ranges import RecipeRanges
from search.space.space import SearchSpace


def optimizer(problem: SyntheticProblem, goal: Goal | None = None, slots: int = 1, seed: int = 0) -> Optimizer:
    space = problem.space()
    return Optimizer(space, problem, goal or Goal(1.0), seed, initial_rows(space, problem, (), 4, seed), slots)


def truth(problem: SyntheticProblem, asked: Optimizer, row: np.ndarray) -> float:
    return problem.true_drop(*asked.space.decode(row))


def test_the_private_places_are_where_they_were() -> None:
    """``FastSelector`` and ``replayed`` rely on these; a SMAC that renames them must fail here, not in a campaign."""
    assert list(inspect.signature(ConfigSelector._get_x_best).parameters) == ["self", "X"]
    assert "self._get_x_best(X_configurations)" in inspect.getsource(ConfigSelector.__iter__)
    assert "len(self._queue) == 0" in inspect.getsource(Intensifier.__iter__)


def test_smac_sees_the_same_configuration(space: SearchSpace) -> None:
    configspace = space.configspace()
    config = PruningConfig.of("toy", {"conv1": 8, "layer1.0.conv1": 0, "layer1.1.conv1": 4, "layer2.0.conv1": 24})
    row = space.encode(config, TuningChoice("fpgm", "one-shot", 0.0123, 3e-4, 0.07))
    theirs = configuration(space, configspace, row, "told")
    assert {name: theirs[name] for name in space.names} == dict(config.channels)
    assert theirs["criterion"] == "fpgm"
    assert (theirs.get_array()[space.order(configspace)] == row).all()


def test_configurations_are_equal_when_their_rows_are(space: SearchSpace) -> None:
    configspace = space.configspace()
    row = space.encode(space.architecture.dense(), TuningChoice())
    one, same, other = (configuration(space, configspace, r, "told") for r in (row, row.copy(), row - np.eye(space.dimensions)[0]))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    theirs = Configuration(configspace, vector=one.get_array())
    assert one == theirs
    assert one != 3


def test_seeds_come_first_then_the_model_asks(vgg: SyntheticProblem) -> None:
    asked = optimizer(vgg)
    seeds = []
    for _ in range(7):
        row, is_seed = asked.ask()
        seeds.append(is_seed)
        assert asked.space.legal(row[None])[0]
        asked.tell(row, truth(vgg, asked, row))
    assert seeds == [True] * 4 + [False] * 3


def test_a_replayed_optimizer_asks_only_for_what_is_new(vgg: SyntheticProblem) -> None:
    first = optimizer(vgg)
    rows = []
    for _ in range(6):
        row, _ = first.ask()
        rows.append(row)
        first.tell(row, truth(vgg, first, row))
    second = optimizer(vgg)
    for row in rows[:5]:
        second.tell(row, truth(vgg, second, row))
    second.replayed()
    second.expect(rows[5])
    assert second._smac.intensifier._queue, "nothing is left for the intensifier to queue again"
    known = set(second.space.keys(np.asarray(rows)))
    for _ in range(3):
        row, is_seed = second.ask()
        assert not is_seed
        key = second.space.keys(row[None])[0]
        assert key not in known
        known.add(key)
        second.tell(row, truth(vgg, second, row))
    assert len(second._smac.runhistory) == 9, "none of the replayed trials was asked for again"


def test_a_replay_interrupted_within_the_seeds_goes_on_with_them(vgg: SyntheticProblem) -> None:
    first = optimizer(vgg)
    row, _ = first.ask()
    second = optimizer(vgg)
    second.tell(row, 0.0)
    second.replayed()
    again, is_seed = second.ask()
    assert is_seed
    assert (again != row).any()


def test_several_in_flight_are_different(vgg: SyntheticProblem) -> None:
    asked = optimizer(vgg, slots=4)
    for _ in range(4):
        row, _ = asked.ask()
        asked.tell(row, truth(vgg, asked, row))
    rows = np.asarray([asked.ask()[0] for _ in range(4)])
    assert len(set(asked.space.keys(rows))) == 4
    for row in rows:
        asked.tell(row, truth(vgg, asked, row))
    assert asked.ask()[1] is False


def test_crashed_trials_teach_the_model_to_turn_away(vgg: SyntheticProblem) -> None:
    asked = optimizer(vgg)
    for place in range(6):
        row, _ = asked.ask()
        asked.tell(row, 5.0 if place % 2 else 1.0, crashed=bool(place % 2))
    states = [one.status for one in asked._smac.runhistory.values()]
    assert states.count(StatusType.CRASHED) == 3


@pytest.mark.parametrize("goal", [Goal(None, max_latency_s=0.05), Goal(1.0, pareto=True)], ids=["latency", "pareto"])
def test_other_goals_ask_for_sensible_configurations(vgg: SyntheticProblem, goal: Goal) -> None:
    asked = optimizer(vgg, goal)
    latencies = []
    for _ in range(9):
        row, is_seed = asked.ask()
        if not is_seed:
            latencies.append(float(vgg.costs(asked.space.widths(row[None]))[0]))
        asked.tell(row, truth(vgg, asked, row))
    if goal.kind == "max-latency":
        assert max(latencies) <= 0.05
    else:
        assert len({round(limit, 6) for limit in latencies}) > 1


def test_an_exhausted_space_ends_the_asking(space: SearchSpace, linear_latency: KnownCost) -> None:
    fixed = RecipeRanges(("l1",), ("one-shot",), (0.01, 0.01), (1e-4, 1e-4), (0.0, 0.0))
    small = SearchSpace(space.architecture, {"layer1.0.conv1": (0, 8, 16)}, fixed)
    asked = Optimizer(small, linear_latency, Goal(1.0), 0, initial_rows(small, linear_latency, (), 2, 0))
    seen = set()
    for _ in range(3):
        row, _ = asked.ask()
        seen.add(small.keys(row[None])[0])
        asked.tell(row, 0.1 * row[0])
    assert len(seen) == 3
    with pytest.raises(SpaceExhausted):
        asked.ask()


def test_nothing_is_written_here_and_logging_is_left_alone(
    vgg: SyntheticProblem, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)
    asked = optimizer(vgg)
    row, _ = asked.ask()
    asked.tell(row, 0.0)
    scratch = asked._scratch.path
    asked.close()
    assert os.listdir(tmp_path) == []
    assert not os.path.exists(scratch)
    assert logging.getLogger().handlers == handlers
