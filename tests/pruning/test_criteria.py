"""Importance criteria: direction, exact counts, ties, coupled groups, and what they leave behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import PruningError, UnknownName
from harness.pruning.criteria import CRITERIA, scores
from harness.records.architecture import Architecture, ChannelGroup


class Residual(nn.Module):
    """A stem coupled with a block's second convolution, as in a ResNet; activations are functional and in place."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=bias)
        self.bn0 = nn.BatchNorm2d(6)
        self.conv1 = nn.Conv2d(6, 5, 3, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm2d(5)
        self.conv2 = nn.Conv2d(5, 6, 3, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn0(self.stem(images)), inplace=True)
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x
        return self.fc(F.relu(y).mean((2, 3)))


ARCHITECTURE = Architecture(
    "residual",
    (3, 8, 8),
    4,
    (ChannelGroup("stem", 6, ("stem", "conv2"), False, ""), ChannelGroup("conv1", 5, ("conv1",), True, "")),
    (),
)


@pytest.fixture
def model() -> Residual:
    torch.manual_seed(0)
    network = Residual()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.3)
            nn.init.normal_(module.running_mean, 0.0, 0.3)
    return network


@pytest.fixture
def calibration() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(10, 3, 8, 8), torch.arange(10) % 4


def outputs_behind_relu(model: Residual, images: Tensor) -> dict[str, Tensor]:
    x = F.relu(model.bn0(model.stem(images)))
    y = F.relu(model.bn1(model.conv1(x)))
    return {"stem": x, "conv1": y, "conv2": F.relu(model.bn2(model.conv2(y)) + x)}


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_scores_every_channel_and_leaves_the_model_as_it_was(name, model, calibration):
    model.train()
    model.bn1.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = scores(name, model, ARCHITECTURE, *calibration, seed=3)
    assert {group: len(score) for group, score in found.items()} == {"stem": 6, "conv1": 5}
    assert all(score.dtype == torch.float64 and torch.isfinite(score).all() for score in found.values())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training
    assert model.fc.training
    assert not model.bn1.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    again = scores(name, model, ARCHITECTURE, *calibration, seed=3)
    assert all(torch.equal(found[group], again[group]) for group in found)


def test_a_coupled_group_scores_the_sum_of_its_members(model):
    expected = model.stem.weight.abs().sum((1, 2, 3)) + model.conv2.weight.abs().sum((1, 2, 3))
    torch.testing.assert_close(scores("l1", model, ARCHITECTURE)["stem"].float(), expected.detach())


def test_l2_is_the_root_of_the_sum_of_squares(model):
    torch.testing.assert_close(scores("l2", model, ARCHITECTURE)["conv1"].float(), model.conv1.weight.detach().flatten(1).norm(dim=1))


def test_fpgm_prunes_the_filter_nearest_to_all_others_even_when_its_norm_is_the_largest(model):
    with torch.no_grad():
        model.conv1.weight.zero_()
        model.conv1.weight[:, 0, 0, 0] = torch.tensor([1.0, 2.0, 9.0, 16.0, 17.0])
    found = scores("fpgm", model, ARCHITECTURE)["conv1"]
    assert found.tolist() == [40.0, 37.0, 30.0, 37.0, 40.0]


@pytest.mark.parametrize(("name", "read"), [("apoz", lambda out: (out != 0).double()), ("mean-activation", lambda out: out.double())])
def test_activation_statistics_are_taken_behind_the_nonlinearity(name, read, model, calibration):
    images, _ = calibration
    model.eval()
    with torch.no_grad():
        seen = {layer: read(out).mean((0, 2, 3)) for layer, out in outputs_behind_relu(model, images).items()}
    found = scores(name, model, ARCHITECTURE, images)
    torch.testing.assert_close(found["conv1"], seen["conv1"])
    torch.testing.assert_close(found["stem"], seen["stem"] + seen["conv2"])


def test_unequal_batches_do_not_bias_a_statistic(model, calibration, monkeypatch):
    images, _ = calibration
    whole = scores("mean-activation", model, ARCHITECTURE, images)["conv1"]
    monkeypatch.setattr("harness.pruning.criteria.CALIBRATION_BATCH", 7)  # 7 + 3
    torch.testing.assert_close(scores("mean-activation", model, ARCHITECTURE, images)["conv1"], whole)


def test_a_linear_bottleneck_counts_its_own_output(calibration):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(128, 4)).eval()
    architecture = Architecture("two", (3, 8, 8), 4, (ChannelGroup("0", 4, ("0",), False, ""),), ())
    expected = model[0](calibration[0]).mean((0, 2, 3)).detach().double()
    torch.testing.assert_close(scores("mean-activation", model, architecture, calibration[0])["0"], expected, atol=1e-6, rtol=1e-5)


def test_a_depthwise_convolution_counts_with_the_layer_that_it_follows(calibration):
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4))
    model = nn.Sequential(*layers).eval()
    architecture = Architecture("separable", (3, 8, 8), 4, (ChannelGroup("0", 4, ("0", "2"), False, ""),), ())
    expected = (model[0].weight.abs().sum((1, 2, 3)) + model[2].weight.abs().sum((1, 2, 3))).detach().double()
    torch.testing.assert_close(scores("l1", model, architecture)["0"], expected, atol=1e-6, rtol=1e-6)
    with torch.no_grad():
        first = model[:2](calibration[0])
        shares = (first != 0).double().mean((0, 2, 3)) + (model[2:4](first) != 0).double().mean((0, 2, 3))
    torch.testing.assert_close(scores("apoz", model, architecture, calibration[0])["0"], shares)
    assert scores("fpgm", model, architecture)["0"].shape == scores("taylor", model, architecture, *calibration)["0"].shape == (4,)


def test_taylor_is_the_squared_gradient_of_a_gate_behind_the_batch_norm(model, calibration):
    images, labels = calibration
    model.eval()
    F.cross_entropy(model(images), labels).backward()
    gate = model.bn1.weight.grad * model.bn1.weight + model.bn1.bias.grad * model.bn1.bias
    model.zero_grad(set_to_none=True)
    torch.testing.assert_close(scores("taylor", model, ARCHITECTURE, images, labels)["conv1"].float(), gate.detach().square())


def test_bn_scale_reads_the_norm_that_follows_the_layer(model):
    with torch.no_grad():
        model.bn1.weight.neg_()
    found = scores("bn-scale", model, ARCHITECTURE)
    torch.testing.assert_close(found["conv1"].float(), model.bn1.weight.detach().abs())
    torch.testing.assert_close(found["stem"].float(), (model.bn0.weight.abs() + model.bn2.weight.abs()).detach())


def test_random_depends_on_nothing_but_the_seed(model):
    first, again, other = (scores("random", model, ARCHITECTURE, seed=seed)["stem"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda model: scores("l3", model, ARCHITECTURE), UnknownName, "did you mean 'l1'|choose one of"),
        (lambda model: scores("apoz", model, ARCHITECTURE), PruningError, "needs calibration images"),
        (lambda model: scores("taylor", model, ARCHITECTURE, torch.zeros(2, 3, 8, 8)), PruningError, "needs the labels"),
        (
            lambda model: scores("taylor", model, ARCHITECTURE, torch.zeros(2, 3, 8, 8), torch.zeros(3).long()),
            PruningError,
            "one label per",
        ),
        (lambda model: scores("bn-scale", nn.Sequential(nn.Conv2d(3, 4, 1)), _alone("0", 4)), PruningError, "cannot score group 0"),
        (lambda model: scores("l1", model, _alone("conv9", 4)), PruningError, "no layer conv9"),
        (lambda model: scores("l1", model, _alone("conv1", 4)), PruningError, "has 5 channels, its group"),
    ],
    ids=["name", "images", "labels", "label-count", "no-norm", "no-layer", "wrong-width"],
)
def test_what_cannot_be_scored_is_said(call, error, says, model):
    with pytest.raises(error, match=says):
        call(model)


def test_a_nan_weight_is_named(model):
    with torch.no_grad():
        model.conv1.weight[3, 0, 0, 0] = float("nan")
    with pytest.raises(PruningError, match="group conv1, channel 3"):
        scores("l1", model, ARCHITECTURE)


def _alone(layer: str, channels: int) -> Architecture:
    return Architecture("alone", (3, 8, 8), 4, (ChannelGroup(layer, channels, (layer,), False, ""),), ())


def test_folded_rankings_weigh_filters_by_their_norm_and_need_its_statistics(model):
    """A filter as large as the others goes first when its norm shrinks it; a coupled group sums its folded members."""
    model.bn1.weight.data[2] = 1e-3
    assert int(scores("l1-folded", model, ARCHITECTURE)["conv1"].argmin()) == 2
    assert int(scores("l2-folded", model, ARCHITECTURE)["conv1"].argmin()) == 2
    by_hand = torch.zeros(6, dtype=torch.float64)
    for layer, norm in ((model.stem, model.bn0), (model.conv2, model.bn2)):
        factor = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        by_hand += (layer.weight.detach().double() * factor.view(-1, 1, 1, 1)).abs().sum((1, 2, 3))
    torch.testing.assert_close(scores("l1-folded", model, ARCHITECTURE)["stem"], by_hand)
    model.bn1 = nn.BatchNorm2d(5, track_running_stats=False)
    with pytest.raises(PruningError, match="batch norm bn1 keeps no running statistics to fold"):
        scores("l1-folded", model, ARCHITECTURE)
