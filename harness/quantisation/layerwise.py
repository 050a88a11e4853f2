"""Accuracy control: which layers make INT8 lose, measured; and the fewest left in float by which it loses no more than a limit.

Each layer alone is put back into float, and what that takes from the error of the logits ranks them, as in the sensitivity analysis of
[Wu2020]_ sec. 5.2; then the first so many of that rank stay in float, found by doubling and halving.

.. [Wu2020] H. Wu, P. Judd, X. Zhang, M. Isaev, P. Micikevicius: Integer quantization for deep learning inference: principles and empirical
   evaluation. arXiv 2004.09602.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import UsageError
from harness.networks import onnx_graph, several_outputs
from harness.networks.datasets import Split
from harness.networks.drawing import draw
from harness.networks.export import Artefact
from harness.quantisation.calibration import Calibration
from harness.quantisation.quantising import USUAL, Options, Quantised, quantise

LIMIT_RATIO = 0.002  # of top-1, what INT8 is seen to lose at most on networks that take it well
LOOKED_AT = 512  # images that a layer's share of the error is measured on: it is of logits, which needs fewer than an accuracy

Logits = NDArray[np.float32]
Answers = Callable[[Artefact, Tensor], Logits]  # of images (``N x C x H x W``), by the device that the network is for


@dataclass(frozen=True, slots=True)
class Harm:
    """What one layer adds to the error of a quantised network's logits.

    error_ratio: of the whole error; below 0 where the layer makes up for others.
    """

    layer: str
    error_ratio: float


@dataclass(frozen=True, slots=True)
class Controlled:
    """A network quantised within a limit.

    drop_ratio: top-1 lost against float on the judged images. harms: of all layers, most first; empty where nothing had to stay in float.
    """

    quantised: Quantised
    drop_ratio: float
    harms: tuple[Harm, ...]


def within(
    artefact: Artefact,
    calibration: Calibration,
    judged: Split,
    answers: Answers,
    limit_ratio: float = LIMIT_RATIO,
    options: Options = USUAL,
) -> Controlled:
    """``artefact`` quantised, with the fewest layers in float by which it loses at most ``limit_ratio`` of top-1 on ``judged``.

    judged: validation images, never test. answers: how any artefact answers images. Raises what ``quantise`` does, and UsageError where
    INT8 in any layer loses more.
    """
    right = _metric(answers(artefact, judged.images), artefact, judged)

    def lost(found: Quantised) -> float:
        return right - _metric(answers(found.artefact, judged.images), found.artefact, judged)

    whole = quantise(artefact, calibration, options)
    drop = lost(whole)
    if drop <= limit_ratio:
        return Controlled(whole, drop, ())
    ranked = harms(artefact, whole, draw(judged, LOOKED_AT).split.images, answers)
    tried: dict[int, tuple[Quantised, float]] = {0: (whole, drop)}

    def fits(count: int) -> bool:
        if count not in tried:
            left = (*options.in_float, *(one.layer for one in ranked[:count]))
            found = quantise(artefact, calibration, replace(options, in_float=left))
            tried[count] = found, lost(found)
        return tried[count][1] <= limit_ratio

    count = 1
    while count < len(ranked) and not fits(count):
        count *= 2
    if count >= len(ranked):
        raise UsageError(
            f"{artefact.name} loses more than {100 * limit_ratio:g} points in INT8 whichever layers stay in float; leave it in f32"
        )
    most, least = count, count // 2  # ``most`` fits, ``least`` does not
    while most - least > 1:
        middle = (most + least) // 2
        most, least = (middle, least) if fits(middle) else (most, middle)
    found, drop = tried[most]
    return Controlled(found, drop, ranked)


def harms(artefact: Artefact, quantised: Quantised, images: Tensor, answers: Answers) -> tuple[Harm, ...]:
    """What each quantised layer of ``quantised`` adds to the mean squared error of the logits for ``images``, most first."""
    expected = answers(artefact, images)
    whole = _error(answers(quantised.artefact, images), expected)
    done = {one.layer for one in quantised.layers if one.quantised}
    found = []
    for node, layer in onnx_graph.layers_of(artefact):
        if layer in done:
            without = _error(answers(onnx_graph.with_float(quantised.artefact, artefact, {node}), images), expected)
            found.append(Harm(layer, (whole - without) / max(whole, float(np.finfo(np.float32).tiny))))
    return tuple(sorted(found, key=lambda one: -one.error_ratio))


def _error(logits: Logits, expected: Logits) -> float:
    return float(np.mean(np.square(logits.astype(np.float64) - expected)))


def _metric(answers: Logits, artefact: Artefact, judged: Split) -> float:
    outputs = several_outputs.apart(answers, several_outputs.shapes(artefact))
    return float(judged.task.scores(judged.task.seen(outputs, judged.labels)).mean())
