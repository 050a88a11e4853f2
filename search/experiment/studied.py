"""One finished study: its campaigns' figures together, and which of them a reader sees first."""

from __future__ import annotations

from dataclasses import dataclass

from harness.training.stored_baseline import StoredBaseline
from search.report import sentences
from search.report.summary import Summary


@dataclass(frozen=True)
class Studied:
    """One finished study. summary: the search over channels, in f32. in_bf16: its comparison measured in bf16, or None.

    notes: what is missing and why, a sentence each. joint: the search over channels, bits and sizes, or None where it is not finished.
    """

    summary: Summary
    baselines: tuple[StoredBaseline, ...]
    in_bf16: Summary | None
    notes: tuple[str, ...]
    joint: Summary | None = None

    @property
    def network(self) -> str:
        """By name."""
        return self.summary.outcome.network

    @property
    def leading(self) -> Summary:
        """The comparison that answers first: against every rival at its best size and precision, where that was made."""
        return self.joint or self.summary

    @property
    def comparisons(self) -> tuple[Summary, ...]:
        """All that were made of f32 as the dense network's precision, the leading one first."""
        return (self.summary,) if self.joint is None else (self.joint, self.summary)

    @property
    def place(self) -> str:
        """The device with its processor's name."""
        return sentences.place(self.leading)
