"""How a picture becomes a network's input, in words that whoever runs the network needs: size, resize, white, mean, deviation, classes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import UsageError


@dataclass(frozen=True)
class Preprocessing:
    """What is done to one picture.

    input_shape: channels x height x width. resize: ``cover``, ``margin``, a length, or height x width, as
    ``harness.networks.pictures.preparing`` tells them. white: the brightest value of grey pictures of more than 8 bits. mean, std: of
    every channel, of pixels between 0 and 1. standard: where the two come from. classes: their names, in order of the logits.
    """

    input_shape: tuple[int, int, int]
    resize: str
    white: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    standard: str
    classes: tuple[str, ...]

    @property
    def canonical(self) -> str:
        """JSON with sorted keys: equal text for equal ways."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_canonical(cls, text: str) -> Preprocessing:
        """What ``canonical`` wrote; UsageError for anything else."""
        try:
            told: dict[str, Any] = json.loads(text)
            channels, height, width = told["input_shape"]
            return cls(
                input_shape=(int(channels), int(height), int(width)),
                resize=str(told["resize"]),
                white=float(told["white"]),
                mean=tuple(map(float, told["mean"])),
                std=tuple(map(float, told["std"])),
                standard=str(told["standard"]),
                classes=tuple(map(str, told["classes"])),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"this tells no preprocessing: {text[:80]!r} ({error}); save the network again") from error
