"""Networks by name: ours, torchvision's by prefix, yours as ``path/to/file.py:factory``.

A factory is called as ``factory(input_shape, classes)``, or without arguments when it takes none, and returns an
``nn.Module`` that maps ``N x C x H x W`` images to ``N x classes`` logits.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from harness.errors import UnknownName, UsageError
from harness.networks import torchvision_door
from harness.networks.resnet_cifar import DEPTHS, CifarResNet

InputShape = tuple[int, int, int]
Builder = Callable[[int, int], nn.Module]  # (input channels, classes)

NETWORKS: dict[str, Builder] = {f"resnet{depth}": partial(CifarResNet, depth) for depth in DEPTHS} | {
    "mobilenetv2": torchvision_door.mobilenet_v2,
    "mobilenetv3-small": torchvision_door.mobilenet_v3_small,
}
TORCHVISION_PREFIX = "torchvision:"
_HINT = "or give torchvision:NAME, or path/to/file.py:factory"


def build(name: str, input_shape: InputShape, classes: int, seed: int = 0) -> nn.Module:
    """The network called ``name`` in evaluation mode, its random weights decided by ``seed``.

    input_shape: channels x height x width. The caller's random state is left as it was. Raises UnknownName, or
    UsageError when the network cannot take such images or answers something else than one logit per class.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):  # parameters made in it could never be trained
        torch.manual_seed(seed)
        model = _construct(name, input_shape, classes)
    model.eval()
    _check_output(model, name, input_shape, classes)
    return model


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill ``model`` from a ``.safetensors`` file or a state dict that torch saved, read with ``weights_only=True``.

    Raises UsageError when the file is missing, is neither, or does not fit the network.
    """
    weights = read_weights(path)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = [_shortened(line.strip()) for line in str(error).splitlines()[1:] if line.strip()]
        told = "; ".join(lines[:3]) + ("; ..." if len(lines) > 3 else "")
        raise UsageError(f"{path} does not fit the network: {told} Give the weights of this very network") from error


def wanted_channels(name: str, weights: Path | None = None) -> int | None:
    """Channels of the images that the network must be given: 1, 3 or 4, or None where it is built for whatever comes.

    Weights decide by the first convolution; without, a factory of the user's own that does not ask for the input's shape.
    Raises UnknownName and UsageError.
    """
    if weights is None and (name in NETWORKS or name.startswith(TORCHVISION_PREFIX)):
        return None
    stored = None if weights is None else read_weights(weights)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        grey, rgb = (_first_convolution(_construct(name, (channels, 32, 32), 10)) for channels in (1, 3))
    if grey is None or rgb is None:
        return None
    place, asked = rgb
    if stored is None:
        channels = asked if asked == grey[1] else 0  # the same whatever the images: not asked for their shape
    else:
        kernel = stored.get(f"{place}.weight")
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
            model = _construct(name, (3, 64, 64), 10)
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


def _shortened(line: str) -> str:
    """A line that names many keys, with the first three of them."""
    start, *keys = line.split(", ")
    return line if len(keys) < 3 else f"{', '.join([start, *keys[:2]])} and {len(keys) - 2} more."


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in ``path``, without executing anything that the file holds; UsageError when there is none."""
    if not path.is_file():
        raise UsageError(f"there are no weights at {path}; give an existing .safetensors or .pt file")
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle's protocol, in files that are refused right after
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path} is no weights file ({first}); save it with torch.save(model.state_dict(), path)") from error
    state = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"{path} holds no state dict; save it with torch.save(model.state_dict(), path)")
    return {str(key): value for key, value in state.items()}


def source_digest(name: str) -> str:
    """SHA-256 of the user's file behind ``file.py:factory``; of the name alone for every other network."""
    path, _, factory = name.rpartition(":")
    content = Path(path).read_bytes() if path.endswith(".py") and Path(path).is_file() else b""
    return hashlib.sha256(content + f"{factory}|{name}".encode()).hexdigest()


def _construct(name: str, input_shape: InputShape, classes: int) -> nn.Module:
    if name in NETWORKS:
        return NETWORKS[name](input_shape[0], classes)
    if name.startswith(TORCHVISION_PREFIX):
        return torchvision_door.classifier(name.removeprefix(TORCHVISION_PREFIX), input_shape[0], classes)
    path, _, factory = name.rpartition(":")
    if path.endswith(".py"):
        return _from_file(Path(path), factory, input_shape, classes)
    raise UnknownName("network", name, NETWORKS, _HINT)


def _from_file(path: Path, factory_name: str, input_shape: InputShape, classes: int) -> nn.Module:
    if not path.is_file():
        raise UsageError(f"there is no file {path}; give the path of the Python file that holds {factory_name or 'the factory'}")
    spec = importlib.util.spec_from_file_location(f"espalier_network_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported; give a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            offered = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise UnknownName(f"factory in {path}", factory_name, offered)
        takes_arguments = len(inspect.signature(factory).parameters) >= 2
        model = factory(input_shape, classes) if takes_arguments else factory()
    except UsageError:
        raise
    except Exception as error:  # the user's code may raise anything; it is their traceback's last line that helps
        raise UsageError(f"{path}:{factory_name} failed with {type(error).__name__}: {error}; mend the file") from error
    if not isinstance(model, nn.Module):
        raise UsageError(f"{path}:{factory_name} returned a {type(model).__name__}; return a torch.nn.Module")
    return model


def _check_output(model: nn.Module, name: str, input_shape: InputShape, classes: int) -> None:
    shape = "x".join(map(str, input_shape))
    try:
        with torch.inference_mode():
            logits = model(torch.zeros(1, *input_shape))
    except Exception as error:  # shapes decide which of many exceptions torch raises
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"network {name} cannot take {shape} images ({first}); use larger images or another network") from error
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != (1, classes):
        raise UsageError(f"network {name} answers {found} for one {shape} image, not (1, {classes}); return one logit per class")
