"""Numbers that people and files give: written plainly, finite, and each within its range."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")  # ASCII digits, and no more than an integer of 64 bits takes: Python reads 1_0, " 3" and "٣" too
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Range:
    """From ``least`` to ``most``, both included; ``above``: without ``least`` itself. whole: only integers lie in it. unit: in words."""

    least: float
    most: float
    whole: bool = False
    above: bool = False
    unit: str = ""

    def holds(self, number: float) -> bool:
        """Whether ``number`` lies in it; what is not a number does not."""
        return (self.least < number if self.above else self.least <= number) and number <= self.most

    @property
    def words(self) -> str:
        """What to give, for the end of a message."""
        kind = "a whole number" if self.whole else "a number"
        least, most = (
            f"{bound:.0f}" if abs(bound) < 1e7 and float(bound).is_integer() else f"{bound:g}" for bound in (self.least, self.most)
        )
        told = f"{kind} above {least}, at most {most}" if self.above else f"{kind} from {least} to {most}"
        return f"{told} {self.unit}".rstrip()


EPOCHS = Range(0, 10_000, unit="epochs")
SECONDS = Range(0, 1e9)
SHARE = Range(0, 1)
SEED = Range(0, 2**32 - 1, whole=True)  # what numpy's generators take
COUNT = Range(0, 10**9, whole=True)

# The words of every command line here, by their name: an option that is called alike means alike.
OPTIONS = {
    "batch-size": Range(1, 65_536, whole=True),
    "blocks": Range(1, 100_000, whole=True),
    "budget": EPOCHS,
    "builds": Range(1, 1000, whole=True),
    "calibration": Range(1, 10**6, whole=True),
    "campaigns": Range(1, 10**6, whole=True),
    "certainty": Range(0.5, 0.999),  # no pictures at hand tell more
    "chance-margin": Range(0, 0.999),
    "channels": Range(1, 4, whole=True),
    "contenders": Range(2, 1000, whole=True),
    "dense-epochs": Range(0, 10_000, above=True),
    "dense-learning-rate": Range(0, 100, above=True),
    "designs": Range(8, 500, whole=True),  # fewer determine no latency model, of more a greedy pick is no better than a random one
    "finalists": Range(0, 1000, whole=True),
    "folds": Range(0, 10, whole=True),  # each trains the dense network anew
    "held-out": Range(0, 100_000, whole=True),
    "good-enough": Range(0, 0.999),
    "hours": Range(0, 100_000, above=True),
    "int8-max-drop": Range(0, 100),
    "learning-rate": Range(0, 100, above=True),
    "limit": Range(1, 10**9, whole=True),
    "max-drop": Range(0, 100),
    "max-latency-ms": Range(0, 1e9, above=True),
    "max-noise": Range(0, 1e6),
    "max-predictor-error": Range(0, 1, above=True),
    "measure-on": Range(0, 1e6),
    "min-time": Range(0, 1e6),
    "minutes": Range(0, 100_000, above=True),  # ten weeks
    "pace": Range(0, 1e6, above=True),
    "pairs": Range(1, 100_000, whole=True),
    "patience": Range(0, 10**6, whole=True),
    "planted": Range(0, 1000, above=True),
    "precision-target": Range(0, 1, above=True),
    "proof-budget": EPOCHS,
    "proof-seeds": Range(0, 100, whole=True),
    "rounds": Range(1, 10**7, whole=True),
    "same-within": Range(0, 1),
    "seed": SEED,
    "seeds": Range(1, 10_000, whole=True),
    "share": SHARE,
    "short": EPOCHS,
    "simulated": Range(1, 10**7, whole=True),
    "streams": Range(1, 1024, whole=True),
    "sustained": Range(0, 1e6),
    "threads": Range(1, 1024, whole=True),
    "trial-timeout": Range(0, 1e7, above=True),
    "trials": Range(1, 10**6, whole=True),
    "widths": Range(1, 10_000, whole=True),
    "workers": Range(1, 512, whole=True),
}


def whole(text: str) -> int:
    """An integer in plain digits; argparse.ArgumentTypeError for anything else, also for what Python would read."""
    if not _WHOLE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no whole number; give plain digits, at most 18")
    return int(text)


def wholes(text: str) -> tuple[int, ...]:
    """Integers in plain digits with commas between them, each once, as 1,4,16."""
    return tuple(dict.fromkeys(whole(one) for one in text.split(",")))


def number(text: str) -> float:
    """A finite number in plain digits; argparse.ArgumentTypeError for anything else, also for what Python would read."""
    if not _NUMBER.fullmatch(text) or len(text) > 60 or not math.isfinite(float(text)):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no finite number; give plain digits, such as 0.5")
    return float(text)


def option(name: str) -> Callable[[str], float]:
    """What reads the option called ``name``, its range in ``OPTIONS``: argparse ends with one line for what lies outside."""
    allowed = OPTIONS[name]

    def read(text: str) -> float:
        found = whole(text) if allowed.whole else number(text)
        if not allowed.holds(found):
            raise argparse.ArgumentTypeError(f"{text} is out of range; give {allowed.words}")
        return found

    return read
