"""The only importer of torchvision: its networks by name, its downloads, its decoder-free parts.

torchvision's index wheel is a CUDA build. Beside a CPU torch its extension cannot be loaded and ``import torchvision``
stops at two operators that were never declared; declaring their schemas, without kernels, lets the rest work. A call
of such an operator still fails with torchvision's own message.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType
from typing import Any

import torch
from torch import nn

from harness.errors import UnknownName, UsageError

MISSING = "torchvision::"  # in torch's complaint about an operator that was never declared
_MISSING_OPERATORS = ("nms", "qnms")
_WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
_declared: list[torch.library.Library] = []  # a schema lives as long as its library object


@functools.cache
def torchvision() -> ModuleType:
    """The torchvision module, importable beside a CPU torch; UsageError when it is not installed."""
    try:
        return _imported()
    except RuntimeError:  # its extension was not loadable; where it is, it declares them itself, and twice ends the process
        for half_imported in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[half_imported]
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    _declared.append(library)
    for operator in _MISSING_OPERATORS:
        library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return _imported()


def _imported() -> ModuleType:
    try:
        return importlib.import_module("torchvision")
    except ImportError as error:
        raise UsageError(f"torchvision is not usable here ({error}); install it: pip install torchvision") from error


def is_used_by(model: nn.Module) -> bool:
    """Whether reading a pickle of ``model`` imports torchvision, itself or by another package: then this door is passed first."""
    packages = {type(module).__module__.partition(".")[0] for module in model.modules()} - {"torch", "harness"}
    return "torchvision" in packages or ("torchvision" in sys.modules and bool(packages))


def datasets() -> ModuleType:
    """``torchvision.datasets``; UsageError when torchvision is not installed."""
    torchvision()
    return importlib.import_module("torchvision.datasets")


def classification_names() -> list[str]:
    """Names of torchvision's image classifiers."""
    models = torchvision().models
    names: list[str] = models.list_models(module=models)
    return names


def classifier(name: str, in_channels: int, classes: int) -> nn.Module:
    """torchvision's classifier ``name`` with random weights; its first convolution takes ``in_channels``."""
    models = torchvision().models
    if name not in classification_names():
        raise UnknownName("torchvision network", name, classification_names())
    builder = models.get_model_builder(name)
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if name in _WITH_AUXILIARY_HEADS:
        options |= {"aux_logits": False, "init_weights": True}  # one output, as at inference
    model: nn.Module = builder(**options)
    return _with_input_channels(model, in_channels)


def published_size(name: str) -> tuple[int, int] | None:
    """Height and width of the images that the classifier's published weights are for; None where there are no such weights."""
    models = torchvision().models
    if name not in classification_names():
        raise UnknownName("torchvision network", name, classification_names())
    weights = next(iter(models.get_model_weights(name)), None)
    sides = [] if weights is None else list(getattr(weights.transforms(), "crop_size", ()))
    return (int(sides[0]), int(sides[-1])) if sides else None


def mobilenet_v2(in_channels: int, classes: int) -> nn.Module:
    """MobileNetV2 [Sandler2018] for small images: strides 1 in the stem and in the second stage, 8 in all instead of 32.

    [Sandler2018] M. Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks. CVPR 2018, table 2.
    """
    settings = [[1, 16, 1, 1], [6, 24, 2, 1], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
    model: nn.Module = torchvision().models.MobileNetV2(num_classes=classes, inverted_residual_setting=settings)
    _set_stride(model, "features.0.0", 1)
    return _with_input_channels(model, in_channels)


def mobilenet_v3_small(in_channels: int, classes: int) -> nn.Module:
    """MobileNetV3-Small [Howard2019] for small images: strides 1 in the stem and the first block, 8 in all instead of 32.

    [Howard2019] A. Howard et al.: Searching for MobileNetV3. ICCV 2019, table 2.
    """
    model: nn.Module = torchvision().models.mobilenet_v3_small(num_classes=classes)
    _set_stride(model, "features.0.0", 1)
    _set_stride(model, "features.1.block.0.0", 1)
    return _with_input_channels(model, in_channels)


def _set_stride(model: nn.Module, layer: str, stride: int) -> None:
    convolution = model.get_submodule(layer)
    if not isinstance(convolution, nn.Conv2d):
        raise UsageError(f"this torchvision's {layer} is no convolution; install a version that pyproject.toml allows")
    convolution.stride = (stride, stride)


def _with_input_channels(model: nn.Module, in_channels: int) -> nn.Module:
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != in_channels:
                parent, _, attribute = name.rpartition(".")
                setattr(model.get_submodule(parent), attribute, _like(module, in_channels))
            return model
    return model


def _like(convolution: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    height, width = convolution.kernel_size
    fresh = nn.Conv2d(
        in_channels,
        convolution.out_channels,
        (height, width),
        (convolution.stride[0], convolution.stride[1]),
        convolution.padding if isinstance(convolution.padding, str) else (convolution.padding[0], convolution.padding[1]),
        (convolution.dilation[0], convolution.dilation[1]),
        bias=convolution.bias is not None,
    )
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    return fresh
