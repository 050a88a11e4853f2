"""What makes no sense in a request, found before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.errors import UnknownName, UsageError
from harness.files.numbers import OPTIONS
from harness.latency.model.predictor import FEWEST_NETWORKS
from harness.networks.pictures.preparing import CHANNELS
from search.records.costs.objective import COMPILED_COST, OBJECTIVES
from search.records.request import OWN, QUANTISED, Request, folder_name

MAX_DROP_POINTS = 100.0
MOST_MINUTES = 100_000  # ten weeks
MOST_CERTAIN = 0.999  # no pictures at hand tell more
MOST_EPOCHS = 10_000
COMPILED_IN = ("f32", "f16")  # what may be said of a network that is compiled in half floats and judged in whole ones
DESIGNS = OPTIONS["designs"]
TASKS = ("classification", "segmentation")  # beside the user's own
MOST_FOLDS = 10  # each trains the dense network anew


def of_task(asked: Request) -> Request:
    """The request with the dataset that its task is about; UsageError where the two do not go together."""
    if asked.task is None:
        return asked
    kind = asked.dataset.partition(":")[0]
    if asked.task.rpartition(":")[0].endswith(".py"):
        if asked.dataset not in (Request.dataset, OWN + asked.task):
            raise UsageError(f"--task={asked.task} gives its own pictures, but --dataset={asked.dataset} others; leave one of them out")
        return replace(asked, dataset=OWN + asked.task)
    if asked.task not in TASKS:
        raise UnknownName("task", asked.task, TASKS, "or give path/to/file.py:task")
    if (asked.task == TASKS[1]) != (kind == TASKS[1]):
        wanted = "segmentation:FOLDER, of pictures and masks" if asked.task == TASKS[1] else "imagefolder:FOLDER, or a built-in one"
        raise UsageError(f"--task={asked.task} and --dataset={asked.dataset} do not go together; give --dataset={wanted}")
    return asked


def _lost(learn_from: str | None) -> str:
    """The first of the files or folders that is not there."""
    named = (part.strip() for part in (learn_from or "").split(","))
    return next((word for word in named if word and not Path(word).exists()), "")


def _of_compiled_cost(asked: Request) -> tuple[tuple[bool, str], ...]:
    """What goes with no compiled cost: it is of one network as it is compiled, and nothing is measured."""
    if asked.objective not in OBJECTIVES:
        return ((True, f"--objective={asked.objective}: choose {' or '.join(OBJECTIVES)}"),)
    if asked.objective != COMPILED_COST.name:
        return ()
    told, usual = f"--objective={COMPILED_COST.name}", Request()
    return (
        (asked.max_latency_ms is not None, f"--max-latency-ms={asked.max_latency_ms} is a latency, and {told} knows none; leave it out"),
        (
            asked.precision.strip() not in COMPILED_IN,
            f"--precision={asked.precision}: with {told} networks are compiled in f16 alone; leave --precision out",
        ),
        (asked.input_size is not None, f"--input-size={asked.input_size}: {told} takes pictures of one size; leave it out"),
        (
            asked.compiled_for not in (None, asked.device),
            f"--compiled-for={asked.compiled_for}: {told} goes by the compiler of --device={asked.device} alone; leave it out",
        ),
        *(
            (
                getattr(asked, name) != getattr(usual, name),
                f"--{name.replace('_', '-')} is about measuring, and {told} measures nothing",
            )
            for name in ("designs", "learn_from", "rounds", "keep_slow")
        ),
    )


def checked(asked: Request) -> Request:
    """The same request; UsageError for a number or a name that makes no sense."""
    asked = of_task(asked)
    checks = (
        (asked.trials < 1, f"--trials={asked.trials}: give at least 1"),
        (
            asked.validation_from not in (None, "train", "test"),
            f"--validation-from={asked.validation_from}: choose train or test",
        ),
        (asked.channels not in (None, *CHANNELS), f"--channels={asked.channels}: choose 1, 3 or 4"),
        (
            asked.in_float is not None and QUANTISED not in asked.precisions,
            f"--in-float={asked.in_float} is about INT8, but --precision is {asked.precision}; give --precision=f32,int8 with it",
        ),
        (
            asked.input_size is not None and asked.dataset.startswith((OWN, f"{TASKS[1]}:")),
            f"--input-size={asked.input_size}: only pictures that are classified can be tried at several sizes; leave it out",
        ),
        (asked.finalists < 0, f"--finalists={asked.finalists}: give 0 or more"),
        (asked.budget < 0 or asked.budget != asked.budget, f"--budget={asked.budget}: give 0 or more epochs"),
        (asked.proof_budget < 0 or asked.proof_budget != asked.proof_budget, f"--proof-budget={asked.proof_budget}: give 0 or more epochs"),
        (
            asked.max_drop is not None and not 0 <= asked.max_drop <= MAX_DROP_POINTS,
            f"--max-drop={asked.max_drop}: give points of top-1, or units of the task's own metric, between 0 and {MAX_DROP_POINTS:g}",
        ),
        (not 0.5 <= asked.certainty <= MOST_CERTAIN, f"--certainty={asked.certainty}: give a probability from 0.5 to {MOST_CERTAIN:g}"),
        (not 0 <= asked.folds <= MOST_FOLDS, f"--folds={asked.folds}: give 0 to {MOST_FOLDS}"),
        (asked.max_latency_ms is not None and not asked.max_latency_ms > 0, f"--max-latency-ms={asked.max_latency_ms}: give more than 0"),
        (
            not DESIGNS.holds(asked.designs) or (asked.designs < FEWEST_NETWORKS and asked.learn_from is None),
            f"--designs={asked.designs}: give {FEWEST_NETWORKS} to {DESIGNS.most:g}, with --learn-from {DESIGNS.least:g} at least; fewer "
            "do not determine what each layer costs",
        ),
        (bool(lost := _lost(asked.learn_from)), f"--learn-from={asked.learn_from}: there is no {lost}; give benchmark files or campaigns"),
        (
            not 0 < asked.max_predictor_error < 1,
            f"--max-predictor-error={asked.max_predictor_error}: give a ratio between 0 and 1, such as 0.03",
        ),
        *_of_compiled_cost(asked),
        (asked.rounds < 1, f"--rounds={asked.rounds}: give at least 1"),
        (
            asked.learning_rate is not None and not 0 < asked.learning_rate <= 100,
            f"--learning-rate={asked.learning_rate}: give more than 0, at most 100",
        ),
        (
            asked.dense_epochs is not None and not 0 < asked.dense_epochs <= MOST_EPOCHS,
            f"--dense-epochs={asked.dense_epochs}: give more than 0, at most {MOST_EPOCHS}",
        ),
        (
            asked.dense_learning_rate is not None and not 0 < asked.dense_learning_rate <= 100,
            f"--dense-learning-rate={asked.dense_learning_rate}: give more than 0, at most 100",
        ),
        (not 0 <= asked.chance_margin < 1, f"--chance-margin={asked.chance_margin}: give a ratio from 0 (never stop) to below 1"),
        (
            asked.weights is not None and (asked.dense_epochs, asked.dense_learning_rate) != (None, None),
            "--dense-epochs and --dense-learning-rate are of the training that --weights take the place of; leave out one or the other",
        ),
        (asked.recipe not in ("fixed", "searched"), f"--recipe={asked.recipe}: choose fixed or searched"),
        (
            asked.short is not None and not 0 <= asked.short < asked.budget,
            f"--short={asked.short}: give less than --budget={asked.budget:g}",
        ),
        (
            asked.screen and not (asked.budget if asked.short is None else asked.short),
            "--screen: trials without epochs need no screen; leave it out",
        ),
        (asked.hours is not None and not asked.hours > 0, f"--hours={asked.hours}: give more than 0"),
        (
            asked.minutes is not None and not 0 < asked.minutes <= MOST_MINUTES,
            f"--minutes={asked.minutes}: give more than 0, at most {MOST_MINUTES}, or leave it out for no limit",
        ),
        (
            asked.trial_timeout is not None and not asked.trial_timeout > 0,
            f"--trial-timeout={asked.trial_timeout}: give more than 0 seconds",
        ),
        (asked.patience < 0, f"--patience={asked.patience}: give 0 or more"),
        (asked.workers < 1, f"--workers={asked.workers}: give at least 1"),
        (asked.dask is not None and asked.workers > 1, "--dask and --workers: choose one; the cluster decides how many trials run at once"),
        (asked.optimizer not in ("smac", "random"), f"--optimizer={asked.optimizer}: choose smac or random"),
        (
            asked.warm_start is not None and asked.optimizer == "random",
            f"--warm-start={asked.warm_start}: random search is a rival by its own trials alone; leave it out",
        ),
        (asked.proof_seeds < 0, f"--proof-seeds={asked.proof_seeds}: give 0 or more"),
        (asked.seed < 0, f"--seed={asked.seed}: give 0 or more"),
        (asked.space not in ("layer", "stage", "hier"), f"--space={asked.space}: choose one of layer, stage, hier"),
    )
    for wrong, message in checks:
        if wrong:
            raise UsageError(message)
    for name, allowed in OPTIONS.items():
        given = getattr(asked, name.replace("-", "_"), None)
        if isinstance(given, int | float) and not isinstance(given, bool) and not allowed.holds(given):
            raise UsageError(f"--{name}={given if abs(given) < 10**18 else 'far too much'}: give {allowed.words}")
    if asked.name is not None:
        folder_name(asked.name)
    _ = asked.preparation, asked.sizes  # which refuse what cannot be meant
    return asked
