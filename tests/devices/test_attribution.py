"""Executed nodes are credited to the network's own layers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.attribution import layer_of_node, source_layers

NODES = (("/conv1/Conv", "conv1"), ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"), ("/fc/Gemm", "fc"))


@pytest.mark.parametrize(
    ("node", "layer"),
    [
        ("/conv1/Conv", "conv1"),
        ("/layer1/layer1.0/conv2/Conv", "layer1.0.conv2"),
        ("/features/features.1/conv/conv.0/conv.0.0/Conv", "features.1.conv.0.0"),
        ("/model/layer1/layer1.0/relu_1/Relu", "model.layer1.0.relu_1"),
        ("Conv_12", ""),
    ],
)
def test_a_layer_is_read_from_the_exported_name(node: str, layer: str) -> None:
    assert layer_of_node(node) == layer


def test_a_fused_node_is_credited_to_all_its_layers_in_network_order() -> None:
    assert source_layers(["/fc/Gemm", "/relu/Relu", "/conv1/Conv"], NODES) == ("conv1", "fc")


def test_what_belongs_to_no_layer_is_credited_to_none() -> None:
    assert source_layers(["/pool/GlobalAveragePool"], NODES) == ()
    assert source_layers([], NODES) == ()


@given(st.lists(st.sampled_from([node for node, _ in NODES] + ["", "x", "/a/b"])))
def test_attribution_names_each_known_layer_once(sources: list[str]) -> None:
    found = source_layers(sources, NODES)
    assert len(set(found)) == len(found)
    assert set(found) == {layer for node, layer in NODES if node in sources}
