"""A comparison as if it had come out otherwise."""

from dataclasses import replace

from search.records.losses.drop import Drop
from search.report.compared import Compared, SpeedUp
from search.report.summary import Summary


def with_optimised(told: Summary, speed: float, lost: float, verdict: str = "faster") -> Summary:
    """The summary as if the optimised network were so much faster and lost so many points."""
    judged = SpeedUp("dense", speed, speed * 0.98, speed * 1.02, verdict, 0.01)
    changed = [
        replace(entry, against_dense=judged, against_off_the_shelf=judged, test_drop=Drop(lost, lost - 0.3, lost + 0.3))
        if entry.contender.role == "optimised"
        else entry
        for entry in told.compared
    ]
    return replace(told, compared=tuple(changed))


def joint_of(told: Summary, sizes: tuple[str, ...] = ("28x28", "24x24")) -> Summary:
    """The same comparison as if every network but the dense one ran quantised, and at further sizes of the pictures too."""
    found = list(told.compared)
    for entry in told.compared:
        if entry.contender.role in ("off-the-shelf", "uniform"):
            found += [_otherwise(entry, size) for size in ("", *sizes)]
    return replace(told, compared=tuple(found))


def _otherwise(entry: Compared, size: str) -> Compared:
    name = "-".join(part for part in (entry.contender.name, size, "int8") if part)
    return replace(entry, contender=replace(entry.contender, name=name, precision="int8", size=size))
