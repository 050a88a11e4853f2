"""Segmentation: what is judged, what counts for nothing, and what moves with its picture."""

import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.networks.splits import Split
from harness.networks.tasks.segmentation import IGNORED, Segmentation
from harness.training.augmentation import augmented
from harness.training.recipes import Recipe

TASK = Segmentation(3)


def outputs_of(answers):
    """Logits whose largest says ``answers`` (``N x H x W``)."""
    return functional.one_hot(answers, 3).permute(0, 3, 1, 2).float() * 9


def masks(seed=0, count=4, side=6):
    return torch.randint(0, 3, (count, side, side), generator=torch.Generator().manual_seed(seed))


def test_right_answers_everywhere_are_one_and_wrong_ones_everywhere_are_none():
    wanted = masks()
    right, wrong = (TASK.scores(TASK.seen(outputs_of(one), wanted.to(torch.uint8))) for one in (wanted, (wanted + 1) % 3))
    assert np.all(right == 1)
    assert wrong.mean() == 0


def test_the_metric_is_that_of_counting_pixels_by_hand():
    wanted, answered = masks(1), masks(2)
    by_hand = [float(((wanted == c) & (answered == c)).sum() / ((wanted == c) | (answered == c)).sum()) for c in range(3)]
    assert TASK.scores(TASK.seen(outputs_of(answered), wanted)).mean() == pytest.approx(np.mean(by_hand))


def test_batches_are_judged_as_all_pictures_at_once_are():
    wanted, outputs = masks(3), outputs_of(masks(4))
    parts = [TASK.seen(outputs[at : at + 2], wanted[at : at + 2]) for at in (0, 2)]
    joined = tuple(torch.cat(part) for part in zip(*parts, strict=True))
    assert np.array_equal(TASK.scores(joined), TASK.scores(TASK.seen(outputs, wanted)))


def test_pixels_that_no_class_is_asked_of_count_for_nothing():
    wanted, outputs = masks(5).to(torch.uint8), outputs_of(masks(6))
    hidden = wanted.clone()
    hidden[:, :2] = IGNORED
    cropped = outputs[:, :, 2:], wanted[:, 2:]
    assert TASK.scores(TASK.seen(outputs, hidden)).mean() == pytest.approx(TASK.scores(TASK.seen(*cropped)).mean())
    assert TASK.loss(outputs, hidden, 0.0) == pytest.approx(float(TASK.loss(*cropped, 0.0)))
    assert TASK.graded(outputs, hidden) == pytest.approx(TASK.graded(*cropped))
    assert float(TASK.loss(outputs, torch.full_like(wanted, IGNORED), 0.0)) == 0.0


def test_a_network_that_answers_the_commonest_class_alone_reaches_what_chance_says():
    wanted = masks(7).to(torch.uint8)
    commonest = int(wanted.long().bincount().argmax()) if wanted.dim() == 1 else int(torch.bincount(wanted.long().flatten()).argmax())
    always = outputs_of(torch.full_like(wanted.long(), commonest))
    found = TASK.chance(wanted, 3)
    assert found.ratio == pytest.approx(TASK.scores(TASK.seen(always, wanted)).mean())


@pytest.mark.parametrize("shape", [(1, 3, 3, 3), (1, 2, 6, 6), (1, 3)], ids=["smaller", "classes", "one-per-picture"])
def test_other_shapes_of_outputs_are_told(shape):
    told = TASK.fits(torch.zeros(shape), (1, 6, 6), 3)
    assert f"answers {shape}, not (1, 3, 6, 6); return one logit per class for every pixel" in told
    assert TASK.fits(torch.zeros(1, 3, 6, 6), (1, 6, 6), 3) == ""


def test_masks_are_shifted_and_mirrored_with_their_pictures():
    wanted = masks(8, count=16, side=12).to(torch.uint8)
    train = Split(wanted[:, None].float().clone(), wanted, TASK)
    images, moved, _ = augmented(train, torch.arange(16), Recipe(1, crop_margin=2), None, True, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(images[:, 0].to(torch.uint8), moved)
    assert moved.dtype == wanted.dtype
    assert not torch.equal(moved, wanted)


def test_a_task_goes_to_other_processes():
    assert pickle.loads(pickle.dumps(TASK)) == TASK
