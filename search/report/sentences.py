"""What a campaign found, in sentences: the same on the page, in the Markdown file and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.latency.verdict import machine_state
from search.records.losses.drop import Drop
from search.records.outcome import IN_INT8
from search.report.compared import Compared, SpeedUp
from search.report.figures.wording import Unit, count_words, percent, points, points_interval, times, times_interval, unit_of
from search.report.summary import Summary


def unit_for(summary: Summary) -> Unit:
    """Microseconds or milliseconds, by the dense network."""
    return unit_of(summary.dense.latency.median_s)


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
    """The 95 % interval of the factor; empty where so few loads were measured that there is none."""
    if not (judged.low > 0 and math.isfinite(judged.high)):
        return ""
    low, high = (judged.low, judged.high) if judged.outcome != "slower" else (1 / judged.high, 1 / judged.low)
    return times_interval(low, high)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the headline. strong: it carries the claim; the rest is its evidence."""

    text: str
    strong: bool = False


def place(summary: Summary) -> str:
    """The device with its processor's name: a latency is that processor's."""
    device = summary.conditions.device
    return f"{device.name} ({device.model})"


def headline(summary: Summary) -> str:
    """The campaign's answer in one sentence."""
    return "".join(part.text for part in headline_parts(summary))


def headline_parts(summary: Summary) -> tuple[Part, ...]:
    """The same sentence, told apart into claim and evidence."""
    best, told, unit = summary.optimised, summary.outcome, unit_for(summary)
    latency, dense = best.latency, summary.dense.latency
    simulated = "SIMULATED: " if summary.provenance == "SIMULATED" else ""
    evidence = (
        f" ({summary.quoted} {unit.told(latency.median_s)}, 95 % interval {unit.interval(*latency.interval_s)} {unit.name}, "
        f"{count_words(len(latency.samples_s), 'sample')}; dense {unit.told(dense.median_s)}) "
    )
    ours, theirs = (one.measurement.conditions.effective_precision for one in (best, summary.dense))
    lost, where = loss(best.test_drop), f"on {place(summary)}, {ours if ours == theirs else f'{ours}, dense in {theirs}'}"
    if best.contender.size:
        _, height, width = summary.architecture.input_shape
        where += f", at {best.contender.size.replace('x', '×')} pixels, dense at {height}×{width}"
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
        f"Off-the-shelf ({rival.contender.name}) {_speed(rival.against_dense, 'runs', 'dense')} {loss(rival.test_drop)}; the optimised "
        f"network {_speed(best.against_off_the_shelf, 'runs', 'it')}{_same_widths(best, rival)}{_in_int8(summary, rival)}."
    )


def _in_int8(summary: Summary, rival: Compared) -> str:
    """What the chosen network gets in INT8 against that, where the search itself ran none; a clause, or nothing."""
    smaller = summary.of_role(IN_INT8)
    if smaller is None:
        return ""
    if smaller.contender.artefact_digest == rival.contender.artefact_digest:
        return "; quantised after training it is that very network"
    judged = smaller.against_off_the_shelf
    told = verdict_interval(judged) if judged is not None and judged.outcome in ("faster", "slower") else ""
    interval = f" ({told})" if told else ""
    return (
        f"; quantised after training too it {_speed(judged, 'runs', 'that')}{interval} {loss(smaller.test_drop)}{_over(summary, smaller)}"
    )


def _over(summary: Summary, entry: Compared) -> str:
    """That a network which nobody chose loses more than was allowed, by validation as all others are judged; or nothing."""
    limit = summary.outcome.max_drop_points
    if limit is None or entry.validation_drop is None or entry.validation_drop.points <= limit:
        return ""
    return f", over the limit on validation ({points(entry.validation_drop.points)} points)"


def further_sentence(summary: Summary) -> str:
    """How INT8 is searched for, where it was only put on what was found; or nothing."""
    if summary.of_role(IN_INT8) is None:
        return ""
    return (
        f"INT8 was put on what was found for {summary.outcome.precision}; to search for both: --precision={summary.outcome.precision},int8"
    )


def global_pruning_sentence(summary: Summary) -> str:
    """What a user of Torch-Pruning would have got at the same predicted latency, by each of its importances; nothing where not compared."""
    return " ".join(
        f"Global pruning by Torch-Pruning ({entry.contender.name.partition('-')[2]}), cut to the same latency: "
        f"{_speed(entry.against_dense, 'runs', 'dense')} {loss(entry.test_drop)}."
        for entry in summary.compared
        if entry.contender.role == "global-pruning"
    )


def twins_sentence(summary: Summary) -> str:
    """Which names of the comparison mean one and the same network, the optimised one's first; nothing where all differ."""
    named: dict[str, list[str]] = {}
    for entry in sorted(summary.compared, key=lambda one: one is not summary.optimised):
        named.setdefault(entry.contender.artefact_digest, []).append(entry.contender.name)
    twins = [names for names in named.values() if len(names) > 1]
    said = [f"{first} is the same network as {' and '.join(others)}: {_no_better(summary, first, others)}" for first, *others in twins]
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in said)


def _no_better(summary: Summary, first: str, others: Sequence[str]) -> str:
    """What it means that the network ``first`` has these other names too."""
    uniform = summary.of_role("uniform")
    if uniform is not None and uniform.contender.name in others and first == summary.optimised.contender.name:
        return "the search found nothing better than a uniform cut"
    return "one network, one figure"


def _same_widths(best: Compared, rival: Compared) -> str:
    ours, theirs = ((one.contender.config, one.contender.precision, one.contender.size) for one in (best, rival))
    return ", for it keeps the very same channels" if ours == theirs else ""


def _speed(judged: SpeedUp | None, verb: str, baseline: str) -> str:
    """``runs 3.12× faster than dense``; None is the baseline itself."""
    match judged.outcome if judged else "same":
        case "same":
            return f"{verb} as fast as {baseline}"
        case "cannot tell":
            return f"cannot be told from {baseline} in speed"
        case _:
            return f"{verb} {verdict_words(judged)} than {baseline}" if judged else ""


def loss(lost: Drop | None) -> str:
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
        said.append(f"drop of at most {limit:g} {'point' if limit == 1 else 'points'}: {where}{_certainty(summary, limit)}")
    if told.max_latency_s is not None:
        kept_latency = best.latency.median_s <= told.max_latency_s
        said.append(f"latency of at most {unit.told(told.max_latency_s)}: {'kept' if kept_latency else 'missed'}")
    return "; ".join(said) or "none was set"


def _certainty(summary: Summary, limit: float) -> str:
    """How sure it was, before the test split was read, that the answer's true drop is within the limit; in plain words where not enough."""
    known, asked = summary.optimised.evidence, summary.outcome.certainty
    if known is None:
        return ""
    chance, folds = known.chance_within(limit), sum(fold.images for fold in known.folds)
    by = f"{known.judged.images} validation pictures" + (f" and {folds} training pictures, cross-fitted" if folds else "")
    told = f"; with a probability of {chance:.2f} its true drop is within it, by {by}"
    if asked is None or chance >= asked:
        return told
    return f"{told}: less than the {asked:g} asked for, but no other that is faster was as sure"


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
        + "".join(
            f" The same {where}: mean {percent(one.mape_ratio)}, largest {percent(one.max_ratio)} of {len(one.judged)}."
            for where, one in summary.held_out_at
        )
    )


def noise_sentence(summary: Summary) -> str:
    """In which state the machine was, how many of the comparison's measurements are noisy, and why the worst one is; or nothing."""
    said = [_state_sentence(summary)] if any(machine_state.loud(entry.measurement.latency) for entry in summary.compared) else []
    if noisy := [entry for entry in summary.compared if entry.latency.noise]:
        worst = max(noisy, key=lambda entry: entry.latency.block_spread_ratio)
        said.append(
            f"{len(noisy)} of {count_words(len(summary.compared), 'measurement')} {'is' if len(noisy) == 1 else 'are'} noisy, "
            f"{worst.contender.name} most of all ({'; '.join(worst.latency.noise)}): trust the speed-ups, which compare neighbouring "
            "blocks, more than the medians."
        )
    return " ".join(said)


def _state_sentence(summary: Summary) -> str:
    shares = [ratio for one in summary.compared if (ratio := machine_state.fast_state_ratio(one.measurement.latency)) is not None]
    least, most = percent(min(shares), 0), percent(max(shares), 0)
    told = f"The machine was in its fast state beside {least if least == most else f'{least} to {most}'} of the blocks: "
    if summary.dense.fast_state is not None:
        return told + "latencies are medians of those, speed-ups were judged by those."
    return told + "some network hardly ever met it, so the medians cannot be compared; measure again when the machine is quieter."
