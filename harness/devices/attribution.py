"""Which of the network's own layers an executed node stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def source_layers(sources: Iterable[str], node_layers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The layers behind the ONNX nodes ``sources``, each once, in the order of ``node_layers``; empty when there are none.

    node_layers: ``(ONNX node name, layer name)`` pairs in network order. Without any, the layer is read from the node's
    own name, into which the exporter writes the module's path.
    """
    wanted = list(sources)
    if not node_layers:
        return tuple(dict.fromkeys(layer for layer in map(layer_of_node, wanted) if layer))
    known: Mapping[str, str] = dict(node_layers)
    found = {known[source] for source in wanted if source in known}
    return tuple(dict.fromkeys(layer for _, layer in node_layers if layer in found))


def layer_of_node(node: str) -> str:
    """The module path inside an exported ONNX node's name: ``/layer1/layer1.0/conv1/Conv`` is of ``layer1.0.conv1``.

    Each part is a module's name within its parent; a container's children repeat the container's name before theirs.
    """
    parts: list[str] = []
    for part in node.strip("/").split("/")[:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts[-1] = part
        else:
            parts.append(part)
    return ".".join(parts)
