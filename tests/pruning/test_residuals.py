"""Residual branches are solved anew so that the stream stays where it was: exactly where that is possible, nearer everywhere else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.networks import groups, zoo
from harness.networks.branches import branch_end, shortcut_of
from harness.networks.resnet_cifar import BasicBlock
from harness.pruning import residuals, surgery
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from harness.training.finetune import recalibrate

SHAPE = (1, 16, 16)


def trained_like(name: str, images: Tensor) -> tuple[nn.Module, Architecture]:
    """A network whose branches matter about as much as its shortcuts, with statistics of the images."""
    torch.manual_seed(0)
    model = zoo.build(name, SHAPE, 4)
    recalibrate(model, images)
    return model.eval(), groups.architecture_of(model, name, SHAPE, 4)


def removed(model: nn.Module, architecture: Architecture, config: PruningConfig) -> tuple[nn.Module, surgery.Kept]:
    scores = {group.name: torch.arange(group.channels, 0, -1).float() for group in architecture.groups}
    kept = surgery.chosen(architecture, config, scores)
    return surgery.remove(model, architecture, kept), kept


def distance(model: nn.Module, dense: nn.Module, images: Tensor) -> float:
    """Of the logits, after recalibration, relative to the dense ones' spread."""
    recalibrate(model, images)
    with torch.no_grad():
        wanted = dense(images)
        return float((model(images) - wanted).norm() / (wanted - wanted.mean(0)).norm())


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(128, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet20", "torchvision:resnet18", "torchvision:resnet50", "mobilenetv2", "mobilenetv3-small"])
@pytest.mark.parametrize("cut", ["branches", "widths"])
def test_the_answers_come_nearer_to_the_dense_ones(name: str, cut: str, images: Tensor) -> None:
    model, architecture = trained_like(name, images)
    config = architecture.dense()
    inner = [group for group in architecture.groups if group.removable]
    for group in inner[::2] if cut == "branches" else inner:
        config = config.with_channels(group.name, 0 if cut == "branches" else group.channels // 2 // group.step * group.step)
    plain, kept = removed(model, architecture, config)
    solved, _ = removed(model, architecture, config)
    residuals.reconstruct(solved, model, architecture, kept, residuals.reference(model, images))
    assert distance(solved, model, images) < 0.95 * distance(plain, model, images)


def test_a_branch_takes_over_what_the_removed_one_behind_it_did(images: Tensor) -> None:
    """A branch that adds a constant per channel: the one before it can add that too, where no activation comes between."""
    model, architecture = trained_like("resnet20", images)
    with torch.no_grad():
        model.bn1.bias.fill_(8.0)  # the stream of the first stage is positive throughout
        model.layer1[1].bn2.weight.zero_()
        model.layer1[1].bn2.bias.copy_(torch.linspace(0.0, 6.0, 16))
    recalibrate(model, images)
    config = architecture.dense().with_channels("layer1.1.conv1", 0)
    plain, kept = removed(model, architecture, config)
    solved, _ = removed(model, architecture, config)
    residuals.reconstruct(solved, model, architecture, kept, residuals.reference(model, images))
    assert distance(plain, model, images) > 0.2
    assert distance(solved, model, images) < 0.1 * distance(plain, model, images)


def test_an_unpruned_network_is_left_nearly_as_it_is(images: Tensor) -> None:
    model, architecture = trained_like("resnet20", images)
    same, kept = removed(model, architecture, architecture.dense())
    residuals.reconstruct(same, model, architecture, kept, residuals.reference(model, images))
    assert distance(same, model, images) < 0.02


def test_streams_that_lose_channels_aim_at_the_sums_that_stay(images: Tensor) -> None:
    model, architecture = trained_like("resnet20", images)
    config = architecture.uniform(0.7)
    plain, kept = removed(model, architecture, config)
    solved, _ = removed(model, architecture, config)
    residuals.reconstruct(solved, model, architecture, kept, residuals.reference(model, images))
    assert [tuple(one.shape) for one in solved.state_dict().values()] == [tuple(one.shape) for one in plain.state_dict().values()]
    assert all(bool(torch.isfinite(one).all()) for one in solved.state_dict().values())
    assert distance(solved, model, images) < distance(plain, model, images)


def test_statistics_modes_and_the_dense_network_stay_as_they_are(images: Tensor) -> None:
    model, architecture = trained_like("resnet20", images)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pruned, kept = removed(model, architecture, architecture.dense().with_channels("layer2.1.conv1", 8))
    statistics = {name: buffer.clone() for name, buffer in pruned.named_buffers()}
    residuals.reconstruct(pruned, model, architecture, kept, residuals.reference(model, images))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in pruned.named_buffers())
    assert not any(module.training for one in (model, pruned) for module in one.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for one in (model, pruned) for module in one.modules())


def test_a_network_without_residual_blocks_is_left_alone(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    architecture = groups.architecture_of(model, "chain", SHAPE, 4)
    plain, kept = removed(model, architecture, architecture.uniform(0.5))
    weights = [tensor.clone() for tensor in plain.state_dict().values()]
    residuals.reconstruct(plain, model, architecture, kept, residuals.reference(model, images))
    assert all(torch.equal(one, other) for one, other in zip(weights, plain.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", ["resnet20", "torchvision:resnet18", "torchvision:resnet50", "mobilenetv2", "mobilenetv3-small"])
def test_branch_and_shortcut_are_what_the_block_adds_up(name: str, images: Tensor) -> None:
    model, _ = trained_like(name, images)
    seen: dict[str, Tensor] = {}
    checked = 0
    for place, block in model.named_modules():
        end = branch_end(block) if place else None
        if end is None:
            continue
        hooks = [
            block.register_forward_hook(lambda _, inputs, output: seen.update(entered=inputs[0].clone(), left=output.clone())),
            end.norm.register_forward_hook(lambda _, __, output: seen.update(branch=output.clone())),
        ]
        with torch.no_grad():
            model(images[:4])
            total = seen["branch"] + shortcut_of(block, seen["entered"])
        activated = total if "mobilenet" in name else torch.relu(total)
        assert torch.allclose(activated, seen["left"], atol=1e-4), place
        checked += 1
        for hook in hooks:
            hook.remove()
    assert checked >= 6


def test_other_modules_have_no_branch() -> None:
    assert branch_end(nn.Conv2d(1, 1, 1)) is None
    assert branch_end(BasicBlock(4, 4, 1)) is not None
