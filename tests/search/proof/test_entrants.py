"""What lies on the shelf stands for the choice too, and has one row unless it is chosen."""

from __future__ import annotations

import pytest

from harness.networks import datasets
from harness.pipeline import Network
from harness.records.pruning_config import PruningConfig
from search.proof import entrants
from search.proof.entrants import Found
from search.proof.proof import choose


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.by_name("resnet20", datasets.load("digits"))


def standing(network: Network, found: list[Found]) -> list[entrants.Entrant]:
    everyone = entrants.entrants(network.architecture, entrants.with_published(network.architecture, found))
    return [one for one in everyone if one.role == "candidate"]


def published(network: Network) -> list[PruningConfig]:
    return [one.config for one in entrants.published_entrants(network.architecture)]


def test_a_published_network_that_is_faster_and_as_sure_as_all_that_was_found_is_chosen(network: Network) -> None:
    timid = Found(network.architecture.uniform(0.97))
    candidates = standing(network, [timid])
    assert [one.config for one in candidates] == [timid.config, *published(network)]
    seconds = dict(zip((one.name for one in candidates), (9e-4, 7e-4, 5e-4, 4e-4), strict=False))
    sure = dict.fromkeys(seconds, 0.95)
    chosen = choose(candidates, dict.fromkeys(seconds, 0.0), sure, seconds, 1e-3, 0.9, None)
    assert chosen.config in published(network)
    assert chosen.source.startswith("the same network as")
    doubted = {name: 0.95 if name == "optimised-1" else 0.5 for name in seconds}
    assert choose(candidates, dict.fromkeys(seconds, 0.0), doubted, seconds, 1e-3, 0.9, None).config == timid.config


def test_only_the_chosen_and_the_found_keep_a_row_of_their_own(network: Network) -> None:
    found = [Found(network.architecture.uniform(0.97)), Found(published(network)[0])]
    candidates = standing(network, found)
    assert len({one.config for one in candidates}) == len(candidates)
    for chosen in candidates:
        kept = [one for one in candidates if not entrants.is_spare(one, found, chosen)]
        assert chosen in kept
        assert {one.config for one in kept} == {one.config for one in found} | {chosen.config}
    others = [one for one in entrants.entrants(network.architecture, found) if one.role != "candidate"]
    assert not any(entrants.is_spare(one, found, candidates[0]) for one in others)
