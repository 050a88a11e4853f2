"""What is cut out of a dense network's exported graph is what torch would trace of the pruned network."""

import logging
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import onnx
import openvino
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.errors import PruningError
from harness.networks import groups, zoo
from harness.networks.export import Artefact
from harness.pruning import graph_surgery
from harness.pruning.graph_sameness import differences
from harness.pruning.shape_exports import ShapeExports
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

IMAGE = (3, 32, 32)


class Written(nn.Module):
    """Sizes of channels written into the graph as numbers, slopes, a product without a bias of its own, and two maps side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Sequential(nn.Conv2d(3, 6, 3), nn.PReLU(6)), nn.Conv2d(3, 4, 3)
        self.before, self.both, self.norm = nn.BatchNorm2d(10), nn.Conv2d(10, 8, 3, stride=4, bias=False), nn.BatchNorm2d(8)
        self.gate, self.inner, self.fc = nn.Linear(8, 8), nn.Linear(8 * 49, 12, bias=False), nn.Linear(12, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.both(self.before(torch.cat([self.left(images), self.right(images)], 1)).relu()).relu())
        maps = maps * self.gate(maps.mean((2, 3))).sigmoid().view(maps.shape[0], maps.shape[1], 1, 1)
        return self.fc(self.inner(maps.reshape(maps.shape[0], maps.shape[1] * 49)).relu())


class Larger(nn.Module):
    """A block whose branch is not added to its shortcut: the larger of both is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return torch.maximum(images, self.second(self.first(images).relu()))

    def without_branch(self) -> nn.Module:
        return nn.Identity()


TORCHVISION = ("resnet18", "shufflenet_v2_x0_5")
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: partial(zoo.build, name, IMAGE, 10) for name in ("resnet20", "mobilenetv2", "mobilenetv3-small")},
    **{f"torchvision:{name}": partial(zoo.build, f"torchvision:{name}", IMAGE, 10) for name in TORCHVISION},
    "written": lambda: Written().eval(),
}


def with_real_statistics(model: nn.Module) -> nn.Module:
    """Normalisation that does something, and no two biases alike: the exporter keeps constants of equal values only once."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5)
    return model


@cache
def exports(name: str) -> tuple[ShapeExports, Architecture]:
    model = with_real_statistics(NETWORKS[name]())
    with torch.no_grad():
        classes = model(torch.zeros(1, *IMAGE)).shape[1]
    architecture = groups.architecture_of(model, name, IMAGE, classes)
    return ShapeExports(model, architecture), architecture


@st.composite
def cuts(draw: st.DrawFn, architecture: Architecture) -> PruningConfig:
    parts = {group: group.channels // group.step for group in architecture.groups}
    kept = {group.name: group.step * draw(st.integers(0 if group.removable else 1, most)) for group, most in parts.items()}
    return PruningConfig.of(architecture.network, kept)


def logits(artefact: Artefact) -> NDArray[np.float32]:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(openvino.Core().read_model(artefact.onnx), "CPU", settings)
    images = np.random.default_rng(0).standard_normal((1, *IMAGE)).astype(np.float32)
    answer: NDArray[np.float32] = compiled(images)[0]
    return answer


def graph(artefact: Artefact) -> onnx.GraphProto:
    return onnx.load_model_from_string(artefact.onnx).graph


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_cut_graph_is_the_traced_one(name: str, data: st.DataObject, caplog: pytest.LogCaptureFixture) -> None:
    made, architecture = exports(name)
    config = data.draw(cuts(architecture))
    with caplog.at_level(logging.WARNING):
        ours, theirs = made.export(config), made.traced(config)
    assert not caplog.records, "it was cut, not traced"
    assert not differences(graph(ours), graph(theirs))
    onnx.checker.check_model(onnx.load_model_from_string(ours.onnx), full_check=True)
    assert [layer for _, layer in ours.node_layers] == [layer for _, layer in theirs.node_layers]
    answer, wanted = logits(ours), logits(theirs)
    assert np.abs(answer - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_what_cannot_be_cut_is_traced_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), Larger(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)).eval()
    architecture = groups.architecture_of(model, "larger", IMAGE, 5)
    assert architecture.group("2.first").removable
    made = ShapeExports(model, architecture)
    with caplog.at_level(logging.WARNING):
        for width in (3, 0):
            config = architecture.partial({"2.first": width})
            assert not differences(graph(made.export(config)), graph(made.traced(config)))
    assert len(caplog.records) == 1
    assert "larger is traced anew, which takes its time: the branch of 2 ends in /2/Max, which is no addition" in caplog.text


def test_a_cut_that_goes_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A mutant that keeps the last channels in place of the first."""
    model = with_real_statistics(NETWORKS["resnet20"]())
    architecture = groups.architecture_of(model, "resnet20", IMAGE, 10)
    right = graph_surgery.GraphSurgery._lost
    monkeypatch.setattr(graph_surgery.GraphSurgery, "_lost", lambda self, config: right(self, config)[::-1])
    made = ShapeExports(model, architecture)
    with caplog.at_level(logging.WARNING):
        assert not differences(graph(made.export(architecture.uniform(0.5))), graph(made.traced(architecture.uniform(0.5))))
    assert "is traced anew" in caplog.text


def test_the_dense_network_is_the_traced_one_and_a_wrong_configuration_is_refused() -> None:
    made, architecture = exports("resnet20")
    assert made.export(architecture.dense()) is made.dense
    with pytest.raises(PruningError, match="at most"):
        made.export(architecture.dense().with_channels("conv1", 99))


def test_two_graphs_that_differ_are_told_apart() -> None:
    made, architecture = exports("resnet20")
    half, other = (graph(made.export(architecture.uniform(ratio))) for ratio in (0.5, 0.6))
    assert not differences(half, half)
    assert differences(half, other)
    turned = onnx.GraphProto()
    turned.CopyFrom(half)
    next(node for node in turned.node if node.op_type == "Conv").attribute[0].ints[0] = 7
    assert "other settings" in differences(half, turned)[0].told
    scaled = onnx.GraphProto()
    scaled.CopyFrom(half)
    first = scaled.initializer[0]
    first.CopyFrom(onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(first), first.name))
    assert "other values" in differences(half, scaled)[0].told
