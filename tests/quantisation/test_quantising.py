"""A quantised network answers as the float one does, nearly; what cannot be quantised is refused before NNCF looks at it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.errors import UnknownName, UsageError
from harness.networks import export, onnx_graph
from harness.networks.datasets import Dataset
from harness.networks.export import Artefact
from harness.quantisation import calibration, quantising
from harness.quantisation.calibration import Calibration
from harness.quantisation.quantising import Options, is_quantised, layers_of, quantise
from tests.quantisation.conftest import SHAPE, Answers, network

LAYERS = ("stem", "first", "second", "depthwise", "fc")


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


@settings(max_examples=4, deadline=None)
@given(width=st.integers(2, 20), inner=st.integers(1, 20), seed=st.integers(0, 99))
def test_answers_stay_close_whatever_the_widths(
    answers: Answers, dataset: Dataset, images: Calibration, width: int, inner: int, seed: int
) -> None:
    plain = network(width, inner, seed)
    found = quantise(plain, images)
    assert is_quantised(found.artefact)
    assert all(one.quantised for one in found.layers)
    assert 0 < relative_error(answers(found.artefact, dataset.test.images), answers(plain, dataset.test.images)) < 0.3


def test_the_same_images_give_the_same_bytes_and_others_give_others(artefact: Artefact, images: Calibration, dataset: Dataset) -> None:
    first, again = (quantise(artefact, images) for _ in range(2))
    assert first.artefact.onnx == again.artefact.onnx
    assert first.artefact.digest == again.artefact.digest
    assert first.calibration == images.record
    assert quantise(artefact, calibration.of(dataset, 24, seed=1)).artefact.digest != first.artefact.digest


def test_name_input_and_layers_stay(artefact: Artefact, images: Calibration) -> None:
    found = quantise(artefact, images).artefact
    assert (found.name, found.input_shape, found.node_layers) == (artefact.name, artefact.input_shape, artefact.node_layers)
    assert tuple(layer for _, layer in found.node_layers) == LAYERS
    assert export.parse(found.onnx, artefact.name) == found


def test_with_every_layer_in_float_nothing_is_called_quantised(artefact: Artefact, images: Calibration) -> None:
    with pytest.raises(UsageError, match="every layer of residual-8-12 is to stay in float.*name fewer"):
        quantise(artefact, images, Options(in_float=LAYERS))


def opened(artefact: Artefact) -> Artefact:
    """The network as most exporters write it: for any number of images."""
    model = onnx_graph.model_of(artefact)
    for told in (model.graph.input[0], *model.graph.output):
        told.type.tensor_type.shape.dim[0].dim_param = "images"
    return export.parse(model.SerializeToString(), artefact.name, keep_open=True)


def test_a_network_for_any_number_of_images_stays_one(artefact: Artefact, images: Calibration, dataset: Dataset, answers: Answers) -> None:
    found = quantise(opened(artefact), images).artefact
    assert found.input_shape[0] == 0
    told = onnx_graph.model_of(found).graph
    assert {one.type.tensor_type.shape.dim[0].dim_param for one in (told.input[0], *told.output)} == {"images"}
    few = dataset.test.images[:6]
    assert np.allclose(answers(found, few), answers(quantise(artefact, images).artefact, few), atol=1e-5)


def test_what_the_runtime_below_nncf_refuses_is_one_line_too(images: Calibration) -> None:
    """A network of operations that ONNX Runtime lacks, which NNCF asks for the maps between."""
    model = onnx_graph.model_of(network())
    model.opset_import.add(domain="elsewhere", version=1)
    last = model.graph.node[-1]
    between = onnx.helper.make_node("Unheard", [last.output[0]], ["unheard"], name="unheard", domain="elsewhere")
    model.graph.node.append(between)
    model.graph.output[0].name = "unheard"
    strange = replace(network(), onnx=model.SerializeToString(), name="strange")
    with pytest.raises(UsageError, match="NNCF cannot quantise strange .*leave it in f32") as failure:
        quantise(strange, images)
    assert "\n" not in str(failure.value)


def test_a_layer_that_is_left_in_float_is_the_only_one(artefact: Artefact, images: Calibration) -> None:
    found = quantise(artefact, images, Options(in_float=("second",)))
    assert [one.layer for one in found.layers if not one.quantised] == ["second"]


def test_a_layer_put_back_into_float_lowers_the_error(artefact: Artefact, images: Calibration, answers: Answers, dataset: Dataset) -> None:
    """All layers put back answer what the float network answers, but for what lies between them."""
    found, nodes = quantise(artefact, images).artefact, [node for node, _ in artefact.node_layers]
    expected = answers(artefact, dataset.test.images)
    errors = [relative_error(answers(found, dataset.test.images), expected)]
    for count in (3, 5):
        back = onnx_graph.with_float(found, artefact, nodes[:count])
        onnx.checker.check_model(onnx_graph.model_of(back), full_check=True)
        assert onnx_graph.quantised_nodes(back) == frozenset(nodes[count:])
        errors.append(relative_error(answers(back, dataset.test.images) if count < 5 else expected, expected))
    assert errors[0] > errors[1]


def test_images_in_batches_give_the_scales_of_images_one_by_one(
    artefact: Artefact, images: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = quantise(artefact, images).artefact
    monkeypatch.setattr(quantising, "MOST_AT_ONCE", 1)
    alone = {one.name: one.values for one in onnx_graph.constants(quantise(artefact, images).artefact)}
    scales = {one.name: one.values for one in onnx_graph.constants(together)}
    assert scales.keys() == alone.keys()
    for name, values in scales.items():
        assert np.allclose(values, alone[name], rtol=1e-3, atol=1e-5), name


def test_activations_for_tensorrt_are_signed_with_one_scale_each(artefact: Artefact, images: Calibration) -> None:
    usual, signed = (quantise(artefact, images, Options(signed=one)).artefact for one in (False, True))
    kinds = [
        {(one.zero_point.dtype.name, one.scale.shape == ()) for one in onnx_graph.template(of).inputs if not one.weight}
        for of in (usual, signed)
    ]
    assert ("uint8", True) in kinds[0]
    assert kinds[1] == {("int8", True)}


def test_the_options_are_seen_in_the_scales(artefact: Artefact, images: Calibration) -> None:
    one = onnx_graph.template(quantise(artefact, images, Options(per_channel=False)).artefact)
    assert {found.scale.size for found in one.inputs if found.weight} == {1}
    asymmetric = onnx_graph.template(quantise(artefact, images, Options(symmetric=False)).artefact)
    assert any(np.any(found.zero_point != 0) for found in asymmetric.inputs if not found.weight)


class Undefined(nn.Module):
    """Its weights are numbers, what it makes of images is not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(torch.sqrt(-1 - torch.relu(self.conv(images)).mean((2, 3))))
        return logits


def test_what_cannot_be_quantised_is_refused_in_one_line(artefact: Artefact, images: Calibration) -> None:
    spoilt = nn.Conv2d(3, 4, 3)
    nn.init.constant_(spoilt.weight, torch.nan)
    pools = nn.Sequential(nn.MaxPool2d(2), nn.Flatten())
    cases = {
        "quantised already": quantise(artefact, images).artefact,
        "no convolution and no linear layer": export.export(pools, SHAPE, "pools"),
        "weights that are no numbers": export.export(spoilt, SHAPE, "spoilt"),
        "computes values that are no numbers .*train it again, or mend the images": export.export(Undefined(), SHAPE, "undefined"),
        "give images of that size": export.export(nn.Conv2d(3, 4, 3), (3, 16, 16), "larger"),
    }
    for told, refused in cases.items():
        with pytest.raises(UsageError, match=told) as failure:
            quantise(refused, images)
        assert "\n" not in str(failure.value)
    with pytest.raises(UnknownName, match="did you mean 'first'"):
        quantise(artefact, images, Options(in_float=("firts",)))


def test_quantising_says_nothing_and_sends_nothing() -> None:
    code = (
        "import logging, torch; from tests.quantisation.conftest import network; before = logging.getLoggerClass();"
        "from harness.quantisation.quantising import quantise; from harness.quantisation.calibration import Calibration;"
        "quantise(network(), Calibration(torch.randn(2, 3, 12, 12), 'training', 0, 2, ''));"
        "assert logging.getLoggerClass() is before;"
        "import nncf.telemetry.wrapper as sent; assert isinstance(sent.telemetry, sent.NNCFTelemetryStub)"
    )
    answer = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_a_foreign_networks_layers_are_its_nodes(artefact: Artefact, images: Calibration) -> None:
    foreign = replace(artefact, node_layers=())
    assert [one.layer for one in quantise(foreign, images).layers] == [node for node, _ in artefact.node_layers]


@given(st.lists(st.lists(st.sampled_from(["conv1", "layer1.0.conv1", "fc"]), min_size=1), max_size=3))
def test_layers_are_named_by_comma_or_one_by_one(words: list[list[str]]) -> None:
    flat = [layer for word in words for layer in word]
    assert layers_of(",".join(word) for word in words) == layers_of(flat) == tuple(dict.fromkeys(flat))
