"""What networks are judged by: the metric's name, the unit that its loss is counted in, and whether more of it is better.

Inside, every metric is a ratio of which more is better, and what is lost of it is counted in hundredths, as points of top-1 are. A metric
that is counted otherwise is scaled so that a hundredth is one of its own unit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from harness.errors import RecordError

POINTS = "points"


@dataclass(frozen=True, slots=True)
class Metric:
    """name: as people write it, ``mIoU``. unit: of a drop, in the plural; points are hundredths of the metric.

    per_unit: how much of the metric one unit is, 0.01 for points. better_is_higher: False for errors. RecordError for a unit that is no
    positive number, or without a name.
    """

    name: str = "top-1"
    unit: str = POINTS
    per_unit: float = 0.01
    better_is_higher: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.per_unit) and self.per_unit > 0 and self.name.strip() and self.unit.strip()):
            raise RecordError(
                f"a metric called {self.name!r} of which a unit ({self.unit!r}) is {self.per_unit} cannot be counted; give it a name and a "
                "unit above 0"
            )

    @property
    def is_share(self) -> bool:
        """Whether it is told in per cent, and lost in hundredths."""
        return self.unit == POINTS and self.per_unit == 0.01

    def ratio(self, figure: float) -> float:
        """A figure of the metric as a ratio of which more is better, one hundredth of it a unit."""
        return (figure if self.better_is_higher else -figure) / (100 * self.per_unit)

    def figure(self, ratio: float) -> float:
        """The figure of the metric that ``ratio`` stands for."""
        scaled = ratio * 100 * self.per_unit
        return scaled if self.better_is_higher else -scaled

    def told(self, ratio: float, places: int = 2) -> str:
        """The figure for a person: ``98.89%``, or ``3.214`` where it is no share."""
        return f"{self.figure(ratio):.{places}%}" if self.is_share else f"{self.figure(ratio):.4g}"

    def between(self, low: float, high: float) -> str:
        """Two figures, the lower one first; per cent with one decimal."""
        first, last = sorted((self.figure(low), self.figure(high)))
        return f"{100 * first:.1f}–{100 * last:.1f} %" if self.is_share else f"{first:.4g}–{last:.4g}"

    @property
    def axis(self) -> str:
        """What an axis of a plot is called, on which up is better."""
        if self.is_share:
            return f"{self.name} (%)" if self.better_is_higher else f"{self.name} (%), negated: up is better"
        return f"{self.name} in {self.unit}" if self.better_is_higher else f"{self.name} in {self.unit}, negated: up is better"

    def worded(self, text: str) -> str:
        """``text``, which speaks of top-1, of points and of drops, in this metric's words; as it is for top-1. What is lost of an error is
        a rise."""
        if self == TOP_1:
            return text
        said = re.sub(r"\btop-1( accuracy)?\b", lambda _: self.name, text)
        if not self.better_is_higher:
            said = re.sub(r"(?<![-\w])(d|D)rop(s?)\b", lambda found: ("r" if found[1] == "d" else "R") + "ise" + found[2], said)
        if self.unit == POINTS:
            return said
        one = self.unit.removesuffix("s") if len(self.unit) > 2 else self.unit  # px, m, dB have no plural
        return re.sub(r"\bpoint(s?)\b", lambda found: self.unit if found[1] else one, said)


TOP_1 = Metric()
