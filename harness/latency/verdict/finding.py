"""One network, or one of its layers, against its baseline, judged by the limit that it was given."""

from __future__ import annotations

from dataclasses import dataclass

from harness.latency.verdict.judgement import Outcome


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison with its limit.

    subject: the network or a layer. ratio: latency over the baseline's, with low and high, its interval. how: where the
    interval comes from. beyond: whether the slowdown is real and larger than the limit.
    """

    subject: str
    outcome: Outcome
    ratio: float
    low: float
    high: float
    limit: float
    how: str

    @property
    def beyond(self) -> bool:
        """Slower, and by more than the limit."""
        return self.outcome is Outcome.SLOWER and self.ratio > 1 + self.limit

    @property
    def undecided(self) -> bool:
        """The measurement cannot rule out a slowdown beyond the limit."""
        return self.outcome is Outcome.CANNOT_TELL and self.high > 1 + self.limit

    def sentence(self) -> str:
        """The finding in one line."""
        told = f"{self.subject}: {self.outcome}, {self.ratio:.3f} of the baseline's latency ({self.low:.3f} to {self.high:.3f}; {self.how})"
        return f"{told}; limit {1 + self.limit:.3f}"


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
    return Finding(subject, outcome, ratio, low, high, limit, how)
