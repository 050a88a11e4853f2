"""The channel groups of a network are the ones that one finds with pencil and paper."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.errors import PruningError
from harness.networks import groups, zoo
from harness.records.architecture import Architecture

IMAGE = (3, 32, 32)


def describe(model: nn.Module, image: tuple[int, int, int] = IMAGE, classes: int = 10) -> Architecture:
    return groups.architecture_of(model.eval(), "net", image, classes)


class Wired(nn.Module):
    """A network of named layers whose wiring is given as a function of (layers, images)."""

    def __init__(self, wiring: Callable[[nn.Module, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.wiring = wiring
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.fc = nn.LazyLinear(10)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.wiring(self, images))


def pooled(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))


def test_resnet20_has_three_residual_groups_and_nine_removable_interiors() -> None:
    architecture = describe(zoo.build("resnet20", IMAGE, 10))
    assert [group.name for group in architecture.groups if not group.removable] == ["conv1", "layer2.0.conv2", "layer3.0.conv2"]
    assert [group.name for group in architecture.groups if group.removable] == [
        f"layer{stage}.{block}.conv1" for stage in (1, 2, 3) for block in (0, 1, 2)
    ]
    assert architecture.group("layer2.0.conv2").members == (
        "layer2.0.conv2",
        "layer2.0.downsample.0",
        "layer2.1.conv2",
        "layer2.2.conv2",
    )
    sites = {site.name: site for site in architecture.layers}
    assert (sites["conv1"].in_groups, sites["conv1"].out_group) == ((), "conv1")
    assert (sites["layer2.0.conv1"].in_groups, sites["layer2.0.conv1"].branch) == (("conv1",), "layer2.0.conv1")
    assert sites["layer2.0.downsample.0"].branch is None
    assert (sites["fc"].in_groups, sites["fc"].out_group, sites["fc"].spatial_factor) == (("layer3.0.conv2",), None, 1)
    assert sites["layer3.1.conv2"].input_size == (8, 8)


def test_mobilenetv2_couples_depthwise_filters_with_their_producers() -> None:
    architecture = describe(zoo.build("mobilenetv2", IMAGE, 10))
    assert architecture.group("features.3.conv.0.0").members == ("features.3.conv.0.0", "features.3.conv.1.0")
    removable = {group.name.split(".")[1] for group in architecture.groups if group.removable}
    assert removable == {"3", "5", "6", "8", "9", "10", "12", "13", "15", "16"}, "the blocks with a skip connection"
    depthwise = next(site for site in architecture.layers if site.name == "features.3.conv.1.0")
    assert depthwise.depthwise
    assert depthwise.in_groups == (depthwise.out_group,)


def test_stages_are_top_modules_or_map_heights() -> None:
    resnet, mobile = (describe(zoo.build(name, IMAGE, 10)) for name in ("resnet20", "mobilenetv3-small"))
    assert [group.stage for group in resnet.groups] == ["conv1"] + 3 * ["layer1"] + 4 * ["layer2"] + 4 * ["layer3"]
    assert mobile.group("features.5.block.0.0").stage == mobile.group("features.5.block.2.fc1").stage == "features/8"


def test_a_bottleneck_is_removed_with_its_first_interior_group() -> None:
    architecture = describe(zoo.build("torchvision:resnet50", IMAGE, 10))
    assert architecture.group("layer1.1.conv1").removable
    assert not architecture.group("layer1.1.conv2").removable
    branch = {site.branch for site in architecture.layers if site.name.startswith("layer1.1.")}
    assert branch == {"layer1.1.conv1"}


def test_a_grouped_convolution_asks_for_multiples_of_its_groups() -> None:
    architecture = describe(zoo.build("torchvision:resnext50_32x4d", IMAGE, 10))
    assert architecture.group("layer1.0.conv1").step == 32
    assert architecture.group("layer1.0.conv2").step == 32
    assert architecture.group("layer2.0.conv3").step == 1


def test_concatenated_channels_stay_two_groups_in_order() -> None:
    def wiring(net: Wired, images: Tensor) -> Tensor:
        both = torch.cat([net.second(images), net.first(images)], 1)
        return pooled(net.joined(both))

    layers = {"first": nn.Conv2d(3, 4, 1), "second": nn.Conv2d(3, 6, 1), "joined": nn.Conv2d(10, 8, 1)}
    model = Wired(wiring, **layers)
    model(torch.zeros(1, *IMAGE))
    architecture = describe(model)
    joined = next(site for site in architecture.layers if site.name == "joined")
    assert joined.in_groups == ("second", "first")
    assert architecture.shapes(architecture.partial({"first": 1}))["joined"].in_channels == 7


def test_features_behind_a_flatten_count_per_channel() -> None:
    model = Wired(lambda net, images: net.conv(images).flatten(1), conv=nn.Conv2d(3, 4, 5))
    model(torch.zeros(1, 3, 8, 8))
    architecture = describe(model, (3, 8, 8))
    fc = architecture.layers[-1]
    assert (fc.spatial_factor, fc.in_channels) == (16, 64)
    assert architecture.shapes(architecture.partial({"conv": 3}))["fc"].in_features == 48


def test_channels_that_meet_a_layer_norm_keep_their_number() -> None:
    model = Wired(
        lambda net, images: pooled(net.second(torch.relu(net.norm(net.first(images))))),
        first=nn.Conv2d(3, 8, 1),
        norm=nn.GroupNorm(2, 8),
        second=nn.Conv2d(8, 6, 1),
    )
    model(torch.zeros(1, *IMAGE))
    assert [group.name for group in describe(model).groups] == ["second"]


def test_channels_that_are_also_the_output_form_no_group() -> None:
    class Refining(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.rough, self.refine = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 10, 1), nn.Conv2d(10, 10, 1)

        def forward(self, images: Tensor) -> Tensor:
            rough = self.rough(self.stem(images))
            return pooled(rough + self.refine(rough))

    assert [group.name for group in describe(Refining()).groups] == ["stem"]


def test_a_network_without_channels_that_can_go_is_refused_with_the_reasons() -> None:
    with pytest.raises(PruningError, match="no channels that can be removed"):
        describe(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)))
    model = Wired(lambda net, images: pooled(net.conv(net.conv(images))), conv=nn.Conv2d(3, 3, 1))
    model(torch.zeros(1, *IMAGE))
    with pytest.raises(PruningError, match="conv: conv runs twice") as refusal:
        describe(model)
    assert "\n" not in str(refusal.value)


def test_a_layer_that_runs_twice_is_counted_twice_and_left_alone() -> None:
    model = Wired(
        lambda net, images: pooled(net.last(net.twice(net.twice(net.stem(images))))),
        stem=nn.Conv2d(3, 8, 1),
        twice=nn.Conv2d(8, 8, 3, padding=1),
        last=nn.Conv2d(8, 6, 1),
    )
    model(torch.zeros(1, *IMAGE))
    architecture = describe(model)
    assert [group.name for group in architecture.groups] == ["last"]
    assert [site.name for site in architecture.layers] == ["stem", "twice", "twice@2", "last", "fc"]


def test_the_model_is_left_as_it_was() -> None:
    model = zoo.build("resnet20", IMAGE, 10).train()
    model.bn1.eval()
    model.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.inference_mode():
        describe_in_place = groups.architecture_of(model, "resnet20", IMAGE, 10)
    assert describe_in_place.groups
    assert model.training
    assert not model.bn1.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())


def test_a_network_whose_shapes_changed_is_traced_again() -> None:
    model = zoo.build("resnet20", IMAGE, 10)
    first = groups.coupling_of(model, IMAGE)
    assert groups.coupling_of(model, IMAGE) is first
    model.layer1[2] = nn.Identity()
    assert groups.coupling_of(model, IMAGE) is not first
