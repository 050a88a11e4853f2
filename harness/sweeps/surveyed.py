"""One network of a survey: what can be pruned of it, whether that is exact, and whether its stated operations are those of its graph.

Weights are random and normalisation is calibrated on random pictures, so that the logits of two pictures really differ.
"""

from __future__ import annotations

import importlib
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn

from harness.errors import HarnessError, UsageError
from harness.networks import export, groups, onnx_macs, zoo
from harness.networks.own import torchvision_door
from harness.pruning import surgery
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

TIMM = "timm:"
CLASSES = 10
SIDE = 96  # pixels; smaller than usual, for nothing that is surveyed depends on it
USUAL_SIDE = 224
_USUAL = ("torchvision:alexnet", "torchvision:vgg11_bn")  # their pooling to a fixed map cannot be exported at other sizes
CALIBRATION_IMAGES = 8
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Surveyed:
    """What was found of one network.

    groups, channels: that can be pruned, and how many channels they have. branches: that can be removed. left_out: groups that keep
    their channels; why: the reasons of some of them. prunable_ratio: of the operations, at most. difference_ratio: between the logits
    of a cut network and of its zeroed twin, of the largest logit; change_ratio: between those of the dense network and of the twin,
    without which exactness would say nothing. macs, counted_macs: stated of the architecture, and counted in its exported graph, of the
    dense network and of the cut one together. grouping_s, whole_s: of the processor. refusal: empty where there was none.
    """

    network: str
    side: int
    groups: int = 0
    channels: int = 0
    branches: int = 0
    left_out: int = 0
    why: str = ""
    prunable_ratio: float = 0.0
    difference_ratio: float = 0.0
    change_ratio: float = 0.0
    macs: int = 0
    counted_macs: int = 0
    grouping_s: float = 0.0
    whole_s: float = 0.0
    refusal: str = ""


def survey(name: str) -> Surveyed:
    """Build, calibrate, group, cut, export and count one network; a refusal is a finding too."""
    started = time.process_time()
    try:
        model, side = built(name)
    except HarnessError as error:
        return Surveyed(name, SIDE, refusal=str(error))
    calibrate(model, side)
    shape, ready = (3, side, side), time.process_time()
    try:
        architecture = groups.architecture_of(model, name, shape, CLASSES)
        grouped = time.process_time()
        coupling = groups.coupling_of(model, shape)
        kept = _half(architecture)
        cut, zeroed = surgery.remove(model, architecture, kept), surgery.zero(model, architecture, kept)
        config = PruningConfig.of(name, {group: len(stays) for group, stays in kept.items()})
        images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
        dense, ours, theirs = (_logits(one, images) for one in (model, cut, zeroed))
        counted = [onnx_macs.macs(export.export(one, shape, name)) for one in (model, cut)]
        stated = [architecture.macs(one) for one in (architecture.dense(), config)]
    except HarnessError as error:
        return Surveyed(name, side, refusal=str(error), whole_s=time.process_time() - started)
    reasons = dict.fromkeys(f"{left.name}: {left.reason}" for left in coupling.left_out)
    return Surveyed(
        name,
        side,
        len(architecture.groups),
        sum(group.channels for group in architecture.groups),
        sum(group.removable for group in architecture.groups),
        len(coupling.left_out),
        next(iter(reasons), ""),
        groups.prunable_ratio(architecture),
        float((ours - theirs).abs().max() / theirs.abs().max()),
        float((dense - theirs).abs().max() / dense.abs().max()),
        sum(stated),
        sum(counted),
        grouped - ready,
        time.process_time() - started,
    )


def built(name: str) -> tuple[nn.Module, int]:
    """A network with random weights and the side of the square pictures that it takes. UsageError for an unknown name."""
    torch.manual_seed(0)
    if not name.startswith(TIMM):
        side = SIDE if name not in _USUAL and _takes(name, SIDE) else USUAL_SIDE
        return zoo.build(name, (3, side, side), CLASSES), side
    torchvision_door.torchvision()  # timm imports it
    try:
        timm = importlib.import_module("timm")
    except ImportError as error:
        raise UsageError(f"timm is not usable here ({error}); install it: pip install --no-deps timm huggingface-hub") from error
    network = name.removeprefix(TIMM)
    if network not in timm.list_models():
        raise UsageError(f"timm has no network {network!r}; python -c 'import timm; print(timm.list_models())' tells all")
    model = timm.create_model(network, num_classes=CLASSES)
    is_fixed = bool(getattr(model, "default_cfg", {}).get("fixed_input_size"))
    side = int(model.default_cfg["input_size"][-1]) if is_fixed else SIDE
    return model.eval(), side


def _takes(name: str, side: int) -> bool:
    try:
        zoo.build(name, (3, side, side), CLASSES)
    except HarnessError:
        return False
    return True


@torch.no_grad()
def calibrate(model: nn.Module, side: int) -> None:
    """Give every normalisation random scales and the statistics of random pictures, and every other free parameter a part in the answer."""
    random = torch.Generator().manual_seed(0)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, _NORMS):
                parameter.copy_(torch.rand(parameter.shape, generator=random) * 0.4 + (0.8 if name == "weight" else -0.2))
            elif name == "weight" and parameter.dim() > 1 and not parameter.any():  # a head that begins at zero answers nothing
                parameter.copy_(torch.randn(parameter.shape, generator=random) / parameter[0].numel() ** 0.5)
            elif name not in ("weight", "bias") and parameter.numel() and float(parameter.abs().max()) < 1e-3:
                parameter.copy_(torch.rand(parameter.shape, generator=random) * 0.5 + 0.25)  # scales of layers begin at nearly nothing
    calibrated = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for module in calibrated:
        module.reset_running_stats()
        module.momentum = None
        module.train()
    model(torch.randn(CALIBRATION_IMAGES, 3, side, side, generator=random))
    for module in calibrated:
        module.momentum = 0.1
    model.eval()


def _half(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Half of every group by a seed, and every second branch gone."""
    random = torch.Generator().manual_seed(2)
    removable = [group.name for group in architecture.groups if group.removable]
    kept: dict[str, tuple[int, ...]] = dict.fromkeys(removable[::2], ())
    for group in architecture.groups:
        if group.name not in kept:
            part = group.channels // group.step
            places = sorted(torch.randperm(part, generator=random)[: max(1, part // 2)].tolist())
            kept[group.name] = tuple(start + place for start in range(0, group.channels, part) for place in places)
    return kept


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model.eval()(images)
    return logits


def _told(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def report(name: str, limit_s: float, answer: Connection) -> None:
    """Survey one network in a process of its own, which the system ends after ``limit_s`` of a processor, and send what was found."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 1))  # another program beside this one takes no part of it
    torch.set_num_threads(1)
    try:
        found = survey(name)
    except Exception as error:  # whatever other people's networks raise that we do not refuse is the finding
        found = Surveyed(name, SIDE, refusal=f"TRACEBACK: {type(error).__name__}: {_told(error)}")
    answer.send(found)
