"""Networks of several outputs: one of them is judged and exported, the others are left out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

_CHOSEN = "_espalier_output"  # attribute of a network of several outputs: the place of the one that is used


def only(model: nn.Module, answer: object, fits: Callable[[Tensor], bool]) -> object:
    """What ``model`` answers from now on, for ``answer`` to one image: of several outputs the first that ``fits``.

    fits: whether an output is what the task wants. ``model`` is changed where there is one: all that it computes for other
    outputs alone is neither judged nor exported.
    """
    if isinstance(answer, dict):
        places: list[object] = list(answer)
        parts = list(answer.values())
    elif isinstance(answer, list | tuple):
        places, parts = list(range(len(answer))), list(answer)
    else:
        return answer
    for place, part in zip(places, parts, strict=True):
        if isinstance(part, Tensor) and fits(part):
            model.register_forward_hook(partial(_take, place=place))
            setattr(model, _CHOSEN, place)
            return part
    return answer


def note(model: nn.Module) -> str | None:
    """Which of several outputs is used, for a person; None where there is one."""
    place = getattr(model, _CHOSEN, None)
    return None if place is None else f"the network has several outputs; output {place} is judged and exported, the others are left out"


def _take(_: nn.Module, __: object, answer: object, *, place: object) -> object:
    if isinstance(answer, dict):
        return answer[place]
    return answer[place] if isinstance(answer, list | tuple) and isinstance(place, int) else answer
