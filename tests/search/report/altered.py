"""Summaries as they would be with other figures."""

from collections.abc import Callable
from dataclasses import replace

from search.report.compared import Compared
from search.report.summary import Summary


def change(told: Summary, role: str, alter: Callable[[Compared], Compared]) -> Summary:
    """The same campaign with every network of a role ("" for all) altered."""
    return replace(told, compared=tuple(alter(e) if role in ("", e.contender.role) else e for e in told.compared))
