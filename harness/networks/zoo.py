"""Networks by name: ours, torchvision's by prefix, yours as ``path/to/file.py:factory``.

A factory is called as ``factory(input_shape, classes)``, by what its parameters are named where they are named otherwise, or without
arguments when it takes none, and returns an ``nn.Module`` that maps ``N x C x H x W`` images to what its task wants: ``N x classes``
logits, where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.errors import UnknownName, UsageError
from harness.networks import outputs
from harness.networks.own import bare, source, torchvision_door
from harness.networks.own.bare import Bare
from harness.networks.resnet_cifar import DEPTHS, CifarResNet
from harness.networks.tasks.classification import CLASSIFICATION
from harness.networks.tasks.task import Task, parts, shapes_told
from harness.networks.weights import fitting, weights_file

InputShape = tuple[int, int, int]
Builder = Callable[[int, int], nn.Module]  # (input channels, classes)

NETWORKS: dict[str, Builder] = {f"resnet{depth}": partial(CifarResNet, depth) for depth in DEPTHS} | {
    "mobilenetv2": torchvision_door.mobilenet_v2,
    "mobilenetv3-small": torchvision_door.mobilenet_v3_small,
}
TORCHVISION_PREFIX = "torchvision:"
_HINT = "or give torchvision:NAME, or path/to/file.py:factory"


def build(name: str, input_shape: InputShape, classes: int, seed: int = 0, task: Task | None = CLASSIFICATION) -> nn.Module:
    """The network called ``name`` in evaluation mode, its random weights decided by ``seed``.

    input_shape: channels x height x width. task: what it must answer to; None for a network that is only measured, or was looked at
    before. The caller's random state is left as it was. Raises UnknownName, UsageError when the network cannot take such images, and
    OtherOutputs when it answers something else than the task wants.
    """
    return built(name, input_shape, classes, seed, task).model


def is_built_in(name: str) -> bool:
    """Whether a network of this name is ours or torchvision's; of torchvision's, where it is not installed, any name is taken for one."""
    if not name.startswith(TORCHVISION_PREFIX):
        return name in NETWORKS
    try:
        return name.removeprefix(TORCHVISION_PREFIX) in torchvision_door.classification_names()
    except UsageError:
        return True


def built(name: str, input_shape: InputShape, classes: int, seed: int = 0, task: Task | None = CLASSIFICATION) -> Bare:
    """The same with a sentence on whatever was taken off the network that a user's file made."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):  # parameters made in it could never be trained
        torch.manual_seed(seed)
        made = _construct(name, input_shape, classes)
        made.model.eval()
        _check_output(made.model, name, input_shape, classes, task)
    return made


def built_for_measuring(name: str, input_shape: InputShape, classes: int, task: Task) -> Bare:
    """The same for whoever needs no more than its shape: what it answers may be something else than ``task`` wants, which is noted."""
    try:
        return built(name, input_shape, classes, task=task)
    except OtherOutputs as error:
        made = built(name, input_shape, classes, task=None)
        told = f"the network answers {error.told}: it is measured and explained"
        note = f"{told}; python -m search --task=FILE.py:task judges and prunes it"
        return Bare(made.model, (*made.notes, note))


def rebuilt(name: str, trained: nn.Module, input_shape: InputShape, classes: int) -> nn.Module:
    """The network called ``name`` for images of another size, with the weights of ``trained``; UsageError where they do not fit."""
    model, known = build(name, input_shape, classes), trained.state_dict()
    wanted = model.state_dict()
    for entry in (*wanted, *known):
        there, here = ("x".join(map(str, one[entry].shape)) if entry in one else "missing" for one in (wanted, known))
        if there != here:
            raise UsageError(f"its {entry} would be {there}, and is {here}: its weights are for one size")
    model.load_state_dict(known)
    return model


def check_has_code(name: str) -> None:
    """Refuse, with UsageError, an ONNX file: a graph can be measured, but only code can be trained and pruned."""
    if name.lower().endswith(".onnx"):
        raise UsageError(
            f"network {name} is an ONNX file, which can be measured (pytest bench/ --network={name}) but not trained, pruned or searched; "
            "give its code, --network=path/to/file.py:factory"
        )


def load_weights(model: nn.Module, path: Path) -> tuple[str, ...]:
    """Fill ``model`` from ``FILE`` or ``FILE#key``, safetensors or whatever torch saved, read with ``weights_only=True``.

    Answers what a person should know of what was taken and left out. Raises UsageError when the file is missing, holds no weights, or
    does not fit the network.
    """
    return weights_file.load(model, path)


def wanted_channels(name: str, weights: Path | None = None) -> int | None:
    """Channels of the images that the network must be given: 1, 3 or 4, or None where it is built for whatever comes.

    Weights decide by the first convolution; without, a factory of the user's own that does not ask for the input's shape.
    Raises UnknownName and UsageError.
    """
    if weights is None and (name in NETWORKS or name.startswith(TORCHVISION_PREFIX)):
        return None
    stored = None if weights is None else read_weights(weights)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        models = [_construct(name, (channels, 32, 32), 10).model for channels in (1, 3)]
    grey, rgb = map(_first_convolution, models)
    if grey is None or rgb is None:
        return None
    place, asked = rgb
    if stored is None:
        channels = asked if asked == grey[1] else 0  # the same whatever the images: not asked for their shape
    else:
        kernel = fitting.renamed(stored, models[1].state_dict()).get(f"{place}.weight")
        channels = 0 if kernel is None or kernel.dim() != 4 else kernel.shape[1]
    return channels if channels in (1, 3, 4) else None


def told_size(name: str) -> tuple[int, int] | None:
    """Height and width that the network itself says it is for: torchvision's published size, ``default_cfg["input_size"]`` as timm's have
    it, or an attribute ``input_shape`` (channels, height, width); None where it says nothing."""
    if name.startswith(TORCHVISION_PREFIX):
        return torchvision_door.published_size(name.removeprefix(TORCHVISION_PREFIX))
    if name in NETWORKS:
        return None
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
            model = _construct(name, (3, 64, 64), 10).model
    except UsageError:
        return None  # whatever is wrong with it is told when it is built for its pictures
    told = getattr(model, "default_cfg", None)
    shape = told.get("input_size") if isinstance(told, dict) else getattr(model, "input_shape", None)
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    plain = len(sizes) == 3 and all(isinstance(size, int) and size > 0 for size in sizes)
    return (int(sizes[1]), int(sizes[2])) if plain else None


def _first_convolution(model: nn.Module) -> tuple[str, int] | None:
    """Its name and its input's channels."""
    return next(((name, module.in_channels) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)), None)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in ``path``, without executing anything that the file holds; UsageError when there is none."""
    return weights_file.read(path).weights


def source_digest(name: str) -> str:
    """SHA-256 of the user's file behind ``file.py:factory``; of the name alone for every other network."""
    return source.digest(name)


def _construct(name: str, input_shape: InputShape, classes: int) -> Bare:
    if name in NETWORKS:
        return Bare(NETWORKS[name](input_shape[0], classes), ())
    if name.startswith(TORCHVISION_PREFIX):
        return Bare(torchvision_door.classifier(name.removeprefix(TORCHVISION_PREFIX), input_shape[0], classes), ())
    check_has_code(name)
    if source.is_own(name):
        return bare.bare(_of_file(name, input_shape, classes), name)
    raise UnknownName("network", name, NETWORKS, _HINT)


def _of_file(name: str, input_shape: InputShape, classes: int) -> nn.Module:
    found = source.find(name)
    try:
        return source.build(found, input_shape, classes)
    except UsageError as error:
        if torchvision_door.MISSING not in str(error):
            raise
    torchvision_door.torchvision()  # which the user's file imports, or timm does for it: beside a CPU torch only the door gets it in
    return source.build(found, input_shape, classes)


class OtherOutputs(UsageError):
    """A network answers something else than its task wants. told: what it answers, for a person."""

    def __init__(self, message: str, told: str) -> None:
        super().__init__(message)
        self.told = told


def _check_output(model: nn.Module, name: str, input_shape: InputShape, classes: int, task: Task | None) -> None:
    shape = "x".join(map(str, input_shape))
    try:
        with torch.no_grad():  # not in inference mode: a lazy layer makes its parameters now
            answer = model(torch.zeros(1, *input_shape))
            found = parts(answer)
            if task is not None and task.fits(found, input_shape, classes):
                found = parts(outputs.only(model, answer, lambda one: not task.fits(one, input_shape, classes)))
    except Exception as error:  # shapes decide which of many exceptions torch raises
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"network {name} cannot take {shape} images ({first}{source.place(error)}); use larger images or another network"
        ) from error
    if isinstance(found, tuple) and not found:
        raise UsageError(f"network {name} answers {type(answer).__name__} for one {shape} image, and no tensor; return one, or several")
    if task is not None and (wrong := task.fits(found, input_shape, classes)):
        raise OtherOutputs(f"network {name}, given one {shape} image, {wrong}", shapes_told(found))
