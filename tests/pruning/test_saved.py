"""A pruned network comes back from its configuration and its weights alone."""

import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.errors import HarnessError, PruningError, UsageError
from harness.networks import groups, zoo
from harness.pruning import saved, surgery
from harness.records.pruning_config import PruningConfig

IMAGE = (1, 32, 32)


@pytest.fixture
def pruned() -> tuple[nn.Module, PruningConfig]:
    model = zoo.build("resnet20", IMAGE, 10, seed=5)
    architecture = groups.architecture_of(model, "resnet20", IMAGE, 10)
    config = architecture.partial({"layer1.1.conv1": 0, "layer2.0.conv2": 11, "conv1": 9})
    scores = {group.name: torch.rand(group.channels) for group in architecture.groups}
    return surgery.prune(model, architecture, config, scores), config


@pytest.fixture
def folder(tmp_path: Path, pruned: tuple[nn.Module, PruningConfig]) -> Path:
    model, config = pruned
    saved.save(tmp_path / "chosen", config, model, "resnet20", IMAGE, 10)
    return tmp_path / "chosen"


def test_the_loaded_network_is_the_saved_one(folder: Path, pruned: tuple[nn.Module, PruningConfig]) -> None:
    images = torch.randn(2, *IMAGE)
    with torch.inference_mode():
        expected = pruned[0].eval()(images)
        assert torch.equal(saved.load(folder)(images), expected)
        assert torch.equal(saved.load(folder / "config.json", folder / "weights.safetensors")(images), expected)
    assert sorted(os.listdir(folder)) == ["config.json", "weights.safetensors"], "no temporary files stay"


def test_equal_networks_are_equal_bytes(tmp_path: Path, pruned: tuple[nn.Module, PruningConfig]) -> None:
    """A campaign recognises its dense network by its file, also where that was laid again."""
    for place in map(str, range(12)):
        saved.save(tmp_path / place, pruned[1], pruned[0], "resnet20", IMAGE, 10)
    assert len({(tmp_path / str(place) / "weights.safetensors").read_bytes() for place in range(12)}) == 1


def test_the_configuration_file_is_an_ordinary_configuration(folder: Path, pruned: tuple[nn.Module, PruningConfig]) -> None:
    assert PruningConfig.from_json((folder / "config.json").read_text()) == pruned[1]


def test_weights_of_another_configuration_are_refused(folder: Path) -> None:
    document = json.loads((folder / "config.json").read_text())
    document["channels"]["conv1"] = 8
    (folder / "config.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="does not fit the network") as failure:
        saved.load(folder)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input_shape": [1, 32]}, "input_shape"),
        ({"input_shape": [1, 32, "32"]}, "input_shape"),
        ({"classes": 0}, "classes"),
        ({"network": "resnet21"}, "unknown network"),
        ({"schema": 99}, "newer"),
        ({"channels": {"conv1": 8}}, "says nothing of group"),
    ],
    ids=str,
)
def test_a_damaged_description_is_told(folder: Path, change: dict[str, object], told: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(HarnessError, match=told):
        saved.load(folder)


def test_missing_files_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        saved.load(tmp_path)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(UsageError, match="there are no weights"):
        saved.load(folder)


def test_every_truncation_of_the_weights_is_refused(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    content = weights.read_bytes()
    for length in (0, 1, 8, 100, len(content) // 2, len(content) - 1):
        weights.write_bytes(content[:length])
        with pytest.raises(UsageError, match="no weights file"):
            saved.load(folder)


def test_a_configuration_of_another_network_is_not_saved(tmp_path: Path, pruned: tuple[nn.Module, PruningConfig]) -> None:
    with pytest.raises(PruningError, match="is for resnet20"):
        saved.save(tmp_path / "x", pruned[1], pruned[0], "resnet32", IMAGE, 10)
    assert not (tmp_path / "x").exists()
