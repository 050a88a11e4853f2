"""The layers that a graph shows are those of the network's code, and their operations are the ones that the graph is counted to have."""

import io
from collections.abc import Callable

import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from harness.exported import Exported, beside
from harness.networks import export, onnx_macs, zoo
from harness.networks.foreign import layers
from harness.pipeline import Network
from tests.networks.foreign.written import picture_network


def exported(model: nn.Module, *inputs: torch.Tensor) -> bytes:
    content = io.BytesIO()
    torch.onnx.export(model.eval(), inputs, content, opset_version=17, dynamo=False)
    return content.getvalue()


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2", "mobilenetv3-small"])
def test_a_network_of_the_zoo_is_found_in_its_own_file(name: str) -> None:
    model = zoo.build(name, (3, 32, 32), 10)
    architecture = Network.wrap(name, model, (3, 32, 32), 10).architecture
    artefact = export.export(model, (3, 32, 32), name)
    own = Exported.of(artefact)
    assert own.architecture.shapes(own.architecture.dense()) == architecture.shapes(architecture.dense())
    assert own.architecture.macs(own.architecture.dense()) == onnx_macs.macs(artefact)
    assert beside(architecture, artefact)[1] == architecture


BUILT: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "grouped": lambda: (nn.Conv2d(8, 16, 3, groups=4, dilation=2), torch.zeros(2, 8, 12, 9)),
    "depthwise": lambda: (nn.Conv2d(8, 8, (3, 5), (2, 1), (1, 2), groups=8), torch.zeros(2, 8, 12, 9)),
    "linear of positions": lambda: (nn.Linear(6, 5), torch.zeros(2, 7, 6)),
    "line": lambda: (nn.Conv1d(4, 6, 3, 2, 1), torch.zeros(2, 4, 15)),
}


@pytest.mark.parametrize("kind", BUILT)
def test_a_layer_has_the_operations_of_its_weights_at_every_position(kind: str) -> None:
    model, batch = BUILT[kind]()
    (layer,) = layers.found(exported(model, batch), 2, {}).layers
    weights = next(model.parameters())
    answer = model(batch)
    positions = answer.numel() // len(batch) // weights.shape[0]
    own = Exported.of(export.parse(exported(model, batch), "own")).architecture
    assert own.macs(own.dense()) == weights.numel() * positions
    assert layer.out_channels == weights.shape[0]


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER"])
def test_padding_on_one_side_leaves_the_operations_right(auto: str) -> None:
    model = picture_network((1, 3, 15, 16))
    (convolution,) = [node for node in model.graph.node if node.op_type == "Conv"]
    del convolution.attribute[:]
    convolution.attribute.extend([helper.make_attribute("auto_pad", auto), helper.make_attribute("strides", [2, 2])])
    artefact = export.parse(model.SerializeToString(), "same")
    own = Exported.of(artefact).architecture
    assert own.macs(own.dense()) == onnx_macs.macs(artefact) == 8 * 27 * 8 * 8 + 80


def test_what_has_weights_and_no_row_is_said() -> None:
    own = Exported.of(export.parse(exported(nn.ConvTranspose2d(3, 4, 2, 2), torch.zeros(1, 3, 8, 8)), "up"))
    assert own.architecture.layers == ()
    assert own.notes == ("up: 1 ConvTranspose have weights and no row of their own; their time is among the other operations",)


def test_a_foreign_network_has_an_architecture_of_its_own() -> None:
    ours = Network.wrap("resnet20", zoo.build("resnet20", (3, 16, 16), 10), (3, 16, 16), 10).architecture
    artefact = export.parse(picture_network((1, 3, 16, 16)).SerializeToString(), "other")
    subject, architecture = beside(ours, artefact)
    assert architecture != ours
    assert (subject.network, subject.architecture_digest) == ("other", architecture.digest)
    assert [site.name for site in architecture.layers] == ["conv", "linear"] == [layer for _, layer in subject.node_layers]
    deeper = export.export(zoo.build("resnet32", (3, 16, 16), 10), (3, 16, 16), "resnet32")
    assert beside(ours, deeper)[1].network == "resnet32"
    assert onnx.load_model_from_string(subject.onnx).graph.node
