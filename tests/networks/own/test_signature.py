"""A factory is given what its parameters ask for, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.networks.own import signature

SHAPE, CLASSES = (3, 48, 64), 7


def called(factory: Callable[..., Any], shape: tuple[int, int, int] = SHAPE) -> Any:
    call = signature.call_of(factory, "mine.py:net", shape, CLASSES)
    return factory(*call.positional, **dict(call.named))


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (lambda input_shape, classes: (input_shape, classes), (SHAPE, 7)),
        (lambda a, b: (a, b), (SHAPE, 7)),
        (lambda num_classes, in_chans: (num_classes, in_chans), (7, 3)),
        (lambda n_class, in_channels: (n_class, in_channels), (7, 3)),
        (lambda num_labels, input_channels: (num_labels, input_channels), (7, 3)),
        (lambda num_classes=1000, in_chans=3, drop_rate=0.0: (num_classes, in_chans, drop_rate), (7, 3, 0.0)),
        (lambda num_classes, img_size=224: (num_classes, img_size), (7, (48, 64))),
        (lambda picture, classes: (picture, classes), (SHAPE, 7)),
        (lambda classes=10, width=32, depth=4: (classes, width, depth), (7, 32, 4)),
        (lambda width=32, depth=4: (width, depth), (32, 4)),
        (lambda channels=64, classes=10: (channels, classes), (64, 7)),
        (lambda *args, **more: (args, more), ((), {})),
        (lambda: "nothing", "nothing"),
        (lambda classes, /, in_chans: (classes, in_chans), (7, 3)),
        (lambda *, classes, in_chans: (classes, in_chans), (7, 3)),
    ],
)
def test_parameters_get_what_their_names_say(factory: Callable[..., Any], expected: object) -> None:
    assert called(factory) == expected


def test_a_square_image_has_one_size() -> None:
    assert called(lambda classes, img_size: img_size, (1, 28, 28)) == 28


def test_a_parameter_that_says_nothing_is_asked_about_in_one_line() -> None:
    with pytest.raises(UsageError, match="must be given a, b, c.*in_chans and num_classes") as failure:
        called(lambda a, b, c: None)
    assert "\n" not in str(failure.value)


@given(st.permutations(["num_classes", "in_chans", "img_size", "input_shape"]), st.integers(1, 4))
def test_the_order_of_parameters_does_not_matter(names: list[str], count: int) -> None:
    taken = names[:count]
    namespace: dict[str, Any] = {}
    exec(f"def net({', '.join(taken)}): return dict({', '.join(f'{name}={name}' for name in taken)})", namespace)
    right = {"num_classes": CLASSES, "in_chans": 3, "img_size": (48, 64), "input_shape": SHAPE}
    assert called(namespace["net"]) == {name: right[name] for name in taken}
