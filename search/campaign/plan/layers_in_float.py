"""Which layers INT8 leaves in float on a campaign's network, told by the dense one before designed networks are measured.

Pruned networks lose where the dense one does, for it is a layer's kind and place that INT8 spoils ([Nagel2021]_ sec. 3); and what stays in
float must be known before latencies are measured.

.. [Nagel2021] M. Nagel, M. Fournarakis, R. Amjad, Y. Bondarenko, M. van Baalen, T. Blankevoort: A white paper on neural network
   quantization. arXiv 2106.08295.
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import UnknownName, UsageError
from harness.networks import export, several_outputs
from harness.networks.export import Artefact
from harness.quantisation import calibration, layerwise
from harness.quantisation.answering import Answers, arithmetic_of, as_taken
from harness.quantisation.layerwise import LIMIT_RATIO
from harness.quantisation.quantising import quantise
from harness.records.architecture import Architecture
from harness.training import accuracy
from search.campaign.subject import Subject
from search.records.display import Display
from search.records.losses.drop import Drop, Paired
from search.records.request import QUANTISED, Request


def check(request: Request, architecture: Architecture) -> None:
    """UnknownName for a layer of ``--in-float`` that the network does not have, UsageError where it has no other."""
    known = {site.name for site in architecture.layers}
    for layer in request.layers_in_float:
        if layer not in known:
            raise UnknownName("layer", layer, known, "for --in-float")
    if request.layers_in_float and known <= set(request.layers_in_float):
        raise UsageError(f"--in-float={request.in_float} leaves nothing in INT8; name fewer layers, or leave int8 out of --precision")


def look(request: Request, subject: Subject, display: Display) -> Request:
    """The request with the layers that INT8 must leave in float, so that the dense network certainly loses no more than a fifth of a point.

    Said, with what it loses. As it is without INT8, and where the layers were given. Where INT8 loses more whichever stay in float, it is
    left out of a search in several precisions; UsageError where it was asked for alone.
    """
    if QUANTISED not in request.precisions or request.layers_in_float:
        return request
    artefact = export.export(subject.network.model, subject.dataset.input_shape, request.network)
    answers = Answers(arithmetic_of(request.device))
    try:
        with display.timed("quantising the dense network"):
            return _decided(request, subject, artefact, answers, display)
    finally:
        answers.close()


def _decided(request: Request, subject: Subject, artefact: Artefact, answers: Answers, display: Display) -> Request:
    images, wanted = calibration.of(subject.dataset, seed=request.seed), as_taken(request.device)
    lost = _lost(subject, quantise(artefact, images, wanted).artefact, answers)
    if lost.low <= 100 * LIMIT_RATIO:
        display.say(f"dense {request.network} in INT8 {_told(lost)}")
        return request
    noise_ratio = (lost.points - lost.low) / 100  # what the pictures cannot tell is no reason to leave a layer in float
    try:
        found = layerwise.within(artefact, images, subject.dataset.validation, answers.whatever, LIMIT_RATIO + noise_ratio, wanted)
    except UsageError:
        if request.precision.strip() == QUANTISED:
            raise
        display.say(f"INT8 is left out of the search, for the dense network in INT8 {_told(lost)}, whichever layers stay in float")
        left = [one for one in request.precisions if one != QUANTISED]
        return replace(request, precision=",".join(left))
    stay = [one.layer for one in found.quantised.layers if not one.quantised]
    now = _lost(subject, found.quantised.artefact, answers)
    display.say(f"dense {request.network} in INT8 {_told(lost)}; with {', '.join(stay)} in float, as from here on, it {_told(now)}")
    return replace(request, in_float=",".join(stay))


def _lost(subject: Subject, artefact: Artefact, answers: Answers) -> Drop:
    split = subject.dataset.validation
    outputs = several_outputs.apart(answers(artefact, split.images), several_outputs.shapes(artefact))
    return Paired.of(accuracy.right(outputs, split)[None], subject.right[None]).drop


def _told(lost: Drop) -> str:
    return f"loses {lost.points:.2f} points of validation top-1 ({lost.low:.2f} to {lost.high:.2f})"
