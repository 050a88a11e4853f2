"""The dense network is trained once per digest of all that decides its weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from harness.errors import UsageError
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.training import baseline
from harness.training.recipes import Recipe

RECIPE = Recipe(epochs=0.2, batch_size=16, precision="f32")
FACTORY = "from torch import nn\n\ndef net(shape, classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(256, classes))\n"


@pytest.fixture
def network(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(FACTORY)
    return f"{tmp_path / 'net.py'}:net"


def trained(network: str, dataset: Dataset, recipe: Recipe, cache: Path) -> tuple[torch.nn.Module, int]:
    steps: list[int] = []
    model = baseline.dense(network, dataset, recipe, cache, lambda done, _: steps.append(done))
    return model, len(steps)


def test_the_second_time_comes_from_the_cache(network: str, quadrants: Dataset, tmp_path: Path) -> None:
    first, steps = trained(network, quadrants, RECIPE, tmp_path / "cache")
    again, no_steps = trained(network, quadrants, RECIPE, tmp_path / "cache")
    assert (steps, no_steps) == (1, 0)
    assert torch.equal(first[1].weight, again[1].weight)
    assert not again.training
    assert [path.suffix for path in (tmp_path / "cache" / "dense").iterdir()] == [".safetensors"]


def test_everything_that_decides_the_weights_decides_the_file(network: str, quadrants: Dataset, tmp_path: Path) -> None:
    paths = {
        baseline.cached_path(network, quadrants, RECIPE, tmp_path),
        baseline.cached_path(network, quadrants, RECIPE.with_seed(1), tmp_path),
        baseline.cached_path(network, replace(quadrants, digest="1" * 16), RECIPE, tmp_path),
        baseline.cached_path("resnet20", quadrants, RECIPE, tmp_path),
    }
    Path(network.rpartition(":")[0]).write_text(FACTORY + "# changed\n")
    paths.add(baseline.cached_path(network, quadrants, RECIPE, tmp_path))
    assert len(paths) == 5


def test_a_damaged_cache_is_trained_again(network: str, quadrants: Dataset, tmp_path: Path) -> None:
    first, _ = trained(network, quadrants, RECIPE, tmp_path)
    path = baseline.cached_path(network, quadrants, RECIPE, tmp_path)
    path.write_bytes(path.read_bytes()[:50])
    again, steps = trained(network, quadrants, RECIPE, tmp_path)
    assert steps == 1
    assert torch.equal(first[1].weight, again[1].weight)
    zoo.read_weights(path)


def test_given_weights_skip_training_and_caching(network: str, quadrants: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    given = zoo.build(network, quadrants.input_shape, quadrants.classes, seed=9)
    safetensors.torch.save_file(given.state_dict(), path)
    model = baseline.dense(network, quadrants, RECIPE, tmp_path / "cache", weights=path)
    assert torch.equal(model[1].weight, given[1].weight)
    assert not (tmp_path / "cache").exists()
    with pytest.raises(UsageError, match="there are no weights"):
        baseline.dense(network, quadrants, RECIPE, tmp_path / "cache", weights=tmp_path / "absent.pt")
