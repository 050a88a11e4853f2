"""Distiller's checkpoints without Distiller: thinned, masked or plain, and nothing unsafe."""

from __future__ import annotations

import os
import pickle
import sys
from collections import OrderedDict, namedtuple
from pathlib import Path
from types import ModuleType

import pytest
import torch

from harness.errors import HarnessError, PruningError, UsageError
from harness.networks import groups, zoo
from harness.pruning import surgery
from harness.verification import distiller_checkpoint


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> type:
    """The type that a thinned checkpoint pickles, under Distiller's name, while it is being written."""
    module = ModuleType("distiller.thinning")
    made = namedtuple("ThinningRecipe", ["modules", "parameters"])
    made.__module__ = "distiller.thinning"
    module.ThinningRecipe = made
    monkeypatch.setitem(sys.modules, "distiller", ModuleType("distiller"))
    monkeypatch.setitem(sys.modules, "distiller.thinning", module)
    return made


def thinned(kept: int) -> torch.nn.Module:
    dense = zoo.build("resnet20", (3, 32, 32), 10, seed=1)
    architecture = groups.architecture_of(dense, "resnet20", (3, 32, 32), 10)
    return surgery.shrink(dense, architecture, architecture.partial({"layer1.0.conv1": kept})).eval()


def saved(folder: Path, model: torch.nn.Module, **more: object) -> Path:
    state = OrderedDict((f"module.{name}", tensor) for name, tensor in model.state_dict().items())
    document = {"epoch": 3, "arch": "resnet20_cifar", "state_dict": state, "extras": {"best_top1": 91.0}, **more}
    torch.save(document, folder / "checkpoint.pth.tar")
    return folder / "checkpoint.pth.tar"


def test_a_thinned_checkpoint_is_a_small_network(tmp_path, recipe, monkeypatch):
    model = thinned(12)
    recipes = [recipe({"layer1.0.conv1": {"out_channels": 12}}, {"layer1.0.conv1.weight": [(0, torch.arange(12))]})]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    path = saved(tmp_path, model, thinning_recipes=recipes, optimizer_type=type(optimiser), optimizer_state_dict=optimiser.state_dict())
    monkeypatch.undo()  # Distiller is gone when it is read
    assert "distiller.thinning" not in sys.modules or sys.modules["distiller.thinning"].__dict__.get("__file__")
    checkpoint = distiller_checkpoint.read(path)
    assert (checkpoint.network, checkpoint.thinned, checkpoint.epoch) == ("resnet20", True, 3)
    loaded, config = distiller_checkpoint.load(path)
    assert config.kept("layer1.0.conv1") == 12
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


def test_masks_are_applied(tmp_path):
    model = thinned(16)
    mask = (torch.arange(16) % 2).float().view(16, 1, 1, 1).expand_as(model.layer1[0].conv1.weight).clone()
    path = saved(tmp_path, model, compression_sched={"masks_dict": {"module.layer1.0.conv1.weight": mask, "module.fc.weight": None}})
    loaded, config = distiller_checkpoint.load(path)
    assert config.kept("layer1.0.conv1") == 16
    assert torch.equal(loaded.layer1[0].conv1.weight, model.layer1[0].conv1.weight * mask)


def test_a_checkpoint_without_an_architecture_needs_the_networks_name(tmp_path):
    path = saved(tmp_path, thinned(10), arch="mystery")
    with pytest.raises(HarnessError, match="mystery"):
        distiller_checkpoint.load(path)
    _, config = distiller_checkpoint.load(path, network="resnet20")
    assert config.kept("layer1.0.conv1") == 10


def test_a_network_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(PruningError, match=r"no layer1\.3\.conv2\.weight|does not fit"):
        distiller_checkpoint.load(saved(tmp_path, thinned(16)), network="resnet56")


def test_coupled_layers_of_different_widths_are_refused(tmp_path):
    model = thinned(16)
    model.layer1[1].conv2.weight.data = model.layer1[1].conv2.weight.data[:12]
    with pytest.raises(PruningError, match=r"different widths .*cannot run"):
        distiller_checkpoint.load(saved(tmp_path, model))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-checkpoint",)


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="read safely"):
        distiller_checkpoint.read(saved(tmp_path, thinned(16), extras=Evil()))
    assert not Path("made-by-a-checkpoint").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"a": 1})], ids=["empty", "text", "pickle"])
def test_what_is_no_checkpoint_is_said(tmp_path, content):
    path = tmp_path / "checkpoint.pth.tar"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"checkpoint|state_dict"):
        distiller_checkpoint.read(path)


def test_an_absent_file_is_said(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        distiller_checkpoint.read(tmp_path / "absent.pth.tar")
