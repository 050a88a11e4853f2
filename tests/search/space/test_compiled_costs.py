"""The model of compiled cost: exact for what was compiled, never told of less than a narrower network, judged by what it has not seen."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CampaignError
from harness.networks import zoo
from harness.pipeline import Network
from harness.records.architecture import Architecture
from harness.records.compilation import Compilation, CompiledStage
from harness.records.conditions import DeviceInfo
from harness.records.pruning_config import PruningConfig
from search.space import compiling
from search.space.bench_run import Bench
from search.space.compiled_costs import CompiledCosts, CostsJudged
from search.space.compiling import DESIGNS, HELD_OUT
from tests.devices.ncs2 import ncs2_environment as ncs2_environment

Price = Callable[[str, int, int], int]

ARCHITECTURE = Network.wrap("resnet20", zoo.build("resnet20", (1, 8, 8), 10), (1, 8, 8), 10).architecture
DENSE = ARCHITECTURE.dense()


def in_eights(layer: str, inputs: int, outputs: int) -> int:
    return math.ceil(inputs / 8) * math.ceil(outputs / 8)


def compilation(config: PruningConfig, price: Price = in_eights, rest: int = 3, architecture: Architecture = ARCHITECTURE) -> Compilation:
    """Each layer a stage that costs by ``price`` of its name and widths, and one stage that belongs to none."""
    shapes = architecture.shapes(config)
    stages = tuple(
        CompiledStage(name, "Conv", True, True, price(name, shape.in_channels, shape.out_channels), (name,))
        if hasattr(shape, "in_channels")
        else CompiledStage(name, "FC", True, True, price(name, shape.in_features, shape.out_features), (name,))
        for name, shape in shapes.items()
    )
    device = DeviceInfo("ncs2", "myriad", "1", "compiler", "host", "3.8")
    whole = (*stages, CompiledStage("input", "Convert", False, True, rest, ()))
    return Compilation(architecture.network, architecture.digest, config, "d", 1, device, whole, 1, "b", 5.0, (), "c", "t")


def configurations() -> st.SearchStrategy[PruningConfig]:
    widths = {group.name: st.integers(0 if group.removable else 1, group.channels) for group in ARCHITECTURE.groups}
    return st.fixed_dictionaries(widths).map(ARCHITECTURE.partial)


def odd(layer: str, inputs: int, outputs: int) -> int:
    """Of no layer in particular alike, nor rising with width: no table of kinds of layers can hold it."""
    return zlib.crc32(f"{layer} {inputs} {outputs}".encode()) % 97 + 1


@given(st.lists(configurations(), min_size=1, max_size=4, unique=True), st.sampled_from([in_eights, odd]))
def test_what_was_compiled_costs_what_its_compilation_says(configs: list[PruningConfig], price: Price) -> None:
    compilations = [compilation(config, price) for config in dict.fromkeys((DENSE, *configs))]
    model = CompiledCosts(ARCHITECTURE, compilations)
    assert [model.of(one.config) for one in compilations if one.config] == [one.cost for one in compilations]


@given(configurations(), st.data())
def test_a_wider_network_never_costs_less_where_the_compiler_rises_with_width(narrow: PruningConfig, data: st.DataObject) -> None:
    model = CompiledCosts(ARCHITECTURE, [compilation(config) for config in (DENSE, ARCHITECTURE.uniform(0.5), ARCHITECTURE.uniform(0.25))])
    wide = ARCHITECTURE.partial(
        {g.name: data.draw(st.integers(kept, g.channels)) if (kept := narrow.kept(g.name)) else 0 for g in ARCHITECTURE.groups}
    )
    assert model.of(narrow) <= model.of(wide) <= model.of(DENSE)


@given(configurations())
def test_a_narrower_network_is_told_to_cost_no_less_than_it_does(config: PruningConfig) -> None:
    model = CompiledCosts(ARCHITECTURE, [compilation(one) for one in (DENSE, ARCHITECTURE.uniform(0.5))])
    assert model.of(config) >= compilation(config).cost


def test_pairs_of_widths_that_were_compiled_apart_are_known_together() -> None:
    halved = [compilation(ARCHITECTURE.partial({group.name: group.channels // 2})) for group in ARCHITECTURE.groups]
    both = ARCHITECTURE.partial({"layer1.0.conv1": 8, "layer3.1.conv1": 32})
    model = CompiledCosts(ARCHITECTURE, [compilation(DENSE), *halved])
    assert model.of(both) == compilation(both).cost < model.of(DENSE)


def test_a_branch_that_is_gone_costs_nothing() -> None:
    gone = ARCHITECTURE.partial({"layer1.0.conv1": 0})
    model = CompiledCosts(ARCHITECTURE, [compilation(DENSE)])
    assert model.of(gone) == compilation(gone).cost


def test_without_the_unpruned_network_nothing_is_known() -> None:
    with pytest.raises(CampaignError, match="the unpruned resnet20 was not compiled; start the campaign again"):
        CompiledCosts(ARCHITECTURE, [compilation(ARCHITECTURE.uniform(0.5))])


def test_costs_of_many_are_those_of_each() -> None:
    model = CompiledCosts(ARCHITECTURE, [compilation(DENSE), compilation(ARCHITECTURE.uniform(0.5))])
    configs = [DENSE, ARCHITECTURE.uniform(0.5), ARCHITECTURE.uniform(0.3)]
    widths = np.array([[config.kept(group.name) for group in ARCHITECTURE.groups] for config in configs])
    assert model.costs(widths).tolist() == [model.of(config) for config in configs]


def test_the_error_is_told_in_percent_of_what_was_compiled() -> None:
    judged = CostsJudged((110.0, 100.0, 100.0), (100, 100, 100))
    assert judged.median_ratio == 0.0
    assert judged.sentence().startswith("predicted compiled cost: median error 0.00 %, largest 10.00 %, on 3 compiled networks")
    assert "not judged" in CostsJudged((), ()).sentence()


def test_designs_show_more_pairs_than_as_many_random_networks_and_none_of_the_judged_is_known() -> None:
    legal = {g.name: tuple(sorted({g.channels // 4, g.channels // 2, g.channels})) for g in ARCHITECTURE.groups}
    chosen, apart = compiling.designs(ARCHITECTURE, legal, [DENSE])
    assert len(chosen) <= DESIGNS
    assert len(apart) == HELD_OUT
    assert not {*apart} & {*chosen, DENSE}
    assert all(config.kept(name) in widths for config in (*chosen, *apart) for name, widths in legal.items())
    assert compiling.designs(ARCHITECTURE, legal, [DENSE]) == (chosen, apart)
    model = CompiledCosts(ARCHITECTURE, [compilation(config) for config in (DENSE, *chosen)])
    assert [model.of(config) for config in apart] == [compilation(config).cost for config in apart]


@pytest.mark.usefixtures("ncs2_environment")
def test_the_sticks_compiler_charges_two_narrowed_groups_what_each_of_them_says(tmp_path: Path) -> None:
    """By the real compiler, five seconds a network: what one group's compilation told of its layers holds beside another's."""
    network = Network.wrap("resnet20", zoo.build("resnet20", (1, 8, 8), 10), (1, 8, 8), 10)
    both = {"layer1.0.conv1": 8, "layer3.1.conv1": 32}
    narrowed = [ARCHITECTURE.partial({name: width}) for name, width in both.items()]
    bench = Bench("ncs2", "resnet20", "digits", None, "f32", tmp_path)
    *known, together = compiling.compile_all(bench, network, (DENSE, *narrowed, ARCHITECTURE.partial(both)))
    model = CompiledCosts(ARCHITECTURE, known)
    assert model.judged([together]).errors_ratio == (0.0,)
    assert model.of(DENSE) > model.of(narrowed[0]) > model.of(ARCHITECTURE.partial(both))
    again = compiling.compile_all(bench, network, (DENSE, ARCHITECTURE.partial(both)))
    assert again == [known[0], together], "taken from the store"
