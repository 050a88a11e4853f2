"""How a picture becomes a network's input, in words that whoever runs the network needs: size, resize, white, mean, deviation, classes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated

from harness.errors import RecordError, UsageError
from harness.files import json_text
from harness.files.numbers import Range
from harness.records.decoding import decode

Side = Annotated[int, Range(1, 1 << 20, whole=True)]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to one picture.

    input_shape: channels x height x width. resize: ``cover``, ``margin``, a length, or height x width, as
    ``harness.networks.pictures.preparing`` tells them. white: the brightest value of grey pictures of more than 8 bits. mean, std: of
    every channel, of pixels between 0 and 1. standard: where the two come from. classes: their names, in order of the logits.
    """

    input_shape: tuple[Side, Side, Side]
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
            return decode(cls, json_text.parse(text), "the preprocessing", "save the network again")
        except (ValueError, RecordError) as error:
            raise UsageError(
                f"this tells no preprocessing: {text[:80]!r} ({str(error).rpartition('; ')[0] or error}); save the network again"
            ) from error
