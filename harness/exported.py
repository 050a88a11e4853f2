"""Networks that come as ONNX files: measured and explained by an architecture read from their own graph, never pruned.

Which channels can go, only the network's code can tell: its training continues there. A file has layers, and no groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.devices.samples import Subject
from harness.errors import UsageError
from harness.networks import export, onnx_graph
from harness.networks.export import Artefact
from harness.networks.foreign import layers
from harness.networks.foreign.layers import GraphLayer
from harness.records.architecture import Architecture, LayerSite

ENDING = ".onnx"
_NO_LAYER = ("", "")  # where a graph has none: an empty table would have them read off the nodes' names
NO_PRUNING = (
    "is an ONNX file: it is measured, not pruned, for a file does not say which channels can go; give the network's code, "
    "--network=path/to/file.py:factory"
)


def is_file(network: str) -> bool:
    """Whether ``--network`` names an ONNX file."""
    return network.lower().endswith(ENDING)


@dataclass(frozen=True)
class Exported:
    """A network that is a file.

    node_layers: ``(ONNX node, layer)`` of every layer. label: what a comparison calls it, empty for one that stands alone. notes:
    sentences on its graph.
    """

    name: str
    artefact: Artefact
    architecture: Architecture
    node_layers: tuple[tuple[str, str], ...]
    label: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def read(
        cls, path: Path, name: str | None = None, batch_size: int = 1, image: tuple[int | None, int, int] | None = None, label: str = ""
    ) -> Exported:
        """The network in ``path``, called ``name`` or as the file is; UsageError, in one line, for what cannot be measured."""
        if not path.is_file():
            raise UsageError(f"there is no file {path}; give an ONNX file that exists")
        called = name or path.stem
        return cls.of(export.read(path, called, batch_size, image), label)

    @classmethod
    def of(cls, artefact: Artefact, label: str = "") -> Exported:
        """The network of an artefact, with the architecture that its graph shows: layers, and nothing that can be removed."""
        batch, sizes = artefact.input_shape[0], artefact.input_shape[1:]
        found = layers.found(artefact.onnx, batch, dict(artefact.node_layers))
        channels, height, width = (1, 1, 1, *sizes)[-3:] if len(sizes) <= 3 else sizes[:3]
        architecture = Architecture(artefact.name, (channels, height, width), found.classes, (), tuple(map(_site, found.layers)))
        told = ", ".join(f"{count} {operator}" for operator, count in found.left_out)
        notes = (f"{artefact.name}: {told} have weights and no row of their own; their time is among the other operations",) if told else ()
        pairs = tuple((layer.node, layer.name) for layer in found.layers)
        return cls(artefact.name, artefact, architecture, pairs or (_NO_LAYER,), label, notes)

    def subject(self) -> Subject:
        """What a device is sent."""
        return Subject(
            network=self.name,
            architecture_digest=self.architecture.digest,
            config=self.architecture.dense(),
            onnx=self.artefact.onnx,
            artefact_digest=self.artefact.digest,
            node_layers=self.node_layers,
            label=self.label,
            precision=onnx_graph.runs_in(self.artefact),
        )


def _site(layer: GraphLayer) -> LayerSite:
    return LayerSite(
        name=layer.name,
        kind=layer.kind,
        in_groups=(),
        out_group=None,
        in_channels=layer.in_channels,
        out_channels=layer.out_channels,
        kernel_size=layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        depthwise=layer.groups == layer.in_channels > 1,
        conv_groups=layer.groups,
        input_size=layer.input_size,
    )


def beside(architecture: Architecture, artefact: Artefact) -> tuple[Subject, Architecture]:
    """An exported network to measure beside those of ``architecture``, and the architecture that its layers are of.

    That is ``architecture`` for a file of ours whose layers are its layers, narrowed or not; what it was pruned by is not known. A
    foreign network has one of its own.
    """
    own = Exported.of(artefact, artefact.name)
    if not _is_of(architecture, own):
        return own.subject(), own.architecture
    subject = Subject(
        network=architecture.network,
        architecture_digest=architecture.digest,
        config=None,
        onnx=artefact.onnx,
        artefact_digest=artefact.digest,
        node_layers=artefact.node_layers,
        label=artefact.name,
        precision=onnx_graph.runs_in(artefact),
    )
    return subject, architecture


def _is_of(architecture: Architecture, own: Exported) -> bool:
    """Whether the file names its layers and they are ``architecture``'s, as wide at most."""
    known = {site.name: site for site in architecture.layers}
    named = {layer for _, layer in own.artefact.node_layers}
    if not named or not named <= set(known):
        return False
    shared = [(site, known[site.name]) for site in own.architecture.layers if site.name in known]
    return all(
        ours.kind == theirs.kind and ours.kernel_size == theirs.kernel_size and ours.out_channels <= theirs.out_channels
        for ours, theirs in shared
    )
