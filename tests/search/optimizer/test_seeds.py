"""The first trials are the ones that experience suggests."""

from dataclasses import replace

import numpy as np

from harness.records.architecture import Architecture
from search.optimizer.seeds import initial_rows, prune_next, without_branches
from search.race.synthetic import SyntheticProblem
from search.records.trial import KnownCost, TuningChoice
from search.space.space import SearchSpace


def test_first_comes_dense_then_the_published_then_prune_this_next(architecture: Architecture, linear_latency: KnownCost) -> None:
    published = architecture.partial({"layer1.0.conv1": 7})
    space = SearchSpace(architecture, {"layer1.0.conv1": (0, 8, 16), "layer1.1.conv1": (0, 8, 16)}, exact=[published])
    rows = initial_rows(space, linear_latency, [published], 8, seed=0)
    configs = [space.decode(row)[0] for row in rows]
    assert configs[:2] == [architecture.dense(), published]
    assert space.legal(np.asarray(rows[2:])).all()
    assert len(set(space.keys(np.asarray(rows)))) == len(rows) == 8
    recipes = [space.decode(row)[1].criterion for row in rows]
    assert recipes[0] == recipes[1] == recipes[2] == "l1"


def test_branches_are_removed_whole(space: SearchSpace) -> None:
    """Of the two removable branches of layer1 the second is the last, and every second one."""
    last, every_second = without_branches(space)
    assert last.tolist() == every_second.tolist() == [1.0, 2.0, 0.0, 3.0]
    assert without_branches(SearchSpace(space.architecture, {"conv1": (8, 16)})) == []


def test_what_many_layers_share_is_pruned_later(architecture: Architecture, linear_latency: KnownCost) -> None:
    shared = replace(architecture.groups[3], members=("a", "b", "c", "d"))
    network = replace(architecture, groups=(*architecture.groups[:3], shared))
    kept = []
    for one in (architecture, network):
        space = SearchSpace(one, {group.name: tuple(range(4, group.channels + 1, 4)) for group in one.groups})
        kept.append(prune_next(space, linear_latency, (0.6,))[0][3])
    assert kept[1] > kept[0]


def test_seeds_are_the_same_for_the_same_seed(vgg: SyntheticProblem) -> None:
    one, same, other = (np.asarray(initial_rows(vgg.space(), vgg, (), 12, seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_prune_next_reaches_its_targets_over_plateaus(vgg: SyntheticProblem) -> None:
    space = vgg.space()
    found = prune_next(space, vgg, (0.8, 0.6, 0.4))
    rows = np.tile(space.encode(vgg.architecture.dense(), TuningChoice()), (3, 1))
    rows[:, : space.groups] = np.asarray(found)
    ratios = vgg.costs(space.widths(rows)) / (vgg.dense_us * 1e-6)
    assert (ratios <= [0.8, 0.6, 0.4]).all()
    assert (ratios > [0.65, 0.45, 0.25]).all()


def test_prune_next_beats_uniform_ratios_at_the_same_latency(vgg: SyntheticProblem) -> None:
    """What latency per squared pruned fraction suggests costs less accuracy than cutting everything alike."""
    space, recipe = vgg.space(), TuningChoice()
    row = space.encode(vgg.architecture.dense(), recipe)
    row[: space.groups] = prune_next(space, vgg, (0.55,))[0]
    ours = vgg.true_drop(*space.decode(row))
    uniform = next(
        config
        for percent in range(100, 0, -1)
        if vgg.costs(np.asarray([[(config := vgg.architecture.uniform(percent / 100)).kept(g.name) for g in vgg.architecture.groups]]))[0]
        <= 0.55 * vgg.dense_us * 1e-6
    )
    assert ours < vgg.true_drop(uniform, recipe)
