"""A quantised network whose scales mean nothing, for measuring latency: that depends on where INT8 runs, not on what it computes."""

from __future__ import annotations

import torch

from harness.networks.export import Artefact
from harness.quantisation.calibration import Calibration
from harness.quantisation.quantising import quantise


def for_latency(artefact: Artefact) -> Artefact:
    """``artefact`` in the QDQ form, placed as NNCF places it; milliseconds for a network that was seen with other widths.

    Raises what ``quantise`` does.
    """
    noise = torch.randn((1, *artefact.input_shape[1:]), generator=torch.Generator().manual_seed(0))
    return quantise(artefact, Calibration(noise, "noise", 0, 1, "")).artefact
