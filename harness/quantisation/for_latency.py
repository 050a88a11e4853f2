"""A quantised network whose scales mean nothing, for measuring latency: that depends on where INT8 runs, not on what it computes.

NNCF takes seconds to place INT8 in a network, and designed networks come by the hundred: where it put it in one is where it puts it in
all that differ by widths and removed branches only.
"""

from __future__ import annotations

import torch

from harness.networks import onnx_graph
from harness.networks.export import Artefact
from harness.networks.onnx_graph import Template
from harness.quantisation import quantising
from harness.quantisation.calibration import Calibration
from harness.quantisation.quantising import USUAL, Options, here

_TEMPLATES: list[tuple[Options, Template]] = []  # of this process, one for each kind of network that was asked for


def for_latency(artefact: Artefact, options: Options = USUAL) -> Artefact:
    """``artefact`` in the QDQ form, placed as NNCF places it; milliseconds for a network that was seen with other widths.

    Layers that it is to leave in float and has not are removed ones. Raises what ``quantise`` does.
    """
    quantising.check(artefact, here(options, artefact))
    laid = (onnx_graph.laid_over(template, artefact) for asked, template in _TEMPLATES if asked == options)
    return next((made for made in laid if made is not None), None) or _by_nncf(artefact, options)


def _by_nncf(artefact: Artefact, options: Options) -> Artefact:
    """As NNCF does it, with an image of noise, which is remembered."""
    count = max(1, artefact.input_shape[0])  # a file may fix it
    noise = torch.randn((count, *artefact.input_shape[1:]), generator=torch.Generator().manual_seed(0))
    made = quantising.quantise(artefact, Calibration(noise, "noise", 0, count, ""), here(options, artefact)).artefact
    _TEMPLATES.append((options, onnx_graph.template(made)))
    return onnx_graph.laid_over(_TEMPLATES[-1][1], artefact) or made
