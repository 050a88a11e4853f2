"""How the report says its figures: one way for the page, the Markdown file and the terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.records.accuracy import Accuracy
from search.records.drop import Drop
from search.report.summary import Compared, SpeedUp, Summary

MINUS, DASH, MISSING, NARROW = "−", "–", "—", "\u202f"
_MILLISECONDS_FROM_S = 0.01  # slower networks are told in milliseconds

ROLE_WORDS = {
    "dense": "unpruned",
    "off-the-shelf": "published schedule",
    "uniform": "every width cut alike",
    "random": "found by random search on as many trials",
    "optimised": "found by this campaign",
    "candidate": "found, not chosen",
    "from-scratch": "the optimised shape, trained from nothing",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of time for a whole report, so that figures can be compared by eye. places: decimals for times of single layers."""

    name: str
    per_second: float
    places: int

    def figure(self, seconds: float) -> str:
        """The bare number, with about four significant digits."""
        return number(seconds * self.per_second)

    def layer(self, seconds: float) -> str:
        """The bare number with the same decimals for all layers."""
        return _fixed(seconds * self.per_second, self.places)

    def told(self, seconds: float) -> str:
        """Number and unit."""
        return f"{self.figure(seconds)} {self.name}"

    def interval(self, low_s: float, high_s: float) -> str:
        """Two bare numbers with as many decimals as the larger one has."""
        places = _places(high_s * self.per_second)
        return f"{_fixed(low_s * self.per_second, places)}{DASH}{_fixed(high_s * self.per_second, places)}"


def unit_for(summary: Summary) -> Unit:
    """Microseconds or milliseconds, by the dense network."""
    return unit_of(summary.dense.measurement.latency.median_s)


def unit_of(whole_s: float) -> Unit:
    """Microseconds or milliseconds, by a whole network's latency."""
    return Unit("ms", 1e3, 3) if whole_s >= _MILLISECONDS_FROM_S else Unit("µs", 1e6, 1)


def number(figure: float) -> str:
    """About four significant digits, a real minus sign, thousands apart."""
    return _fixed(figure, _places(figure))


def percent(ratio: float, places: int = 2) -> str:
    """A ratio as a percentage."""
    return f"{_fixed(100 * ratio, places)} %"


def interval_percent(interval: tuple[float, float]) -> str:
    """Two ratios as percentages, with one decimal: a third digit would outrun the images behind them."""
    return f"{_fixed(100 * interval[0], 1)}{DASH}{_fixed(100 * interval[1], 1)} %"


def points(figure: float) -> str:
    """Percentage points with two decimals."""
    return _fixed(figure, 2)


def points_interval(lost: Drop) -> str:
    """The interval of a drop, in percentage points; words instead of a dash, for the ends may be negative."""
    return f"{_fixed(lost.low, 2)} to {_fixed(lost.high, 2)}"


def times(figure: float) -> str:
    """A factor."""
    return f"{_fixed(figure, 2)}×"


def count_words(count: int, one: str, several: str = "") -> str:
    """``1 block``, ``5 blocks``."""
    return f"{_fixed(count, 0)} {one if count == 1 else several or one + 's'}"


def size(value: float) -> str:
    """A count in thousands or millions."""
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{number(value / scale)} {letter}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{_fixed(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def verdict_words(judged: SpeedUp) -> str:
    """The verdict with its figure: ``3.12× faster``, ``same``, ``cannot tell``."""
    match judged.outcome:
        case "faster":
            return f"{times(judged.times)} faster"
        case "slower":
            return f"{times(1 / judged.times)} slower"
        case "same":
            return "same"
        case _:
            return "cannot tell"


def verdict_interval(judged: SpeedUp) -> str:
    """The 95 % interval of the factor."""
    low, high = (judged.low, judged.high) if judged.outcome != "slower" else (1 / judged.high, 1 / judged.low)
    places = 2 if high - low >= 0.05 else 3
    return f"{_fixed(low, places)}{DASH}{_fixed(high, places)}×"


def share_correct(accuracy: Accuracy) -> str:
    """``349 of 360``."""
    return f"{accuracy.correct} of {accuracy.total}"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the headline. strong: it carries the claim; the rest is its evidence."""

    text: str
    strong: bool = False


def headline(summary: Summary) -> str:
    """The campaign's answer in one sentence."""
    return "".join(part.text for part in headline_parts(summary))


def headline_parts(summary: Summary) -> tuple[Part, ...]:
    """The same sentence, told apart into claim and evidence."""
    best, told, unit = summary.optimised, summary.outcome, unit_for(summary)
    latency, dense = best.measurement.latency, summary.dense.measurement.latency
    simulated = "SIMULATED: " if summary.provenance == "SIMULATED" else ""
    evidence = (
        f" (median {unit.told(latency.median_s)}, 95 % interval {unit.interval(*latency.interval_s)} {unit.name}, "
        f"{count_words(len(latency.samples_s), 'sample')}; dense {unit.told(dense.median_s)}) "
    )
    lost, where = _lost(best.test_drop), f"on {told.device}, {summary.conditions.effective_precision}"
    return (
        *_missed(summary),
        Part(f"{simulated}{told.network} {_speed(best.against_dense, 'runs', 'dense')}", strong=True),
        Part(evidence),
        Part(lost, strong=True),
        Part("" if best.test_drop is None else f" (95 % interval {points_interval(best.test_drop)})"),
        Part(f" {where}."),
    )


def _missed(summary: Summary) -> tuple[Part, ...]:
    """What goes before a claim that is none, for the limit was missed."""
    if not summary.limit_missed or summary.outcome.max_drop_points is None:
        return ()
    limit = summary.outcome.max_drop_points
    drops = {entry.contender.name: entry.validation_drop.points for entry in summary.found if entry.validation_drop is not None}
    nearest = drops.get(summary.optimised.contender.name) == min(drops.values(), default=None)
    said = f"No network found keeps the limit of {limit:g} {'point' if limit == 1 else 'points'} on validation"
    return Part(said, strong=True), Part("; the nearest: " if nearest else "; the chosen one all the same: ")


def rival_sentence(summary: Summary) -> str:
    """What the published configuration does, and how the campaign's answer compares with it."""
    rival, best = summary.off_the_shelf, summary.optimised
    if rival is None:
        return "Off-the-shelf: there is no published configuration for this network to compare with."
    return (
        f"Off-the-shelf ({rival.contender.name}) {_speed(rival.against_dense, 'runs', 'dense')} {_lost(rival.test_drop)}; the optimised "
        f"network {_speed(best.against_off_the_shelf, 'runs', 'it')}{_same_widths(best, rival)}."
    )


def _same_widths(best: Compared, rival: Compared) -> str:
    return ", for it keeps the very same channels" if best.contender.config == rival.contender.config else ""


def _speed(judged: SpeedUp | None, verb: str, baseline: str) -> str:
    """``runs 3.12× faster than dense``; None is the baseline itself."""
    match judged.outcome if judged else "same":
        case "same":
            return f"{verb} as fast as {baseline}"
        case "cannot tell":
            return f"cannot be told from {baseline} in speed"
        case _:
            return f"{verb} {verdict_words(judged)} than {baseline}" if judged else ""


def _lost(lost: Drop | None) -> str:
    """The test accuracy lost or won, to follow a claim of speed; None is the dense network itself."""
    if lost is None or lost.points == 0:
        return "at an unchanged test top-1"
    if lost.points > 0:
        return f"at a test top-1 drop of {points(lost.points)} points"
    return f"at a test top-1 {points(-lost.points)} points above dense"


def limit_sentence(summary: Summary) -> str:
    """Whether the limits that the campaign was given were kept."""
    best, told, unit = summary.optimised, summary.outcome, unit_for(summary)
    said = []
    if told.max_drop_points is not None and best.validation_drop is not None and best.test_drop is not None:
        limit = told.max_drop_points
        kept = {name: lost.points <= limit for name, lost in (("validation", best.validation_drop), ("test", best.test_drop))}
        where = {2: "kept on validation and test", 0: "missed on validation and test"}.get(sum(kept.values()))
        where = where or ("kept on validation, missed on test" if kept["validation"] else "missed on validation, kept on test")
        said.append(f"drop of at most {limit:g} {'point' if limit == 1 else 'points'}: {where}")
    if told.max_latency_s is not None:
        kept_latency = best.measurement.latency.median_s <= told.max_latency_s
        said.append(f"latency of at most {unit.told(told.max_latency_s)}: {'kept' if kept_latency else 'missed'}")
    return "; ".join(said) or "none was set"


def error_sentence(summary: Summary) -> str:
    """How far the predictor missed on networks it never saw."""
    if summary.held_out is None:
        return "The predictor's error is unknown: no held-out network was measured."
    held = summary.held_out
    refused = f"; {held.refused} more could not be predicted" if held.refused else ""
    return (
        f"Predicted against {summary.provenance}, {count_words(len(held.judged), 'random configuration')} that the fit never saw: "
        f"median absolute error {percent(held.median_ratio)}, mean {percent(held.mape_ratio)}, largest {percent(held.max_ratio)}, "
        f"{percent(held.within_ratio(0.05), 0)} within ±5 %, rank correlation {held.rho:.4f}; "
        f"the 90 % interval covers {percent(held.coverage_ratio, 0)}; fitted on {count_words(held.fitted_on, 'measured network')}{refused}."
    )


def noise_sentence(summary: Summary) -> str:
    """How many of the comparison's measurements are noisy, and why the worst one is; nothing when none is."""
    noisy = [entry for entry in summary.compared if entry.measurement.latency.noise]
    if not noisy:
        return ""
    worst = max(noisy, key=lambda entry: entry.measurement.latency.block_spread_ratio)
    reasons = "; ".join(worst.measurement.latency.noise)
    return (
        f"{len(noisy)} of {count_words(len(summary.compared), 'measurement')} {'is' if len(noisy) == 1 else 'are'} noisy, "
        f"{worst.contender.name} most of all ({reasons}): trust the speed-ups, which compare neighbouring blocks, more than the medians."
    )


def _places(figure: float) -> int:
    magnitude = abs(figure)
    if not math.isfinite(magnitude) or magnitude >= 1000:
        return 0
    return 1 if magnitude >= 100 else 2


def _fixed(figure: float, places: int) -> str:
    if not math.isfinite(figure):
        return MISSING
    separator = NARROW if abs(figure) >= 10_000 else ""  # no comma: it can be taken for a decimal mark
    text = f"{figure:,.{places}f}".replace(",", separator)
    return MINUS + text[1:] if text.startswith("-") and float(f"{figure:.{places}f}") != 0 else text.lstrip("-")
