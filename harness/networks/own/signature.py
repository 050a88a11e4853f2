"""What a user's factory is called with: the image's shape and the number of classes, by whatever its parameters are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from harness.errors import UsageError, one_line

InputShape = tuple[int, int, int]
NAMES = "input_shape and classes, in_chans and num_classes, img_size, or none at all"
_LIKELY_CHANNELS = (1, 3)  # a default that tells a picture's channels from a layer's width
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Call:
    """Arguments by position and by name."""

    positional: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...] = ()


def call_of(factory: Callable[..., Any], name: str, input_shape: InputShape, classes: int) -> Call:
    """How to call ``factory`` for images of ``input_shape`` (channels x height x width).

    What a parameter is called decides; two that must be given and are called otherwise are taken for the shape and the classes. UsageError
    for one that must be given and says nothing.
    """
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):  # written in C
        return Call(())
    parameters = [one for one in parameters if one.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    needed = [one for one in parameters if one.default is Parameter.empty]
    known = {one.name: given for one in parameters if (given := _given(one, input_shape, classes)) is not None}
    unknown = [one for one in needed if one.name not in known]
    if len(needed) == 2 and len(unknown) == 2 and all(one.kind in _POSITIONAL for one in needed):
        return Call((input_shape, classes))
    if len(needed) == 2 and len(unknown) == 1 and needed[0] is unknown[0] and known[needed[1].name] == classes:
        known[unknown[0].name], unknown = input_shape, []
    if unknown:
        told = ", ".join(one.name for one in unknown)
        raise UsageError(one_line(f"{name} must be given {told}, and nobody knows what that is; name its parameters {NAMES}"))
    leading = [known.pop(one.name) for one in parameters if one.kind is Parameter.POSITIONAL_ONLY and one.name in known]
    return Call(tuple(leading), tuple(known.items()))


def _given(parameter: Parameter, input_shape: InputShape, classes: int) -> Any:
    """What the parameter is to be given by its name, or by a default of the same kind; None where that says nothing."""
    name, default = parameter.name.lower(), parameter.default
    channels, height, width = input_shape
    if any(word in name for word in ("class", "label")) and not isinstance(default, bool | str | list | tuple | dict):
        return classes
    if "shape" in name or name in ("input_dim", "input_dims"):
        return input_shape
    is_channels = name in ("channels", "num_channels", "n_channels", "in_dim", "c_in") or (name.startswith("in") and "ch" in name)
    if is_channels and "inchannel" not in name and (default is Parameter.empty or default is None or default in _LIKELY_CHANNELS):
        return channels
    if is_channels and name.startswith("in") and default is Parameter.empty:
        return channels
    if name in ("img_size", "image_size", "input_size", "img_dim", "resolution"):
        if isinstance(default, tuple) and len(default) == 3:
            return input_shape
        return (height, width) if isinstance(default, tuple) or height != width else height
    return None
