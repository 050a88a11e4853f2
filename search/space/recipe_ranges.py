"""Which tuning recipes a campaign may try."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.networks.pictures.preparing import pixels_of
from search.records.trial import Floats, TuningChoice

NUMBERS = ("learning_rate", "weight_decay", "label_smoothing", "distillation")
LOGARITHMIC = ("learning_rate", "weight_decay")


@dataclass(frozen=True, slots=True)
class RecipeRanges:
    """Which recipes may be tried; a range of one value is not searched.

    off_the_shelf: the recipe to begin with; ``start`` is the same moved into the ranges. precisions: what networks may run in, the one
    that speed-ups are counted from first; one empty name where the campaign has only one. sizes: the same of the pictures' sizes.
    """

    criteria: tuple[str, ...] = ("l1", "l2", "fpgm", "taylor", "bn-scale")
    schedules: tuple[str, ...] = ("one-shot",)
    learning_rate: tuple[float, float] = (1e-4, 10**-0.5)
    weight_decay: tuple[float, float] = (1e-6, 1e-2)
    label_smoothing: tuple[float, float] = (0.0, 0.2)
    distillation: tuple[float, float] = (0.0, 0.0)
    off_the_shelf: TuningChoice = field(default_factory=TuningChoice)
    precisions: tuple[str, ...] = ("",)
    sizes: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        for name in NUMBERS:
            low, high = getattr(self, name)
            if not (math.isfinite(low) and math.isfinite(high) and low <= high) or (name in LOGARITHMIC and low <= 0):
                raise UsageError(f"the range {low} to {high} of {name} is empty or not finite; give the smaller value first")
        for name, choices in self.choices:
            if not choices or len(set(choices)) != len(choices):
                raise UsageError(f"the choices of {name} are {list(choices)}; name at least one, each once")

    @property
    def choices(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The categories and what they may be."""
        ours = ("criterion", self.criteria), ("schedule", self.schedules)
        return (*ours, ("precision", self.precisions), ("size", self.sizes))

    @property
    def start(self) -> TuningChoice:
        """The off-the-shelf recipe, every value moved into its range."""
        moved: dict[str, Any] = {name: min(max(getattr(self.off_the_shelf, name), low), high) for name, (low, high) in self.limits}
        for name, choices in self.choices:
            ours = getattr(self.off_the_shelf, name)
            moved[name] = ours if ours in choices else choices[0]
        return TuningChoice(**moved)

    @property
    def limits(self) -> tuple[tuple[str, tuple[float, float]], ...]:
        """The numbers and their ranges."""
        return tuple((name, getattr(self, name)) for name in NUMBERS)

    def unit(self, name: str, number: float) -> float:
        """A number on a scale from 0 to 1 over its range; UsageError outside of it."""
        low, high = getattr(self, name)
        if not low <= number <= high:
            raise UsageError(f"{name} {number} is outside the search space; give a value from {low} to {high}")
        if name in LOGARITHMIC:
            return float(np.clip(math.log(number / low) / math.log(high / low), 0.0, 1.0))
        return float((number - low) / (high - low))

    def number(self, name: str, unit: float) -> float:
        """The number that is ``unit`` on that scale."""
        low, high = getattr(self, name)
        if name in LOGARITHMIC:
            return float(np.clip(low * (high / low) ** unit, low, high))
        return float(np.clip(low + (high - low) * unit, low, high))


def unit_pixels(sizes: tuple[str, ...]) -> Floats:
    """Pixels of a picture of each size (``HxW``), on a logarithmic scale from 0, the least of them, to 1, the most."""
    pixels = np.log([pixels_of(size) for size in sizes])
    return np.asarray((pixels - pixels.min()) / (np.ptp(pixels) or 1.0))
