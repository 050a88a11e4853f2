"""A look at every group of channels before the first trial: what narrowing it alone costs, untuned, on a few validation pictures.

[Li2017] H. Li et al.: Pruning Filters for Efficient ConvNets. ICLR 2017, sec. 3.2: sensitivity, one layer at a time.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from harness.networks.drawing import draw
from harness.records.architecture import Architecture, ChannelGroup
from harness.training.finetune import step_count
from harness.training.recipes import Recipe
from harness.training.sensitivity import quick_losses, widths
from search.campaign.subject import Subject
from search.records import sensitivity_record
from search.records.display import Display
from search.records.sensitivity_record import GroupLoss, Sensitivity

SHARE = 0.25  # of one trial's passes that the look may cost; with the pruning between them they take about half a trial's time
RATIOS = ((0.5, 0.25, 0.0), (0.5, 0.0), (0.5,))  # of the widths looked at: as many as there are pictures for
MOST_IMAGES, LEAST_IMAGES = 256, 64  # per network
BACKWARD_COST = 3.0  # passes that a training step costs, in forward ones
CRITERION = "l1"

Cases = tuple[tuple[str, int], ...]
"""Groups with the width that each is narrowed to."""


def settle(folder: Path, subject: Subject, recipe: Recipe, display: Display) -> Sensitivity | None:
    """What the campaign's folder says of its groups, looked at now where it says nothing; None where trials are too short to pay for it.

    recipe: of the search's own trials.
    """
    if (found := sensitivity_record.read(folder)) is not None:
        return found
    dataset, architecture = subject.dataset, subject.network.architecture
    cases, images = plan(architecture, recipe, len(dataset.train), len(dataset.validation))
    if not cases:
        display.say("groups: not looked at, for trials are too short to pay for it; what each may cost is guessed by its layers")
        return None
    began = time.perf_counter()
    with display.step("looking at every group", len(cases)) as bar:
        network, pictures = subject.network, draw(dataset.validation, images).split
        scores = network.scores(CRITERION, dataset, recipe.seed)
        lost = quick_losses(network.model, architecture, pictures, scores, cases, lambda done, _: bar.at(done))
    losses = tuple(GroupLoss(group, width, points) for (group, width), points in zip(cases, lost, strict=True))
    passes = trial_passes(recipe, len(dataset.train), len(dataset.validation))
    found = Sensitivity(losses, images, time.perf_counter() - began, (len(cases) + 1) * images / passes)
    sensitivity_record.write(folder, found)
    display.say(sentence(found))
    return found


def plan(architecture: Architecture, recipe: Recipe, train_images: int, validation_images: int) -> tuple[Cases, int]:
    """Which groups at which widths, and by how many pictures each, for ``SHARE`` of a trial; no cases where that is too little."""
    passes = trial_passes(recipe, train_images, validation_images)
    for ratios in RATIOS:
        cases = tuple((group.name, width) for group in architecture.groups for width in widths(group, _of(group, ratios)))
        images = min(math.floor(SHARE * passes / (len(cases) + 1)), MOST_IMAGES, validation_images)
        if images >= LEAST_IMAGES:
            return cases, images
    return (), 0


def _of(group: ChannelGroup, ratios: tuple[float, ...]) -> tuple[float, ...]:
    """Only a branch can go whole; of any other group the narrowest width is for no first trial."""
    return ratios if group.removable else tuple(ratio for ratio in ratios if ratio > 0)


def trial_passes(recipe: Recipe, train_images: int, validation_images: int) -> float:
    """Forward passes, of one picture each, that a trial by ``recipe`` costs."""
    steps = step_count(recipe, train_images)
    return BACKWARD_COST * steps * recipe.batch_size + min(recipe.calibration_images, train_images) + validation_images


def sentence(found: Sensitivity) -> str:
    """What it cost, and which group is the dearest."""
    dearest = max(found.losses, key=lambda one: one.points)
    return (
        f"groups: each looked at alone, {len(found.losses)} networks by {found.images} validation pictures each, {found.seconds:.1f} s, "
        f"{found.share:.2f} of a trial's pictures; dearest: {dearest.group} at {dearest.channels} channels"
    )
