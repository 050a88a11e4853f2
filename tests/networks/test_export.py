"""What is exported computes what the module computes, and names the layers that it came from."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.errors import UsageError
from harness.networks import export, groups, zoo
from harness.networks.channels.running import run_once
from harness.pruning import surgery

IMAGE = (3, 32, 32)


def pruned(name: str) -> nn.Module:
    model = zoo.build(name, IMAGE, 10)
    architecture = groups.architecture_of(model, name, IMAGE, 10)
    removable = [group.name for group in architecture.groups if group.removable]
    config = architecture.uniform(0.6)
    for group in removable[::3]:
        config = config.with_channels(group, 0)
    return surgery.shrink(model, architecture, config)


def nested() -> nn.Module:
    inner = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3)))
    head = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Sequential(nn.ReLU(), nn.Linear(6, 10, bias=False)))
    return nn.Sequential(inner, nn.AdaptiveAvgPool2d(1), head).eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet20": partial(zoo.build, "resnet20", IMAGE, 10),
    "resnet20 pruned": partial(pruned, "resnet20"),
    "mobilenetv2 pruned": partial(pruned, "mobilenetv2"),
    "mobilenetv3-small": partial(zoo.build, "mobilenetv3-small", IMAGE, 10),
    "torchvision:googlenet": partial(zoo.build, "torchvision:googlenet", IMAGE, 10),
    "nested": nested,
}


def openvino_logits(data: bytes, images: Tensor) -> NDArray[np.float32]:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(openvino.Core().read_model(data), "CPU", settings)
    answer: NDArray[np.float32] = compiled(images.numpy())[0]
    return answer


@pytest.mark.parametrize("network", NETWORKS)
def test_openvino_agrees_with_torch_and_every_layer_is_named(network: str) -> None:
    model = NETWORKS[network]()
    artefact = export.export(model, IMAGE, network, batch_size=2)
    images = torch.randn(2, *IMAGE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(images).numpy()
    scale = max(1.0, float(np.abs(expected).max()))
    assert np.abs(openvino_logits(artefact.onnx, images) - expected).max() < 1e-4 * scale
    ran = run_once(model, images)
    assert [layer for _, layer in artefact.node_layers] == [layer.name for layer in ran]
    nodes = {node.name: node.op_type for node in onnx.load_model_from_string(artefact.onnx).graph.node}
    for (node, _), layer in zip(artefact.node_layers, ran, strict=True):
        assert (nodes[node] == "Conv") == (layer.kind == "conv")


def test_the_file_is_opset_13_with_a_fixed_batch() -> None:
    artefact = export.export(nested(), IMAGE, "nested", batch_size=4)
    graph = onnx.load_model_from_string(artefact.onnx)
    assert graph.opset_import[0].version == 13
    assert [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim] == [4, 3, 32, 32]
    assert artefact.input_shape == (4, 3, 32, 32)


def test_equal_models_give_equal_bytes_whatever_their_mode_and_memory_format() -> None:
    plain, other = (zoo.build("resnet20", IMAGE, 10, seed=3) for _ in range(2))
    other.train().to(memory_format=torch.channels_last)
    first, second = (export.export(model, IMAGE, "resnet20") for model in (plain, other))
    assert first.digest == second.digest
    assert first.onnx == second.onnx
    assert export.export(zoo.build("resnet20", IMAGE, 10, seed=4), IMAGE, "resnet20").digest != first.digest


def test_a_network_in_training_is_exported_as_it_evaluates() -> None:
    """In training, the statistics of a batch of one image have no spread and batch norm refuses them."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 10)).train()
    artefact = export.export(model, IMAGE, "normed")
    images = torch.randn(1, *IMAGE)
    with torch.inference_mode():
        assert np.abs(openvino_logits(artefact.onnx, images) - model.eval()(images).numpy()).max() < 1e-4


def test_exporting_leaves_the_model_as_it_is() -> None:
    model = zoo.build("resnet20", IMAGE, 10).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export.export(model, IMAGE, "resnet20")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_an_export_says_nothing_on_the_terminal() -> None:
    code = (
        "from harness.networks import export, zoo;"
        "export.export(zoo.build('mobilenetv3-small', (3, 32, 32), 10), (3, 32, 32), 'mobilenetv3-small')"
    )
    answer = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == ""
    assert answer.stderr == ""


class Inverting(nn.Module):
    """Uses an operation that ONNX does not have."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.linalg.eigvals(images[:, 0, :10, :10]).real


class Functional(nn.Module):
    """A convolution without a module between two with one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(6, 8, 3), nn.Linear(8, 10)
        self.register_buffer("kernel", torch.ones(6, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.conv2d(self.first(images), self.kernel)
        return self.fc(self.second(maps).mean((2, 3)))


def test_a_convolution_without_a_module_is_named_by_its_weights() -> None:
    artefact = export.export(Functional().eval(), IMAGE, "functional")
    assert [layer for _, layer in artefact.node_layers] == ["first", "kernel", "second", "fc"]
    graph = onnx.load_model_from_string(artefact.onnx).graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = {node.name: weights.get(node.input[1]) for node in graph.node if node.op_type == "Conv"}
    assert [shapes[node] for node, _ in artefact.node_layers[:3]] == [[4, 3, 3, 3], [6, 4, 1, 1], [8, 6, 3, 3]]


def test_operations_that_onnx_lacks_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="cannot be written as ONNX of opset 17") as failure:
        export.export(Inverting(), IMAGE, "inverting")
    assert "\n" not in str(failure.value)


class Attending(nn.Module):
    """Fused attention over a map's positions, which opset 13 does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.qkv, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 24), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        queries, keys, values = self.qkv(tokens).chunk(3, -1)
        return self.fc(nn.functional.scaled_dot_product_attention(queries, keys, values).mean(1))


def test_fused_attention_is_written_in_a_newer_opset_and_computes_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    model = Attending().eval()
    artefact = export.export(model, IMAGE, "attending")
    assert onnx.load_model_from_string(artefact.onnx).opset_import[0].version == export.NEWER_OPSETS[0]
    images = torch.randn(1, *IMAGE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert np.abs(openvino_logits(artefact.onnx, images) - model(images).numpy()).max() < 1e-4
    assert capfd.readouterr().out == ""


def test_a_written_file_reads_back(tmp_path) -> None:
    artefact = export.export(nested(), IMAGE, "nested")
    path = tmp_path / "model.onnx"
    path.write_bytes(artefact.onnx)
    assert export.read(path, "nested") == artefact
    path.write_bytes(artefact.onnx[: len(artefact.onnx) // 2])
    with pytest.raises(UsageError):
        export.read(path, "nested")


@pytest.mark.parametrize("operator", ["ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "QLinearConv", "QGemm"])
def test_int8_that_is_not_in_the_qdq_form_is_refused(operator: str) -> None:
    """As onnxruntime.quantization leaves it by default: no runtime tells what of it ran in INT8, and it was called a network in float."""
    model = onnx.load_model_from_string(_small().onnx)
    model.opset_import.add(domain="com.microsoft", version=1)
    model.graph.node.append(onnx.helper.make_node(operator, [], ["x"], domain="com.microsoft"))
    with pytest.raises(UsageError, match=f"small.onnx is quantised by {operator}, not in the QDQ form.*harness.quantisation"):
        export.parse(model.SerializeToString(), "small", "small.onnx")


def test_images_of_other_numbers_are_read_and_refused_where_pictures_in_f32_are_needed() -> None:
    half, turned = (onnx.load_model_from_string(_small().onnx) for _ in range(2))
    half.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    with pytest.raises(UsageError, match="INT8 needs a network that takes f32 pictures alone; small takes"):
        export.check_picture(export.parse(half.SerializeToString(), "small"), "INT8")
    turned.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(UsageError, match="leaves height of its input images .1x1xheightx8. open; give --input-shape"):
        export.parse(turned.SerializeToString(), "small")


def test_an_open_batch_stays_open_only_where_that_is_asked_for(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(_small().onnx)
    for told in (model.graph.input[0], model.graph.output[0]):
        told.type.tensor_type.shape.dim[0].dim_param = "N"
    path = tmp_path / "open.onnx"
    path.write_bytes(model.SerializeToString())
    assert export.read(path, "open").input_shape == (1, 1, 8, 8)
    assert export.read(path, "open", keep_open=True).input_shape == (0, 1, 8, 8)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="leaves height of its input images .Nx1xheightx8. open"):
        export.read(path, "open", keep_open=True)


def _small() -> export.Artefact:
    return export.export(nn.Conv2d(1, 2, 3), (1, 8, 8), "small")
