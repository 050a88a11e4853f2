"""The report's account of how all networks were tuned: the recipes that were tried, and the unpruned network tuned alike."""

from __future__ import annotations

from harness.records.metric import TOP_1, Metric
from search.campaign.recipe_choice import HARM_SHARE, HEAVY_RATIO, MILD_RATIO
from search.records.losses.drop import Drop
from search.records.recipe_record import GIVEN, INHERITED, PROBED, TABLE, RecipeRecord
from search.report.figures.cells import Cell, Column, Table
from search.report.figures.wording import duration, number, percent, points, points_interval, reached, reached_interval

_WHY = {
    GIVEN: "as it was asked for",
    TABLE: "the dataset's own, for trials are too short to choose by",
    INHERITED: "as in the campaign that was forked",
}


def sentences(record: RecipeRecord) -> tuple[str, ...]:
    """Which recipe and why, what drops refer to, and which pictures stood for the training split."""
    recipe = record.recipe
    why = _WHY.get(record.source) or (
        f"chosen among {len(record.tried)} that were tried on the unpruned network and on one with {percent(MILD_RATIO, 0)} of every "
        f"width, in {duration(record.seconds)}, {number(record.trials_worth)} trials' worth"
    )
    said = [
        f"Learning rate {recipe.learning_rate:.2g}, distillation {recipe.distillation:g}, batches of {recipe.batch_size}, "
        f"warm-up {percent(recipe.warm_up_ratio, 0)}: {why}.",
        "Every drop of this campaign is counted from the unpruned network tuned alike: by the same recipe, as long. What the recipe itself "
        "costs, or what tuning makes a network forget of pictures that its weights know, is so no part of the price of pruning.",
    ]
    if record.drawn:
        pictures = "; ".join(f"{purpose}: {told}" for purpose, told in record.drawn)
        by = "by class" if any("classes" in told for _, told in record.drawn) else "by what they hold"
        said.append(f"Training pictures drawn {by}, in no order of the files: {pictures}.")
    return tuple(said)


def tables(record: RecipeRecord, metric: Metric = TOP_1) -> tuple[Table, ...]:
    """The unpruned network tuned alike, its accuracy on every split and by the way that trials take, and the recipes that were tried."""
    found = [_references(record, metric)] if record.references else []
    found += [_dense(record, metric)] if record.splits else []
    found += [_tried(record, metric)] if record.source == PROBED else []
    return (*found, *([_longer(record, metric)] if record.longer else []))


def _references(record: RecipeRecord, metric: Metric) -> Table:
    heads = ("epochs", "validation top-1", "points lost by tuning alone")
    rows = [
        (
            Cell(f"{one.epochs:g}"),
            Cell(reached(metric, one.validation.top1_ratio), reached_interval(metric, one.validation.interval_ratio)),
            _lost(one.harm.drop),
        )
        for one in record.references
    ]
    untouched = reached(metric, record.untouched.top1_ratio)
    caption = f"Untouched its validation top-1 is {untouched}. Much lost is the sign of a recipe "
    caption += "that does harm, or of weights that know the validation pictures."
    return Table("references", tuple(Column(head) for head in heads), tuple(rows), caption, "The unpruned network, tuned alike")


def _dense(record: RecipeRecord, metric: Metric) -> Table:
    rows = [
        (Cell(name), Cell(reached(metric, one.top1_ratio), reached_interval(metric, one.interval_ratio)), Cell(""))
        for name, one in record.splits
    ]
    rows += [(Cell(step), Cell(""), _lost(lost)) for step, lost in record.path]
    columns = (Column("split, or step of a trial", numeric=False), Column("top-1"), Column("points lost"))
    return Table("dense-network", columns, tuple(rows), "Points are lost against the untouched network.", "The dense network as it came")


def _tried(record: RecipeRecord, metric: Metric) -> Table:
    heads = ("learning rate", "distillation", "warm-up", "batch", "unpruned, top-1", "points lost", "mildly pruned, top-1")
    rows = []
    for one in record.tried:
        recipe = one.recipe
        chosen = all(getattr(recipe, name) == getattr(record.recipe, name) for name in _DECIDED)
        rows.append(
            (
                Cell(f"{recipe.learning_rate:.2g}", note="chosen" if chosen else "", tone="optimised" if chosen else ""),
                Cell(f"{recipe.distillation:g}"),
                Cell(percent(recipe.warm_up_ratio, 0)),
                Cell(str(recipe.batch_size)),
                Cell(reached(metric, one.unpruned.top1_ratio)),
                _lost(one.harm),
                Cell(reached(metric, one.pruned.top1_ratio)),
            )
        )
    first = record.tried[0]
    caption = (
        f"Each tuned for {number(first.recipe.epochs)} epochs and judged on {first.unpruned.total} validation pictures. Preferred are "
        f"recipes that cost the unpruned network at most {percent(HARM_SHARE, 0)} of the limit; of those, the one by which both networks "
        "answer most."
    )
    return Table("recipes", tuple(Column(head) for head in heads), tuple(rows), caption, "Recipes that were tried")


def _longer(record: RecipeRecord, metric: Metric) -> Table:
    rows = [
        (
            Cell(f"{one.learning_rate:.2g}", note="chosen" if one.learning_rate == record.recipe.learning_rate else ""),
            Cell(f"{one.epochs:g}"),
            Cell(reached(metric, one.pruned.top1_ratio), reached_interval(metric, one.pruned.interval_ratio)),
        )
        for one in record.longer
    ]
    caption = (
        f"With {percent(HEAVY_RATIO, 0)} of every width kept: the longer a training and the heavier the pruning, the higher the rate that "
        "brings back most. Where it certainly costs the unpruned network more than its share of the limit, the next lower one is taken."
    )
    heads = ("learning rate", "epochs", "heavily pruned, top-1")
    return Table("rates-at-length", tuple(map(Column, heads)), tuple(rows), caption, "Learning rates at length")


_DECIDED = ("learning_rate", "distillation", "warm_up_ratio", "batch_size")


def _lost(lost: Drop) -> Cell:
    return Cell(points(lost.points), points_interval(lost))
