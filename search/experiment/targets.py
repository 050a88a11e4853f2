"""What the experiment set out to reach, and what it reached: every target with the figure seen, met or missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.latency.verdict.judgement import verdict
from harness.latency.verdict.undisturbed import undisturbed_s
from search.experiment import rows
from search.records.losses.drop import drop_over_seeds
from search.records.outcome import Contender
from search.records.trial import NEW, RunsIn
from search.report.compared import Compared
from search.report.figures.wording import percent, points, points_interval, times
from search.report.summary import Summary

MAX_DROP_POINTS, MAX_TRIALS, MAX_HOURS, MAX_MISS_RATIO, LEAST_PREDICTED = 0.5, 100, 3.0, 0.02, 0.95
FASTER_THAN_DENSE = {"resnet20": 1.8, "resnet56": 3.0, "mobilenetv2": 1.4}
FASTER_THAN_PUBLISHED = {"resnet56": 2.2}
FASTER_THAN_DENSE_BF16 = {"resnet56": 2.5}
FASTER_THAN_DENSE_JOINT = {"resnet20": 4.5, "resnet56": 8.0, "mobilenetv2": 6.0}  # dense in f32 at the full size of the pictures
FASTER_THAN_SHELF_JOINT = {"resnet20": 1.5, "resnet56": 3.0, "mobilenetv2": 1.5}

_MOST = percent(LEAST_PREDICTED, 0)


@dataclass(frozen=True, slots=True)
class Target:
    """One aim. seen: the figure with its interval, in words. met: None where it could not be judged."""

    aim: str
    seen: str
    met: bool | None

    @property
    def word(self) -> str:
        """The judgement in a word."""
        return "not judged" if self.met is None else ("met" if self.met else "missed")


def targets(summary: Summary, in_bf16: Summary | None) -> tuple[Target, ...]:
    """The targets of one study; in_bf16: the same comparison measured in bf16, where it was."""
    found = [_against_dense(summary, FASTER_THAN_DENSE, "f32" if summary.outcome.precision == "f32" else summary.outcome.precision)]
    found += _against_published(summary)
    if in_bf16 is not None:
        found.append(_against_dense(in_bf16, FASTER_THAN_DENSE_BF16, "bf16"))
        found += _published_in_bf16(in_bf16)
    found += _against_rivals(summary)
    return (*found, _prediction(summary), *_undisturbed(summary), _predicted_speed(summary), _effort(summary))


def joint_targets(summary: Summary) -> tuple[Target, ...]:
    """The targets of a search over channels, bits and sizes: against every rival at its best size and precision."""
    best, wanted = summary.optimised, FASTER_THAN_SHELF_JOINT.get(summary.outcome.network, 1.0)
    shelf = rows.best(summary, lambda one: one.role in ("off-the-shelf", "global-pruning"))
    found = [_against_dense(summary, FASTER_THAN_DENSE_JOINT, "against dense in f32 at the full size")]
    if shelf is not None:
        judged = verdict(best.measurement.latency, shelf.measurement.latency)
        low, high = judged.times_interval
        aim = (
            f"{times(wanted)} or more against the fastest thing to be had without a search, in any precision and size, that keeps the limit"
        )
        seen = f"{times(judged.times)} ({times(low)} to {times(high)}), {judged.outcome}, against {shelf.contender.name}"
        found.append(Target(aim, seen, judged.outcome == "faster" and judged.times >= wanted))
    return (*found, *_against_rivals(summary), _prediction(summary), *_undisturbed(summary), _predicted_speed(summary), _effort(summary))


def _against_rivals(summary: Summary) -> list[Target]:
    """Whoever chooses otherwise: random search, a uniform cut, and global importance, each at its best size and precision."""
    rivals: tuple[tuple[Callable[[Contender], bool], str], ...] = (
        (lambda one: one.role == "random", "random search on equal trials"),
        (lambda one: one.role == "uniform", "a uniform cut of about its latency"),
        (lambda one: one.role == "global-pruning" and "taylor" in one.name, "global Taylor of about its latency"),
        (lambda one: one.role == "global-pruning" and "magnitude" in one.name, "global magnitude of about its latency"),
    )
    found = ((rows.best(summary, kind), who) for kind, who in rivals)
    return [_against_rival(summary, rival, who) for rival, who in found if rival is not None]


def _against_dense(summary: Summary, wanted: dict[str, float], precision: str) -> Target:
    best, least = summary.optimised, wanted.get(summary.outcome.network)
    limit = MAX_DROP_POINTS if summary.outcome.max_drop_points is None else summary.outcome.max_drop_points
    speed, lost = best.against_dense, best.test_drop
    aim = f"{precision}: faster than dense at a test drop of at most {limit:g} points" + (f", {least:g}× or more" if least else "")
    if speed is None or lost is None:
        return Target(aim, "no such comparison", None)
    seen = f"{times(speed.times)} ({times(speed.low)} to {times(speed.high)}) at {points(lost.points)} points ({points_interval(lost)})"
    fast = speed.outcome == "faster" and speed.times >= (least or 1.0)
    return Target(aim, seen, fast and lost.points <= limit)


def _against_published(summary: Summary) -> list[Target]:
    """Against the fastest published network in the same precision, at the same size."""
    rival, best = rows.best(summary, lambda one: one.role == "off-the-shelf" and one.runs_in == RunsIn()), summary.optimised
    if rival is None:
        return []
    least, judged = FASTER_THAN_PUBLISHED.get(summary.outcome.network, 1.0), verdict(best.measurement.latency, rival.measurement.latency)
    low, high = judged.times_interval
    lost = drop_over_seeds(best.contender.tests, rival.contender.tests)
    aim = f"faster than the fastest off-the-shelf network ({rival.contender.name})" + (f", {least:g}× or more," if least > 1 else "")
    aim += " at equal or better accuracy"
    seen = f"{times(judged.times)} ({times(low)} to {times(high)}), {points(lost.points)} points below it ({points_interval(lost)})"
    return [Target(aim, seen, judged.outcome == "faster" and judged.times >= least and lost.low <= 0)]


def _published_in_bf16(summary: Summary) -> list[Target]:
    rival = summary.off_the_shelf
    if rival is None or rival.against_dense is None:
        return []
    speed = rival.against_dense
    seen = f"{rival.contender.name}: {times(speed.times)} ({times(speed.low)} to {times(speed.high)}), {speed.outcome}"
    return [Target("bf16: off-the-shelf against dense (an observation, not an aim)", seen, None)]


def _against_rival(summary: Summary, rival: Compared, who: str) -> Target:
    best = summary.optimised
    judged = verdict(best.measurement.latency, rival.measurement.latency)
    low, high = judged.times_interval
    lost = drop_over_seeds(best.contender.tests, rival.contender.tests)
    seen = (
        f"{times(judged.times)} ({times(low)} to {times(high)}), {judged.outcome}; "
        f"{points(-lost.points)} points more accurate ({points(-lost.high)} to {points(-lost.low)})"
    )
    faster_alike = judged.outcome == "faster" and lost.low <= 0
    better_alike = judged.outcome != "slower" and lost.high < 0
    aim = f"better than {who}: faster at no certain loss, or more accurate at no loss of speed"
    return Target(aim, f"{rival.contender.name}: {seen}", faster_alike or better_alike)


def _prediction(summary: Summary) -> Target:
    known = {one.contender.name: one.predicted.seconds / one.latency.median_s - 1 for one in summary.compared if one.predicted}
    return _within(f"predicted within {percent(MAX_MISS_RATIO, 0)} of measured, for {_MOST} of the compared networks", known)


def _undisturbed(summary: Summary) -> list[Target]:
    """Why a prediction is off: by its model, or by what disturbed the machine, which the model cannot know."""
    known = {one.contender.name: one.undisturbed_miss_ratio for one in summary.compared if one.undisturbed_miss_ratio is not None}
    if not known:
        return []
    seen = _within("", known).seen
    met = {one.contender.name: one.measurement.latency.median_s / undisturbed_s(one.measurement.latency) - 1 for one in summary.compared}
    least, most = min(met, key=lambda name: met[name]), max(met, key=lambda name: met[name])
    seen += f"; the disturbance: {percent(met[least], 1)} ({least}) to {percent(met[most], 1)} ({most})"
    return [Target("the same without disturbance, both of quiet stretches (an observation, not an aim)", seen, None)]


def _predicted_speed(summary: Summary) -> Target:
    known = {one.contender.name: one.speed_miss_ratio for one in summary.compared if one.speed_miss_ratio is not None}
    return _within(
        f"predicted speed-up over dense within {percent(MAX_MISS_RATIO, 0)} of the measured one, for {_MOST} of the compared networks",
        known,
    )


def _within(aim: str, misses: Mapping[str, float]) -> Target:
    """Whether nearly all relative errors, by network, are small enough."""
    if not misses:
        return Target(aim, "nothing was predicted", None)
    name = max(misses, key=lambda one: abs(misses[one]))
    worst, within = abs(misses[name]), sum(abs(miss) <= MAX_MISS_RATIO for miss in misses.values())
    return Target(aim, f"{within} of {len(misses)}; worst {percent(worst, 1)} ({name})", within >= LEAST_PREDICTED * len(misses))


def _effort(summary: Summary) -> Target:
    """What a fork took over counts as well: those trials had to be run, by as many workers side by side."""
    workers = int(dict(summary.outcome.settings).get("--workers", "1"))
    taken = [trial for trial in summary.imported if trial.request.purpose in NEW]
    hours = (summary.elapsed_s + sum(trial.outcome.seconds for trial in taken) / workers) / 3600
    trials = len(taken) + sum(trial.request.purpose in NEW for trial in summary.trials)
    seen = f"{trials} trials" + (f", {len(taken)} of them taken over" if taken else "") + f"; {hours:.1f} h with promotions and repetitions"
    aim = f"at most {MAX_TRIALS} trials and {MAX_HOURS:g} h of search"
    return Target(aim, seen, trials <= MAX_TRIALS and hours <= MAX_HOURS)


def missed(found: Sequence[Target]) -> tuple[Target, ...]:
    """Those that were judged and not met."""
    return tuple(target for target in found if target.met is False)
