"""How a network was quantised: what its scales were read off, and which of its layers were left in float."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

IN_FLOAT = "layers asked to stay in float"  # the name of a measurement's note


def in_float_note(layers: Iterable[str]) -> str:
    """The note's text, the same in whatever order they were named."""
    return ", ".join(sorted(set(layers)))


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """The images that the scales of a quantised network were read off.

    split: of the dataset, never test. count: images. seed: of the drawing. digest: first 16 hexadecimal digits of the SHA-256 of
    their values.
    """

    split: str
    count: int
    seed: int
    digest: str

    def sentence(self) -> str:
        """In words, for a record's notes."""
        return f"{self.count} {self.split} images, seed {self.seed}, digest {self.digest}"


@dataclass(frozen=True, slots=True)
class LayerQuantisation:
    """One convolution or linear layer of a quantised network. why_not: in words, empty where it is quantised."""

    layer: str
    quantised: bool
    why_not: str = ""


def quantised_sentence(layers: tuple[LayerQuantisation, ...]) -> str:
    """How many layers are quantised, and which are not."""
    left = [one.layer for one in layers if not one.quantised]
    told = f"{len(layers) - len(left)} of {len(layers)} layers quantised"
    return f"{told}; in float: {', '.join(left)}" if left else told
