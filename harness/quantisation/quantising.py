"""Post-training quantisation to INT8 by NNCF [NNCF2020]_: a trained network and some images in, a network in the QDQ form out.

The only module that imports nncf, and only when it is used: that takes seconds.

.. [NNCF2020] A. Kozlov, I. Lazarevich, V. Shamporov, N. Lyalyushkin, Y. Gorbachev: Neural Network Compression Framework for fast model
   inference. arXiv 2002.08679.
.. [TensorRT2081] NVIDIA/TensorRT, issue 2081: Support for shifted zero point or uint8 after Relu activations. GitHub 2022.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, cast

import numpy as np

from harness.errors import UnknownName, UsageError
from harness.networks import export, onnx_graph
from harness.networks.export import Artefact
from harness.quantisation.calibration import Calibration
from harness.records.quantisation import CalibrationRecord, LayerQuantisation

MOST_AT_ONCE = 64  # calibration images; NNCF copies every observed map after each call, so few calls of many images are quickest
AS_ASKED, BY_NNCF = "left in float as asked", "NNCF leaves it in float"

_OF_NO_NUMBERS = "input_high == output_high"  # in NNCF's message where NaN, which equals nothing, is among the statistics

_ONE_AT_A_TIME = threading.Lock()  # NNCF has state of its own, and what is printed meanwhile is caught for the whole process


@dataclass(frozen=True, slots=True)
class Options:
    """How to quantise.

    per_channel: a scale for each filter of the weights, else one for all. symmetric: activations around zero, as TensorRT's explicit
    quantisation needs them. fast_bias_correction: biases make up for the mean error of each layer alone, else layer after layer, which
    takes minutes. in_float: module paths of layers that stay as they are. signed: activations as signed INT8 with one scale for all
    channels, all that TensorRT's explicit quantisation takes [TensorRT2081]_; what follows a ReLU then loses a bit.
    """

    per_channel: bool = True
    symmetric: bool = True
    fast_bias_correction: bool = True
    in_float: tuple[str, ...] = ()
    signed: bool = False


USUAL = Options()
SIGNED_ONLY = ("trtexec", "tensorrt")  # runtimes that take no unsigned activations


@dataclass(frozen=True, slots=True)
class Quantised:
    """A quantised network.

    artefact: in the QDQ form. layers: each convolution and linear layer, in the order in which they run. calibration: what the scales
    are from. seconds: what quantising took.
    """

    artefact: Artefact
    layers: tuple[LayerQuantisation, ...]
    calibration: CalibrationRecord
    seconds: float


def quantise(artefact: Artefact, calibration: Calibration, options: Options = USUAL) -> Quantised:
    """``artefact`` with INT8 weights and activations; the same for the same arguments, to the last bit.

    Raises UsageError for a network that is quantised already, would have nothing in INT8, or computes what is no number; UnknownName for a
    layer in ``options.in_float`` that it does not have.
    """
    begin = time.perf_counter()
    pairs = check(artefact, options)
    if tuple(calibration.images.shape[1:]) != artefact.input_shape[1:]:
        told = "x".join(map(str, calibration.images.shape[1:])), "x".join(map(str, artefact.input_shape[1:]))
        raise UsageError(f"calibration images of {told[0]} for {artefact.name}, which takes {told[1]}; give images of that size")
    left = frozenset(node for node, layer in pairs if layer in options.in_float)
    made = _by_nncf(artefact, calibration, options, sorted(left))
    done = onnx_graph.quantised_nodes(made)
    if not done:
        raise UsageError(f"NNCF leaves every layer of {artefact.name} in float, so nothing would run in INT8; leave it in f32")
    layers = tuple(
        LayerQuantisation(layer, node in done, "" if node in done else AS_ASKED if node in left else BY_NNCF) for node, layer in pairs
    )
    return Quantised(made, layers, calibration.record, time.perf_counter() - begin)


def layers_of(words: Iterable[str]) -> tuple[str, ...]:
    """The layers that some words name, each word one of them or several by comma; each layer once."""
    return tuple(dict.fromkeys(part.strip() for word in words for part in word.split(",") if part.strip()))


def here(options: Options, artefact: Artefact) -> Options:
    """``options`` for a network of which branches may be removed: it has fewer layers to leave in float."""
    known = {layer for _, layer in onnx_graph.layers_of(artefact)}
    return replace(options, in_float=tuple(layer for layer in options.in_float if layer in known))


def check(artefact: Artefact, options: Options = USUAL) -> tuple[tuple[str, str], ...]:
    """``(node, layer)`` of what can be quantised; raises what ``quantise`` does, at once."""
    export.check_picture(artefact, "INT8")
    if is_quantised(artefact):
        raise UsageError(f"{artefact.name} is quantised already; give the network in f32, or measure this one with --precision=int8")
    pairs = onnx_graph.layers_of(artefact)
    if not pairs:
        raise UsageError(f"{artefact.name} has no convolution and no linear layer, so nothing that INT8 makes faster; leave it in f32")
    known = {layer for _, layer in pairs}
    for layer in options.in_float:
        if layer not in known:
            raise UnknownName("layer", layer, known)
    if known <= set(options.in_float):
        raise UsageError(f"every layer of {artefact.name} is to stay in float, so nothing is in INT8; name fewer, or leave it in f32")
    for constant in onnx_graph.constants(artefact):
        if not np.isfinite(constant.values).all():
            raise UsageError(
                f"{artefact.name} holds weights that are no numbers (NaN or infinite, in {constant.name}); train or load it again"
            )
    return pairs


def is_quantised(artefact: Artefact) -> bool:
    """Whether the file is in the QDQ form already."""
    return onnx_graph.is_quantised(artefact)


def _by_nncf(artefact: Artefact, calibration: Calibration, options: Options, left: list[str]) -> Artefact:
    batched, size = _in_batches(artefact, calibration.count)
    name = onnx_graph.input_name(artefact)
    images = calibration.images.numpy()
    batches = [{name: images[at : at + size]} for at in range(0, len(images), size)]
    with _ONE_AT_A_TIME, _quiet():
        nncf = _nncf()
        try:
            model = nncf.quantize(
                onnx_graph.model_of(batched), nncf.Dataset(batches), subset_size=len(batches), **_arguments(nncf, options, left)
            )
        except Exception as error:  # of ONNX Runtime too, by which NNCF runs networks: those derive from nothing else
            raise UsageError(_refusal(artefact, error)) from error
    made = export.rebatched(onnx_graph.artefact_of(model, batched), artefact.input_shape[0])
    made = onnx_graph.signed(made) if options.signed else made
    for constant in onnx_graph.constants(made):
        if not np.isfinite(constant.values).all():
            raise UsageError(_no_numbers(artefact, f"NaN or infinite, at {constant.name}"))
    return made


def _refusal(artefact: Artefact, error: Exception) -> str:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    if _OF_NO_NUMBERS in first:
        return _no_numbers(artefact, "NaN")
    return f"NNCF cannot quantise {artefact.name} ({first}); leave it in f32"


def _no_numbers(artefact: Artefact, what: str) -> str:
    told = f"{artefact.name} computes values that are no numbers ({what}) for the calibration images"
    return f"{told}; train it again, or mend the images"


def _in_batches(artefact: Artefact, count: int) -> tuple[Artefact, int]:
    """The network with how many images it takes at once: as many as divide ``count``, or its own number where its file fixes one.

    A file that leaves the number open is taken as it is, so that it stays open.
    """
    size = max(size for size in range(1, MOST_AT_ONCE + 1) if count % size == 0)
    if not artefact.input_shape[0]:
        return artefact, size
    try:
        return export.rebatched(artefact, size), size
    except UsageError:
        return artefact, artefact.input_shape[0]


def _arguments(nncf: Any, options: Options, left: list[str]) -> dict[str, Any]:
    """NNCF's words for ours. batchwise_statistics: each image of a batch by itself, as if they came one after the other."""
    from nncf.quantization import advanced_parameters as advanced

    weights = advanced.QuantizationParameters(per_channel=options.per_channel)
    activations = advanced.QuantizationParameters(per_channel=False) if options.signed else None
    return {
        "preset": nncf.QuantizationPreset.PERFORMANCE if options.symmetric else nncf.QuantizationPreset.MIXED,
        "fast_bias_correction": options.fast_bias_correction,
        "ignored_scope": nncf.IgnoredScope(names=left) if left else None,
        "advanced_parameters": advanced.AdvancedQuantizationParameters(
            weights_quantization_params=weights, activations_quantization_params=activations, batchwise_statistics=True
        ),
    }


def _nncf() -> ModuleType:
    """The package, without its messages and without the usage statistics that it would send."""
    before = logging.getLoggerClass()
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    logging.setLoggerClass(before)
    nncf.set_log_level(logging.ERROR)
    return cast(ModuleType, nncf)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without NNCF's progress bars and notices, which tell a person nothing to do."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
