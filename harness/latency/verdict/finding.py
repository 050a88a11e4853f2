"""One network, one of its layers, or one of its figures against a limit: met, missed, or cannot tell.

A *finding* compares with a baseline and has a ratio; a *bound* holds one figure against an absolute limit. Both fill the same row of the
same table, with the smallest effect that the measurement would have shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from harness.latency.verdict.judgement import Outcome

_Z_975, _Z_95 = 1.960, 1.645


class Kept(StrEnum):
    """What can be said of a limit."""

    MET = "met"
    MISSED = "missed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Row:
    """A finding or a bound as every reader is shown it: texts with their units.

    of: which measurement. what: of it. smallest: effect that would show, empty where unknown.
    """

    of: str
    what: str
    verdict: str
    figure: str
    interval: str
    limit: str
    kept: Kept
    smallest: str
    how: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison with its limit.

    subject: the network or a layer. ratio: latency over the baseline's, with low and high, its interval. how: where the
    interval comes from. beyond: whether the slowdown is real and larger than the limit. smallest: the relative slowdown that such
    measurements find 95 times in 100, infinite where none. exception: conditions that were allowed to differ, in words. of: which
    measurement, where there are several.
    """

    subject: str
    outcome: Outcome
    ratio: float
    low: float
    high: float
    limit: float
    how: str
    smallest: float = math.inf
    exception: str = ""
    of: str = ""

    @property
    def beyond(self) -> bool:
        """Slower, and by more than the limit."""
        return self.outcome is Outcome.SLOWER and self.ratio > 1 + self.limit

    @property
    def undecided(self) -> bool:
        """The measurement cannot rule out a slowdown beyond the limit."""
        return self.outcome is Outcome.CANNOT_TELL and self.high > 1 + self.limit

    @property
    def kept(self) -> Kept:
        """Whether the limit is kept."""
        return Kept.MISSED if self.beyond else Kept.CANNOT_TELL if self.undecided else Kept.MET

    def row(self) -> Row:
        """The finding as a row of the table."""
        how = f"{self.how}; allowed to differ: {self.exception}" if self.exception else self.how
        smallest = f"+{self.smallest:.1%}" if math.isfinite(self.smallest) else "none"
        interval = f"{self.low:.3f}–{self.high:.3f}"
        figure, limit = f"{self.ratio:.3f}×", f"{1 + self.limit:.3f}×"
        return Row(self.of, self.subject, str(self.outcome), figure, interval, limit, self.kept, smallest, how)

    def sentence(self) -> str:
        """The finding in one line."""
        told = f"{_named(self.of, self.subject)}: {self.outcome}, {self.ratio:.3f} of the baseline's latency"
        interval = f"{self.low:.3f} to {self.high:.3f}; {self.how}"
        shows = f"slowdowns from {self.smallest:.1%} would show" if math.isfinite(self.smallest) else "no slowdown would show"
        exception = f"; allowed to differ: {self.exception}" if self.exception else ""
        return f"{told} ({interval}; {shows}); limit {1 + self.limit:.3f}{exception}"


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure against an absolute limit, all in ``unit`` (``ms``, ``%``, ``MB``).

    low, high: its 95 % interval; NaN where the figure could not be had, and then ``how`` says what to do. floor: whether the limit is the
    least that is allowed, not the most. must_show: whether what cannot be told counts as missed. of:
    which measurement, where there are several.
    """

    subject: str
    figure: float
    low: float
    high: float
    limit: float
    unit: str
    how: str
    floor: bool = False
    must_show: bool = False
    of: str = ""

    @property
    def kept(self) -> Kept:
        """Met where the whole interval lies on the allowed side, missed where none of it does."""
        inside, outside = (
            (self.low >= self.limit, self.high < self.limit) if self.floor else (self.high <= self.limit, self.low > self.limit)
        )
        return Kept.MET if inside else Kept.MISSED if outside or self.must_show else Kept.CANNOT_TELL  # comparisons with NaN are false

    @property
    def beyond(self) -> bool:
        """The limit is certainly missed."""
        return self.kept is Kept.MISSED

    @property
    def undecided(self) -> bool:
        """The interval does not say."""
        return self.kept is Kept.CANNOT_TELL

    @property
    def smallest(self) -> float:
        """By how much beyond the limit a figure must lie for an interval as wide as this one to show it."""
        return self.figure - self.low if not self.floor else self.high - self.figure

    def row(self) -> Row:
        """The bound as a row of the table."""
        if math.isnan(self.figure):
            return Row(self.of, self.subject, "unknown", "–", "–", self._limit(), self.kept, "", self.how)
        interval = "exact" if self.low == self.high else f"{self._told(self.low)}–{self._told(self.high)}"
        smallest = "" if self.low == self.high else f"{'−' if self.floor else '+'}{self.smallest:.2g} {self.unit}"
        figure = f"{self._told(self.figure)} {self.unit}"
        return Row(self.of, self.subject, "limit", figure, interval, self._limit(), self.kept, smallest, self.how)

    def sentence(self) -> str:
        """The bound in one line."""
        row = self.row()
        if math.isnan(self.figure):
            return f"{_named(self.of, self.subject)}: {self.kept}, {self.how}; limit {row.limit}"
        shows = f"; {row.smallest} beyond it would show" if row.smallest else ""
        return f"{_named(self.of, self.subject)}: {row.figure} ({row.interval}; {self.how}), limit {row.limit} {self.kept}{shows}"

    def _limit(self) -> str:
        return f"{'≥' if self.floor else '≤'} {self.limit:g} {self.unit}"

    def _told(self, figure: float) -> str:
        return f"{figure:.0f}" if abs(figure) >= 1000 else f"{figure:#.4g}"


Judged = Finding | Bound


def _named(of: str, subject: str) -> str:
    return f"{of}: {subject}" if of else subject


def from_bounds(subject: str, ratio: float, low: float, high: float, limit: float, same_within: float, how: str) -> Finding:
    """The finding of a ratio between bounds that come from two separate runs; other arguments as in ``Finding``."""
    if low > 1 + same_within:
        outcome = Outcome.SLOWER
    elif high < 1 - same_within:
        outcome = Outcome.FASTER
    elif 1 - same_within <= low and high <= 1 + same_within:
        outcome = Outcome.SAME
    else:
        outcome = Outcome.CANNOT_TELL
    return Finding(subject, outcome, ratio, low, high, limit, how, smallest_effect(ratio, low, high, same_within))


def smallest_effect(ratio: float, low: float, high: float, same_within: float) -> float:
    """The slowdown whose lower bound lies above ``1 + same_within`` 95 times in 100, by bounds of this width; infinite where none."""
    if not 0 < low <= ratio <= high < math.inf:
        return math.inf
    deviation = math.log(high / low) / (2 * _Z_975)
    return math.expm1(math.log1p(same_within) + math.log(ratio / low) + _Z_95 * deviation)
