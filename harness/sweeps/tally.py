"""A long calibration on disk: what was compared, then one line for every comparison, so that a run that was ended goes on."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.files import json_text, reading
from harness.files.numbers import Range
from harness.latency.verdict.calibration import Trial
from harness.latency.verdict.judgement import Outcome

FIGURES = Range(0, 1e9)  # whatever a comparison counts or measures
TOLD_EVERY_S = 60.0  # where the error stream is no terminal


def read(path: Path, what: str) -> tuple[Trial, ...]:
    """The comparisons that ``path`` holds, none where it is not there; UsageError when they are of something else than ``what``.

    A last line that was cut short counts as not there.
    """
    if not path.exists():
        return ()
    try:
        first, *lines = reading.text(path).splitlines(keepends=True) or [""]
        if json_text.parse(first or "null") != {"what": what}:
            raise UsageError(f"{path} holds another calibration; give another file, or the options of {first.strip()[:200] or 'nothing'}")
        return tuple(_trial(line) for line in lines if line.endswith("\n"))
    except (OSError, ValueError, KeyError) as error:
        lacking = "it lacks " if isinstance(error, KeyError) else ""
        raise UsageError(f"cannot read {path} as a calibration ({lacking}{error}); give another file") from error


def _trial(line: str) -> Trial:
    if not isinstance(found := json_text.parse(line), dict):
        raise ValueError(f"{line.strip()[:60]} is no comparison")
    number, *figures = (found[key] for key in ("number", "planted", "ratio", "seconds"))
    if type(number) is not int or not all(type(one) in (int, float) and FIGURES.holds(one) for one in (number, *figures)):
        raise ValueError(f"{line.strip()[:60]} is no comparison")
    return Trial(number, float(figures[0]), Outcome(found["outcome"]), float(figures[1]), float(figures[2]))


@dataclass
class Tally:
    """Keeps comparisons in ``path``, where one is given, and says how many of ``in_all`` are done and for how long the rest will take."""

    path: Path | None
    what: str
    in_all: int
    known: tuple[Trial, ...] = ()
    seconds: float = 0.0
    fresh: int = 0
    told_at: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, path: Path | None, what: str, in_all: int) -> Tally:
        """What ``path`` holds already, cleared of a line that was cut short; UsageError for a file of something else."""
        known = read(path, what) if path is not None else ()
        if path is not None:
            try:
                path.write_text("".join([json.dumps({"what": what}) + "\n", *map(_line, known)]), encoding="utf-8")
            except OSError as error:
                raise UsageError(f"cannot write {path} ({error}); give another file") from error
        return cls(path, what, in_all, tuple(one for one in known if one.number < in_all))

    def keep(self, trial: Trial) -> None:
        """Add one comparison."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(trial))
        self.fresh, self.seconds = self.fresh + 1, self.seconds + trial.seconds
        done, now = len(self.known) + self.fresh, time.monotonic()
        left_min = (self.in_all - done) * self.seconds / self.fresh / 60
        told = f"{done} of {self.in_all} comparisons, about {left_min:.0f} min left"
        if sys.stderr.isatty():
            print(f"\r{told} ", end="\n" if done == self.in_all else "", file=sys.stderr, flush=True)
        elif self.fresh == 1 or now - self.told_at >= TOLD_EVERY_S:
            print(told, file=sys.stderr, flush=True)
            self.told_at = now


def _line(trial: Trial) -> str:
    return json.dumps(asdict(trial)) + "\n"
