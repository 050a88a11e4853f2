"""A line on what was verified of Distiller, under a run that put the literature's claims to it or to its recording."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any


def lines(stats: Mapping[str, Sequence[Any]]) -> list[str]:
    """The line, or none; ``stats``: of pytest's terminal reporter."""
    judged = [
        (outcome, report.nodeid)
        for outcome in ("passed", "xfailed", "failed")
        for report in stats.get(outcome, ())
        if "test_distiller_claims.py::" in getattr(report, "nodeid", "")
    ]
    distiller = sys.modules.get("harness.verification.distiller")
    if distiller is None or not judged:
        return []
    recorded, live = (any(f"::{name}[" in test for _, test in judged) for name in ("test_recorded", "test_live"))
    return [distiller.summary_line(recorded, live, broken=sum(outcome == "failed" for outcome, _ in judged))]
