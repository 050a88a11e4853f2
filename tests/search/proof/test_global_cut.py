"""What a Torch-Pruning user would get at the chosen network's speed: quick enough, cut no further than that, or said why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.errors import PruningError
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.pruning import surgery
from harness.pruning.global_pruning import IMPORTANCES, MAGNITUDE, GlobalPruning
from harness.training.recipes import Recipe
from search.proof import global_cut, tuning
from search.proof.entrants import Entrant
from search.proof.tuning import Recipes
from search.records.outcome import ROLES
from search.space.screened_latency import cost_of

TUNING = Recipe(epochs=0.02, learning_rate=0.02, batch_size=8, precision="f32", calibration_images=16)


@dataclass(frozen=True)
class Stepped:
    """Widths cost what the next multiple of ``step`` costs, a microsecond each, beside ``least_s`` for everybody."""

    step: int = 8
    least_s: float = 0.0

    def costs(self, widths: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.least_s + (-(-widths // self.step) * self.step).sum(axis=1) * 1e-6


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return datasets.load("digits")


@pytest.fixture(scope="module")
def network(dataset: Dataset) -> Network:
    return Network.by_name("resnet20", dataset)


@pytest.fixture(scope="module")
def ranked(network: Network, dataset: Dataset) -> dict[str, GlobalPruning]:
    return {name: network.global_pruning(name, dataset) for name in IMPORTANCES}


@settings(max_examples=15, deadline=None)
# cut as far as it goes, in steps of 16, it takes 192 µs
@given(st.sampled_from(IMPORTANCES), st.floats(200e-6, 460e-6), st.sampled_from([1, 4, 8, 16]))
def test_it_is_as_quick_as_was_asked_and_one_channel_less_removed_is_not(
    ranked: dict[str, GlobalPruning], name: str, target_s: float, step: int
) -> None:
    pruning, latency = ranked[name], Stepped(step)
    config = global_cut.cut_to(pruning, latency, target_s)
    pruning.architecture.check(config)
    assert cost_of(pruning.architecture, latency, config) <= target_s
    removed = sum(group.channels - config.kept(group.name) for group in pruning.architecture.groups)
    assert pruning.config(removed) == config
    milder = next((one for count in range(removed, -1, -1) if (one := pruning.config(count)) != config), None)  # equal ones go together
    assert milder is None or cost_of(pruning.architecture, latency, milder) > target_s


def test_at_the_dense_network_s_latency_nothing_goes_and_it_is_called_that(network: Network, dataset: Dataset) -> None:
    dense = network.architecture.dense()
    cut = global_cut.entrants(network, dataset, Stepped(), Entrant("optimised-1", "candidate", dense))
    assert [(one.config, one.criterion, one.source) for one in cut.entered] == [(dense, "l1", "the same network as dense")] * 2


def test_every_importance_enters_with_its_own_widths_and_channels(network: Network, dataset: Dataset) -> None:
    chosen = Entrant("optimised-1", "candidate", network.architecture.uniform(0.6))
    cut = global_cut.entrants(network, dataset, Stepped(1), chosen)
    assert [one.name for one in cut.entered] == ["global-magnitude", "global-taylor"]
    assert {one.role for one in cut.entered} == {global_cut.ROLE} <= set(ROLES)
    assert len({one.config for one in (chosen, *cut.entered)}) == 3
    again = global_cut.entrants(network, dataset, Stepped(1), chosen)
    assert again == cut
    for one in cut.entered:
        kept = surgery.chosen(network.architecture, one.config, network.scores(one.criterion, dataset))
        by_l1 = surgery.chosen(network.architecture, one.config, network.scores("l1", dataset))
        assert kept != by_l1


def test_a_network_that_cannot_be_cut_so_far_is_left_out_in_one_line(
    network: Network, dataset: Dataset, ranked: dict[str, GlobalPruning]
) -> None:
    gone = network.architecture.partial({group.name: 0 for group in network.architecture.groups if group.removable})
    chosen = Entrant("optimised-1", "candidate", gone)

    @dataclass(frozen=True)
    class PerBranch(Stepped):
        """A millisecond for every branch that is there, which no channel that goes makes cheaper."""

        def costs(self, widths: NDArray[np.int64]) -> NDArray[np.float64]:
            return (widths > 0).sum(axis=1) * 1e-3

    cut = global_cut.entrants(network, dataset, PerBranch(), chosen)
    assert not cut.entered
    assert len(cut.left_out) == 2
    assert all("left out of the comparison: cut as far as it goes it would take" in line for line in cut.left_out)
    assert not any("\n" in line for line in cut.left_out)
    with pytest.raises(PruningError, match="cut as far as it goes"):
        global_cut.cut_to(ranked[MAGNITUDE], PerBranch(), 1e-4)


def test_it_is_tuned_as_the_others_are_and_a_resumed_comparison_tunes_it_no_second_time(
    network: Network, dataset: Dataset, tmp_path: Path
) -> None:
    chosen = Entrant("optimised-1", "candidate", network.architecture.uniform(0.5))
    entered = global_cut.entrants(network, dataset, Stepped(), chosen).entered
    done: list[str] = []

    def progress(name: str, steps: int, _: int) -> None:
        if steps:
            done.append(name)

    recipes = Recipes(TUNING, replace(TUNING, epochs=1.0))
    first = tuning.tune(network, dataset, entered, recipes, 1, tmp_path, progress)
    assert set(done) == {one.name for one in entered}
    assert {recipes.of(one, 0) for one in entered} == {TUNING}
    done.clear()
    second = tuning.tune(network, dataset, entered, recipes, 1, tmp_path, progress)
    assert not done
    assert [one.judged[0].validation for one in first] == [one.judged[0].validation for one in second]
