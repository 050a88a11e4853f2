"""Removal is exact: the smaller network computes what the dense one computes with the same channels zeroed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.errors import HarnessError, PruningError
from harness.networks import groups, zoo
from harness.networks.channels import slicing
from harness.pruning import surgery
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

IMAGE = (3, 32, 32)


class Concatenating(nn.Module):
    """Two branches joined in one map, an addition across them, a grouped and a depthwise layer, features behind a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.PReLU(8))
        self.right = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.joined = nn.Sequential(nn.BatchNorm2d(16), nn.Conv2d(16, 12, 1), nn.ReLU())
        self.grouped = nn.Sequential(nn.Conv2d(12, 12, 3, 2, 1, groups=3), nn.BatchNorm2d(12), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(12, 12, 3, 4, 1, groups=12), nn.BatchNorm2d(12), nn.Hardswish())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(12 * 16, 20), nn.ReLU(), nn.Linear(20, 10))

    def forward(self, images: Tensor) -> Tensor:
        left, right = self.left(images), self.right(images)
        return self.head(self.depthwise(self.grouped(self.joined(torch.cat([left, right], 1)))))


class Squeezing(nn.Module):
    """A user's residual block, with a gate per channel, that says itself what it is without its branch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(channels, 12, 1), nn.BatchNorm2d(12), nn.SiLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 6, 1), nn.ReLU(), nn.Conv2d(6, 12, 1), nn.Hardsigmoid())
        self.project = nn.Sequential(nn.Conv2d(12, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, images: Tensor) -> Tensor:
        wide = self.expand(images)
        return images + self.project(wide * self.gate(wide))

    def without_branch(self) -> nn.Module:
        return nn.Identity()


def squeezing() -> nn.Module:
    stem = (nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8, affine=False), nn.ReLU())
    return nn.Sequential(*stem, Squeezing(8), Squeezing(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


@dataclass(frozen=True)
class Dense:
    model: nn.Module
    architecture: Architecture


FACTORIES: dict[str, Callable[[], nn.Module]] = {"concatenating": Concatenating, "squeezing": squeezing}


@cache
def dense(name: str) -> Dense:
    """A network with batch norm statistics, scales and shifts that no removal could get right by accident."""
    torch.manual_seed(0)
    model = FACTORIES[name]().eval() if name in FACTORIES else zoo.build(name, IMAGE, 10)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.bias, -0.3, 0.3),
                (module.running_var, 0.5, 1.5),
                (module.weight, 0.5, 1.5),
            ):
                if tensor is not None:
                    tensor.data.uniform_(low, high, generator=generator)
    return Dense(model, groups.architecture_of(model, name, IMAGE, 10))


def configurations(architecture: Architecture) -> st.SearchStrategy[PruningConfig]:
    def kept(group: groups.ChannelGroup) -> st.SearchStrategy[int]:
        several = st.integers(1, group.channels // group.step).map(lambda count: count * group.step)
        return st.one_of(st.just(0), several) if group.removable else several

    channels = st.fixed_dictionaries({group.name: kept(group) for group in architecture.groups})
    return channels.map(lambda chosen: PruningConfig.of(architecture.network, chosen))


def random_scores(architecture: Architecture, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {group.name: torch.rand(group.channels, generator=generator) for group in architecture.groups}


def logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return model(images)


def check_exact(name: str, config: PruningConfig, seed: int) -> None:
    model, architecture = dense(name).model, dense(name).architecture
    scores = random_scores(architecture, seed)
    thinned = surgery.prune(model, architecture, config, scores)
    images = torch.randn(2, *IMAGE, generator=torch.Generator().manual_seed(seed))
    expected = logits(surgery.masked(model, architecture, config, scores), images)
    assert torch.allclose(logits(thinned, images), expected, rtol=1e-5, atol=1e-5 * max(1.0, float(expected.abs().max())))
    weights = sum(module.weight.numel() for module in thinned.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    assert weights == sum(shape.weight_count for shape in architecture.shapes(config).values()), "the record's shapes are the network's"


@pytest.mark.parametrize("name", ["resnet20", "concatenating", "squeezing"])
@given(choices=st.data(), seed=st.integers(0, 1000))
def test_thinned_equals_masked_for_random_configurations(name: str, choices: st.DataObject, seed: int) -> None:
    check_exact(name, choices.draw(configurations(dense(name).architecture)), seed)


@pytest.mark.parametrize("name", ["mobilenetv2", "mobilenetv3-small", "torchvision:resnet50", "torchvision:googlenet"])
@settings(max_examples=2)
@given(choices=st.data(), seed=st.integers(0, 1000))
def test_thinned_equals_masked_for_large_networks(name: str, choices: st.DataObject, seed: int) -> None:
    check_exact(name, choices.draw(configurations(dense(name).architecture)), seed)


def test_every_branch_removed_leaves_the_shortcuts() -> None:
    architecture = dense("resnet20").architecture
    config = architecture.partial({group.name: 0 for group in architecture.groups if group.removable})
    check_exact("resnet20", config, 0)
    bare = surgery.shrink(dense("resnet20").model, architecture, config)
    left = [name for name, module in bare.named_modules() if isinstance(module, nn.Conv2d)]
    assert left == ["conv1", "layer2.0.downsample.0", "layer3.0.downsample.0"]


def test_keeping_everything_changes_nothing() -> None:
    model, architecture = dense("resnet20").model, dense("resnet20").architecture
    copied = surgery.prune(model, architecture, architecture.dense(), {})
    assert copied is not model
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(model.state_dict().values(), copied.state_dict().values(), strict=True))


def test_the_given_model_stays_as_it_is() -> None:
    model, architecture = zoo.build("resnet20", IMAGE, 10).train(), dense("resnet20").architecture
    model.conv1.weight.grad = torch.ones_like(model.conv1.weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    thinned = surgery.shrink(model, architecture, architecture.uniform(0.5))
    assert model.training
    assert thinned.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.conv1.weight.grad is not None
    assert all(parameter.grad is None and parameter.requires_grad for parameter in thinned.parameters())


def test_the_best_scored_channels_stay() -> None:
    model, architecture = dense("resnet20").model, dense("resnet20").architecture
    scores = random_scores(architecture) | {"layer1.0.conv1": torch.arange(16.0)}
    thinned = surgery.prune(model, architecture, architecture.partial({"layer1.0.conv1": 3}), scores)
    assert torch.equal(thinned.get_submodule("layer1.0.conv1").weight, model.get_submodule("layer1.0.conv1").weight[13:])
    assert torch.equal(thinned.get_submodule("layer1.0.conv2").weight, model.get_submodule("layer1.0.conv2").weight[:, 13:])


def test_shrink_keeps_the_first_channels() -> None:
    model, architecture = dense("resnet20").model, dense("resnet20").architecture
    thinned = surgery.shrink(model, architecture, architecture.partial({"conv1": 5}))
    assert torch.equal(thinned.get_submodule("conv1").weight, model.get_submodule("conv1").weight[:5])


def test_grouped_convolutions_lose_the_same_places_of_each_part() -> None:
    """torch-pruning slices all of a grouped convolution's parts by the first part's places; other sets are silently wrong."""
    model, architecture = dense("concatenating").model, dense("concatenating").architecture
    group = next(group for group in architecture.groups if group.name == "joined.1")
    assert group.step == 3
    scores = random_scores(architecture) | {group.name: torch.tensor([9, 0, 8, 0, 9, 0, 0, 8, 0, 7, 0, 7.0])}
    kept = surgery.chosen(architecture, architecture.partial({group.name: 6}), scores)[group.name]
    assert kept == (0, 3, 4, 7, 8, 11), "places 0 and 3 of the three parts have the largest sums"
    whole = {other.name: tuple(range(other.channels)) for other in architecture.groups}
    with pytest.raises(PruningError, match="same places in each of its 3 parts"):
        surgery.remove(model, architecture, whole | {group.name: (0, 3, 4, 7, 9, 11)})


@pytest.mark.parametrize(
    ("channels", "told"),
    [({"conv1": 0}, "would cut the network"), ({"conv1": 17}, "cannot be kept"), ({"conv9": 3}, "unknown channel group 'conv9'")],
    ids=["a residual group removed", "more than there are", "no such group"],
)
def test_a_configuration_that_does_not_fit_is_refused(channels: dict[str, int], told: str) -> None:
    model, architecture = dense("resnet20").model, dense("resnet20").architecture
    config = PruningConfig.of("resnet20", dict(architecture.dense().channels) | channels)
    with pytest.raises(HarnessError, match=told):
        surgery.shrink(model, architecture, config)


@pytest.mark.parametrize("scores", [{}, {"conv1": torch.rand(15)}, {"conv1": torch.full((16,), float("nan"))}])
def test_scores_that_do_not_fit_are_refused(scores: dict[str, Tensor]) -> None:
    model, architecture = dense("resnet20").model, dense("resnet20").architecture
    with pytest.raises(PruningError, match="score"):
        surgery.prune(model, architecture, architecture.partial({"conv1": 8}), scores)


@pytest.mark.parametrize("indices", [(1, 0), (0, 0), (0, 16), (-1, 3)])
def test_index_sets_that_do_not_fit_are_refused(indices: tuple[int, ...]) -> None:
    model, architecture = dense("resnet20").model, dense("resnet20").architecture
    kept = {group.name: tuple(range(group.channels)) for group in architecture.groups} | {"conv1": indices}
    with pytest.raises(PruningError, match="ascending indices from 0 to 15"):
        surgery.remove(model, architecture, kept)


def test_channels_that_are_read_in_another_order_are_removed_where_they_are_read() -> None:
    class Reversing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.fc = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Linear(8, 10)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.second(torch.relu(self.first(images)).flip(1)).mean((2, 3)))

    model, images = Reversing().eval(), torch.randn(2, *IMAGE)
    architecture = groups.architecture_of(model, "reversing", IMAGE, 10)
    kept = {"first": (0, 1, 6), "second": tuple(range(8))}
    removed, zeroed = (make(model, architecture, kept) for make in (surgery.remove, surgery.zero))
    assert torch.allclose(removed(images), zeroed(images), atol=1e-5)
    assert removed.second.in_channels == 3


def test_weights_that_give_no_finite_logits_are_told() -> None:
    model, architecture = zoo.build("resnet20", IMAGE, 10), dense("resnet20").architecture
    model.fc.bias.data[0] = float("nan")
    with pytest.raises(PruningError, match="no finite numbers"):
        surgery.shrink(model, architecture, architecture.uniform(0.5))


def test_the_architecture_of_another_network_is_refused() -> None:
    with pytest.raises(PruningError, match="is not the resnet20"):
        surgery.shrink(zoo.build("resnet32", IMAGE, 10), dense("resnet20").architecture, dense("resnet20").architecture.uniform(0.5))


def test_a_removal_shares_nothing_with_the_dense_network_and_keeps_what_is_tied():
    """The shortened copy: no common storage, hooks and modes of its own, a parameter used twice still one parameter."""

    class Tied(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
            self.scale = self[1].weight

    dense = Tied().train()
    dense[0].weight.grad = torch.ones_like(dense[0].weight)
    copied = slicing.duplicate(dense)
    copied.register_forward_hook(lambda *_: None)
    assert copied.scale is copied[1].weight is not dense[1].weight
    assert not dense._forward_hooks
    assert copied[0].weight.grad is None
    assert copied.training
    for name, tensor in dense.state_dict().items():
        other = copied.state_dict()[name]
        assert torch.equal(tensor, other)
        assert tensor.data_ptr() != other.data_ptr()
