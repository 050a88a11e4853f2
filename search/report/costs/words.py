"""The explanation of a network's costs as sentences: what to do, where the figures come from, what is doubtful."""

from __future__ import annotations

from collections.abc import Sequence

from harness.latency.explanation.advice import Advice
from harness.latency.explanation.shares import MEASURED
from search.report.costs.explain import Explanation
from search.report.figures.wording import Unit, count_words, number, percent, points, unit_of


def unit_for(told: Explanation) -> Unit:
    """The unit of all times."""
    return unit_of(told.account.whole_s)


def headline(told: Explanation) -> str:
    """What to do, in one sentence."""
    best, simulated = told.next, "SIMULATED: " if told.provenance == "SIMULATED" else ""
    if best is None or best.next_width is None:
        return f"{simulated}No single group of {told.network} is worth narrowing on {told.device}."
    saved = f"saves {unit_for(told).told(best.saved_s)} ({percent(best.saved_s / told.account.whole_s, 1)}, {told.series})"
    return f"{simulated}Prune this next: {best.group}, {cut(best, best.next_width)}, {saved}{_for_points(told, best)}."


def free_sentence(told: Explanation) -> str:
    """The cuts that cost no accuracy that could be told, the largest first; empty where nothing is known of accuracy."""
    if told.analysis is None:
        return ""
    free = sorted((one for one in told.advice if one.free_width is not None), key=lambda one: -one.free_s)
    if not free:
        return f"No group can be narrowed without a loss of more than {points(told.analysis.least_points)} points by itself."
    said = ", ".join(f"{one.group} {cut(one, one.free_width or 0)} ({percent(one.free_s / told.account.whole_s, 1)})" for one in free[:3])
    return (
        f"By itself each of {count_words(len(free), 'group')} can be cut at a loss of at most {points(told.analysis.least_points)} points, "
        f"which is the least that can be told; most is saved by {said}. Taken together cuts lose more than their sum."
    )


def sentences(told: Explanation) -> tuple[str, ...]:
    """What a reader must know of the figures: where they come from, what bounds the machine, what is doubtful."""
    account, unit, roof = told.account, unit_for(told), told.account.roof
    confidence = 95 if account.kind == MEASURED else 90
    whole = f"{unit.told(account.whole_s)}, {confidence} % interval {unit.interval(*account.whole_interval_s)} {unit.name}"
    said = [
        f"The dense network takes {whole}, {kind(told, account.kind)}, and so are its layers; what a cut saves is "
        f"{kind(told, told.series)}, with one group narrowed and all others dense.",
        free_sentence(told),
        f"The best that any layer {'of this network or of the probe of the roofs ' if account.probes else ''}reaches is "
        f"{number(roof.macs_per_s / 1e9)} billion multiply-accumulates (MACs) a second ({roof.fastest}) and "
        f"{number(roof.bytes_per_s / 1e9)} GB/s ({roof.busiest}): below {number(roof.ridge)} MACs per byte memory is the roof.",
        "" if told.analysis is None else told.analysis.told,
        " ".join(told.notes),
    ]
    return tuple(sentence for sentence in said if sentence)


def cut(one: Advice, width: int) -> str:
    """``64 → 48``."""
    return f"{one.width} → {width}" if width else f"{one.width} → 0, the branch removed"


def _for_points(told: Explanation, best: Advice) -> str:
    if told.analysis is None or best.lost is None:
        return ", accuracy not analysed"
    return f", for {points(best.lost.points)} points of validation top-1 ({told.analysis.kind}, {lost_interval(best)})"


def lost_interval(one: Advice) -> str:
    """The ends of the interval of the points lost at the next useful width."""
    return "" if one.lost is None else f"{points(one.lost.low)} to {points(one.lost.high)}"


def listed(widths: Sequence[int]) -> str:
    """``15, 14 and 13``."""
    told = [str(width) for width in widths]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}" if told else ""


def kind(told: Explanation, of: str) -> str:
    """``measured``, ``predicted``, and what either rests on where that is simulated."""
    if told.provenance != "SIMULATED":
        return of
    return "SIMULATED" if of == MEASURED else f"{of} from SIMULATED"
