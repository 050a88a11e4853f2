"""How a figure is said: one way for the page, the Markdown file and the terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.records.accuracy import Accuracy
from search.records.losses.drop import Drop

MINUS, DASH, MISSING, NARROW = "−", "–", "—", "\u202f"
_MILLISECONDS_FROM_S = 0.01  # slower networks are told in milliseconds

ROLE_WORDS = {
    "dense": "unpruned",
    "off-the-shelf": "to be had without a search",
    "uniform": "every width cut alike",
    "global-pruning": "global pruning by Torch-Pruning",
    "random": "found by random search on as many trials",
    "optimised": "found by this campaign",
    "optimised-int8": "the optimised one, quantised after training",
    "candidate": "found, not chosen",
    "from-scratch": "the optimised shape, trained from nothing",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of time for a whole report, so that figures can be compared by eye. places: decimals for times of single layers."""

    name: str
    per_second: float
    places: int

    def figure(self, seconds: float) -> str:
        """The bare number, with about four significant digits."""
        return number(seconds * self.per_second)

    def layer(self, seconds: float) -> str:
        """The bare number with the same decimals for all layers."""
        return _fixed(seconds * self.per_second, self.places)

    def told(self, seconds: float) -> str:
        """Number and unit."""
        return f"{self.figure(seconds)} {self.name}"

    def interval(self, low_s: float, high_s: float) -> str:
        """Two bare numbers with as many decimals as the larger one has."""
        places = _places(high_s * self.per_second)
        return f"{_fixed(low_s * self.per_second, places)}{DASH}{_fixed(high_s * self.per_second, places)}"


def unit_of(whole_s: float) -> Unit:
    """Microseconds or milliseconds, by a whole network's latency."""
    return Unit("ms", 1e3, 3) if whole_s >= _MILLISECONDS_FROM_S else Unit("µs", 1e6, 1)


def number(figure: float) -> str:
    """About four significant digits, a real minus sign, thousands apart."""
    return _fixed(figure, _places(figure))


def percent(ratio: float, places: int = 2) -> str:
    """A ratio as a percentage."""
    return f"{_fixed(100 * ratio, places)} %"


def interval_percent(interval: tuple[float, float]) -> str:
    """Two ratios as percentages, with one decimal: a third digit would outrun the images behind them."""
    return f"{_fixed(100 * interval[0], 1)}{DASH}{_fixed(100 * interval[1], 1)} %"


def points(figure: float) -> str:
    """Percentage points with two decimals."""
    return _fixed(figure, 2)


def points_interval(lost: Drop) -> str:
    """The interval of a drop, in percentage points; words instead of a dash, for the ends may be negative."""
    return f"{_fixed(lost.low, 2)} to {_fixed(lost.high, 2)}"


def times(figure: float) -> str:
    """A factor."""
    return f"{_fixed(figure, 2)}×"


def times_interval(low: float, high: float) -> str:
    """The interval of a factor; a narrow one with a third decimal."""
    places = 2 if high - low >= 0.05 else 3
    return f"{_fixed(low, places)}{DASH}{_fixed(high, places)}×"


def count_words(count: int, one: str, several: str = "") -> str:
    """``1 block``, ``5 blocks``."""
    return f"{_fixed(count, 0)} {one if count == 1 else several or one + 's'}"


def size(value: float) -> str:
    """A count in thousands or millions."""
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{number(value / scale)} {letter}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{_fixed(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def share_correct(accuracy: Accuracy) -> str:
    """``349 of 360``."""
    return f"{accuracy.correct} of {accuracy.total}"


def _places(figure: float) -> int:
    magnitude = abs(figure)
    if not math.isfinite(magnitude) or magnitude >= 1000:
        return 0
    return 1 if magnitude >= 100 else 2


def _fixed(figure: float, places: int) -> str:
    if not math.isfinite(figure):
        return MISSING
    separator = NARROW if abs(figure) >= 10_000 else ""  # no comma: it can be taken for a decimal mark
    text = f"{figure:,.{places}f}".replace(",", separator)
    return MINUS + text[1:] if text.startswith("-") and float(f"{figure:.{places}f}") != 0 else text.lstrip("-")
