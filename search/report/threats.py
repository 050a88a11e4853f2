"""What could make a campaign's figures wrong, or not carry over: said beside them, in sentences with numbers."""

from __future__ import annotations

import statistics

from search.records.losses.drop import mean_accuracy
from search.records.trial import STOPPED
from search.report.figures.wording import count_words, percent, points
from search.report.sentences import noise_sentence
from search.report.summary import Summary

FEW_IMAGES = 2000  # fewer: one wrong answer is worth more than a twentieth of a point
DRIFTED = 0.05  # median miss of the predictions above which the machine itself must have changed
LOADED = 1.5  # load average above which other programs competed for the processor


def threats(summary: Summary) -> tuple[str, ...]:
    """Sentences, the gravest first; never empty, for no experiment is beyond doubt."""
    return (*_simulated(summary), *summary.notes, *_noise(summary), *_accuracy(summary), *_choice(summary), *_reach(summary))


def _simulated(summary: Summary) -> tuple[str, ...]:
    if summary.provenance != "SIMULATED":
        return ()
    return ("Every latency is SIMULATED: no figure here says anything about a real device.",)


def _noise(summary: Summary) -> tuple[str, ...]:
    said = [sentence] if (sentence := noise_sentence(summary)) else []
    loads = [load for s in (summary.conditions.before, summary.conditions.after) if (load := s.load_average) is not None]
    if loads and max(loads) > LOADED:
        said.append(f"Other programs ran on the host (load average up to {max(loads):.1f}); interleaving spreads their harm evenly.")
    if summary.conditions.throttled:
        said.append("The device throttled while it was measured.")
    said += _drifted(summary)
    if summary.conditions.effective_precision != summary.conditions.precision:
        said.append(
            f"The device computed in {summary.conditions.effective_precision}, although {summary.conditions.precision} was asked for."
        )
    return tuple(said)


def _drifted(summary: Summary) -> list[str]:
    """Whether the machine was another one, in effect, than when the predictor's measurements were taken."""
    missed = [e.predicted.seconds / e.latency.median_s - 1 for e in summary.compared if e.predicted is not None]
    typical = statistics.median(missed) if missed else 0.0
    if abs(typical) <= DRIFTED:
        return []
    return [
        f"The compared networks ran {'slower' if typical < 0 else 'faster'} than predicted (median error {percent(typical, 0)}): the "
        "machine was in another state than when the predictor's measurements were taken. Ratios between networks hold, for they were "
        "measured in turns."
    ]


def _accuracy(summary: Summary) -> tuple[str, ...]:
    best, (_, validation, test) = summary.optimised, summary.outcome.split_sizes
    said = []
    if min(validation, test) < FEW_IMAGES:
        one = f": one image is {points(100 / validation)} and {points(100 / test)} points" if best.contender.test.is_counted else ""
        said.append(f"Accuracies rest on {validation} validation and {test} test images{one}.")
    lost = best.test_drop
    if lost is not None and best.contender.paired is None:
        said.append(
            f"The interval of the test drop ({points(lost.low)} to {points(lost.high)} points) takes the two networks' answers as "
            "independent; they answered the same images, so it is wider than it need be."
        )
    if lost is not None:
        limit = summary.outcome.max_drop_points
        if limit is not None and lost.points <= limit < lost.high:
            said.append(f"The test drop keeps the limit of {limit:g}, but its interval does not exclude a larger drop.")
    seeds = len(best.contender.tests)
    said.append(
        "Every network was fine-tuned once, with one seed; another seed moves each accuracy by its own noise."
        if seeds == 1
        else f"Every network was fine-tuned with {seeds} seeds, all from the same dense weights: another dense training may move them all."
    )
    return tuple(said)


def _choice(summary: Summary) -> tuple[str, ...]:
    tried = sum(trial.outcome.ok for trial in (*summary.imported, *summary.trials))
    crashed = sum(trial.outcome.failed for trial in summary.trials)
    stopped = sum(trial.outcome.status == STOPPED for trial in summary.trials)
    said = []
    if tried:
        said.append(
            f"The answer is the best of {count_words(tried, 'trial')} on validation, which flatters its validation accuracy; the test "
            "split was read once, after the choice."
        )
    said += _better(summary)
    if crashed:
        said.append(f"{count_words(crashed, 'trial')} crashed and told nothing about accuracy.")
    if stopped:
        said.append(f"{count_words(stopped, 'trial')} stood so low on the way that it was stopped: of those only a least drop is known.")
    return tuple(said)


def _better(summary: Summary) -> list[str]:
    """Networks that beat the answer in both latency and test accuracy: chance on validation, or a better plain idea."""
    best = summary.optimised
    return [
        f"{entry.contender.name} ran faster and "
        + ("answered at least as many test images correctly" if best.contender.test.is_counted else "reached no less on the test split")
        + ": validation did not foresee it."
        for entry in summary.compared
        if entry.latency.interval_s[1] < best.latency.interval_s[0]
        and mean_accuracy(entry.contender.tests).top1_ratio >= mean_accuracy(best.contender.tests).top1_ratio
    ]


def _reach(summary: Summary) -> tuple[str, ...]:
    said = [
        f"One machine, one runtime ({summary.conditions.device.runtime} {summary.conditions.device.runtime_version}), "
        f"{count_words(summary.conditions.threads, 'thread')}: on another, another configuration may win."
    ]
    table = summary.layers
    if table is not None:
        share = table.remainder_after_s / table.whole_after_s
        said.append(
            f"Times per layer come from profiled runs, the whole from unprofiled ones; {percent(share, 1)} of the optimised network's time "
            "belongs to no row."
        )
    return tuple(said)
