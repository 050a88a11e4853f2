"""The picture of a race: lowest latency within the limit against trials, one line per method, one panel per problem."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from search.race.race import Run

matplotlib.use("Agg")

OURS = "espalier"


def draw(runs: Sequence[Run], path: Path) -> None:
    """Write an SVG: means over instances and seeds as steps, bands of one standard deviation. runs: at least one."""
    problems = sorted({run.problem for run in runs})
    figure = Figure(figsize=(4.2 * len(problems), 3.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(problems), sharey=True))
    for panel, problem in zip(panels, problems, strict=True):
        here = [run for run in runs if run.problem == problem]
        for method in sorted({run.method for run in here}, key=lambda name: (not name.startswith(OURS), name)):
            members = [run for run in here if run.method == method]
            longest = max(len(run.latencies) for run in members)
            best = np.asarray([[run.best(count) for count in range(1, longest + 1)] for run in members])
            mean, spread = best.mean(axis=0), best.std(axis=0)
            places = np.arange(1, longest + 1)
            width = 2.2 if method.startswith(OURS) else 1.2
            (line,) = panel.step(places, mean, where="post", label=f"{method} ({len(members)} runs)", linewidth=width)
            panel.fill_between(places, mean - spread, mean + spread, step="post", alpha=0.12, color=line.get_color())
        panel.set(title=f"{problem} (SIMULATED)", xlabel="trials", ylim=(0, 1.05))
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize=7)
    panels[0].set_ylabel("lowest latency observed within the limit, of dense")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg")
