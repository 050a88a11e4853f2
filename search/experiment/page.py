"""``reports/README.md``: what the experiment's reader gets, instead of what, on which machine, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search.experiment import picture, rows, study_page
from search.experiment import targets as experiment_targets
from search.experiment.studied import Studied
from search.records import whole_file
from search.report.compared import Compared, SpeedUp
from search.report.figures import wording
from search.report.figures.cells import Cell, Column, Table
from search.report.summary import Summary

PAGE, LEARNT, ELSEWHERE = "README.md", "learnt.md", "elsewhere.md"


def write(reports: Path, studied: Sequence[Studied], missing: Sequence[str] = ()) -> Path:
    """Write the page, its picture and a page of every study, each whole; ``learnt.md`` beside it is what a person wrote.

    missing: networks whose studies are not finished. Returns the page's path.
    """
    drawn = picture.write(reports, studied)
    for study in studied:
        study_page.write(reports, study)
    text = (
        study_page.environment()
        .get_template("experiment.md.j2")
        .render(
            answer=answer([study.leading for study in studied]),
            summing_up=_summing_up(studied),
            picture=drawn.name if drawn else "",
            studies=[
                {
                    "network": study.network,
                    "table": rows.table(study.leading),
                    "aims": _aims(study),
                    "link": study_page.name_of(study.network),
                }
                for study in studied
            ],
            missing=missing,
            missed=_missed(studied),
            learnt=LEARNT if (reports / LEARNT).is_file() else "",
            elsewhere=ELSEWHERE if (reports / ELSEWHERE).is_file() else "",
        )
    )
    return whole_file.write(reports / PAGE, text)


def answer(summaries: Sequence[Summary]) -> str:
    """Whether the hypothesis held, network by network: faster by a verdict, with the limit kept on the test split."""
    held = [summary.outcome.network for summary in summaries if _held(summary)]
    failed = [summary.outcome.network for summary in summaries if not _held(summary)]
    simulated = "SIMULATED: " if any(summary.provenance == "SIMULATED" for summary in summaries) else ""
    parts = []
    if held:
        parts.append(
            f"it held for {', '.join(held)}: the chosen network is faster than dense and off-the-shelf, within the limit of accuracy"
        )
    if failed:
        parts.append(f"it did not hold for {', '.join(failed)}")
    told = "; ".join(parts) or "no study is finished yet"
    return f"{simulated}{told[0].upper()}{told[1:]}."


def _held(summary: Summary) -> bool:
    best, limit = summary.optimised, summary.outcome.max_drop_points
    faster = best.against_dense is not None and best.against_dense.outcome == "faster"
    published = best.against_off_the_shelf is None or best.against_off_the_shelf.outcome == "faster"
    return faster and published and (limit is None or best.test_drop is None or best.test_drop.points <= limit)


def _summing_up(studied: Sequence[Studied]) -> Table:
    """A line a network: what you get, instead of what, on which machine, how sure."""
    headings = ("network", "you get", "instead of, at best", "that is", "on", "how sure")
    found = []
    for study in studied:
        told, best, shelf = study.leading, study.leading.optimised, study.leading.off_the_shelf
        found.append(
            (
                Cell(study.network),
                Cell(_got(told, best)),
                Cell(f"{shelf.contender.name}: {_got(told, shelf)}" if shelf else wording.MISSING),
                Cell(_speed(best.against_off_the_shelf) if shelf else wording.MISSING),
                Cell(study.place),
                Cell(_sure(told, best)),
            )
        )
    caption = (
        "Of what is to be had without a search, the fastest that keeps the limit on validation, by which the chosen one was judged too. "
        "Speed is counted from dense in f32 at the full size."
    )
    return Table("summing-up", tuple(Column(one, numeric=False) for one in headings), tuple(found), caption)


def _got(told: Summary, entry: Compared) -> str:
    lost = "" if entry.test_drop is None else f", {wording.points(entry.test_drop.points)} points lost"
    speed = "dense" if entry.against_dense is None else _speed(entry.against_dense)
    return f"{speed}{lost} ({rows.runs_in(told, entry.contender)})"


def _speed(judged: SpeedUp | None) -> str:
    if judged is None:
        return wording.MISSING
    told = f"{wording.times(judged.times)} as fast"
    return told + {"cannot tell": " (not certain)", "same": " (the same)"}.get(judged.outcome, "")


def _sure(told: Summary, entry: Compared) -> str:
    parts = []
    if entry.against_dense is not None:
        parts.append(f"{wording.times(entry.against_dense.low)} to {wording.times(entry.against_dense.high)}")
    if entry.test_drop is not None:
        parts.append(f"{wording.points_interval(entry.test_drop)} points (95 %)")
    if entry.evidence is not None and told.outcome.max_drop_points is not None:
        chance = entry.evidence.chance_within(told.outcome.max_drop_points)
        parts.append(f"limit of {told.outcome.max_drop_points:g} kept with probability {chance:.2f} by validation")
    parts.append(wording.count_words(len(entry.contender.tests), "seed"))
    return "; ".join(parts)


def _aims(study: Studied) -> str:
    """How many of its aims were met."""
    judged = [target for one in study.comparisons for target in study_page.aims_of(study, one) if target.met is not None]
    return f"{sum(bool(target.met) for target in judged)} of {len(judged)} aims met."


def _missed(studied: Sequence[Studied]) -> list[str]:
    """Every aim that was not met, with its figure."""
    return [
        f"{study.network}, {study_page.title_of(study, one)}: {target.aim}: {target.seen}"
        for study in studied
        for one in study.comparisons
        for target in experiment_targets.missed(study_page.aims_of(study, one))
    ]
