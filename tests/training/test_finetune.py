"""Training within a budget: learns, repeats itself, and never touches what it was given."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.errors import TrainingError
from harness.networks.datasets import Dataset, Split
from harness.training import processor
from harness.training.accuracy import evaluate
from harness.training.augmentation import coins, mirrored, scaled, shifted
from harness.training.checkpoint import Checkpoint
from harness.training.finetune import Looks, finetune, recalibrate
from harness.training.guidance import answers
from harness.training.processor import Way
from harness.training.recipes import Recipe

RECIPE = Recipe(epochs=15, learning_rate=0.1, batch_size=16, precision="f32")


def weights(model: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


def with_position(dataset: Dataset) -> Dataset:
    """The dataset with a second channel that tells left from right, so that pooled features can name the quarter."""

    def add(split: Split) -> Split:
        ramp = torch.linspace(-1, 1, 16)
        return Split(split.images * (1 + ramp[None, None, None, :]) + split.images * 2 * ramp[None, None, :, None], split.labels)

    return replace(dataset, train=add(dataset.train), validation=add(dataset.validation), test=add(dataset.test))


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_training_learns(small: nn.Module, quadrants: Dataset, precision: str) -> None:
    dataset = with_position(quadrants)
    before = evaluate(small, dataset.validation)
    tuned = finetune(small, dataset, replace(RECIPE, precision=precision))
    assert evaluate(tuned.model, dataset.validation).top1_ratio >= max(0.9, before.top1_ratio)
    assert (tuned.steps, tuned.precision) == (90, precision)
    assert tuned.final_loss < 0.7
    assert not tuned.model.training
    assert next(tuned.model.parameters()).dtype == torch.float32


def test_equal_arguments_give_equal_weights_whatever_the_callers_random_state(small: nn.Module, quadrants: Dataset) -> None:
    recipe = replace(RECIPE, epochs=1, crop_margin=1, flip=True)
    torch.manual_seed(1)
    first = finetune(small, quadrants, recipe)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = finetune(small, quadrants, recipe)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(weights(first.model), weights(second.model))
    assert not same(weights(first.model), weights(finetune(small, quadrants, recipe.with_seed(1)).model))


def test_the_given_model_and_teacher_stay_as_they_are(small: nn.Module, quadrants: Dataset) -> None:
    before = weights(small)
    finetune(small, quadrants, replace(RECIPE, epochs=1, distillation=0.5), answers(small, quadrants, mirrored=False))
    assert same(weights(small), before)
    assert not small.training
    assert all(parameter.grad is None for parameter in small.parameters())


def test_no_epochs_change_nothing_but_the_batch_norm_statistics(small: nn.Module, quadrants: Dataset) -> None:
    tuned = finetune(small, quadrants, RECIPE.with_epochs(0))
    assert (tuned.steps, math.isnan(tuned.final_loss)) == (0, True)
    for name, tensor in tuned.model.state_dict().items():
        unchanged = torch.equal(tensor, small.state_dict()[name])
        assert unchanged != name.endswith(("running_mean", "running_var", "num_batches_tracked")), name


def test_recalibrated_statistics_are_those_of_the_images(quadrants: Dataset) -> None:
    norm = nn.BatchNorm2d(1)
    images = quadrants.train.images
    recalibrate(norm, images, batch_size=32)
    assert float(norm.running_mean) == pytest.approx(float(images.mean()), abs=1e-5)
    assert float(norm.running_var) == pytest.approx(float(images.var()), rel=0.02)
    assert norm.momentum == 0.1
    assert not norm.training


@pytest.mark.parametrize("count", [2, 31, 33, 65])
def test_every_image_counts_alike_in_the_statistics_whatever_is_left_for_the_last_batch(count: int) -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4))
    images = torch.zeros(count, 1, 2, 2)
    images[-1] = count  # a mean of one
    recalibrate(model, images, batch_size=32)
    assert model[1].running_mean.tolist() == pytest.approx([1.0] * 4, rel=0.05)


def test_networks_without_batch_norm_are_left_alone(quadrants: Dataset) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
    recalibrate(model, quadrants.train.images)
    tuned = finetune(model, quadrants, RECIPE.with_epochs(0))
    assert same(weights(tuned.model), weights(model))


def test_a_fraction_of_an_epoch_is_that_many_steps_and_progress_counts_them(small: nn.Module, quadrants: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    tuned = finetune(small, quadrants, RECIPE.with_epochs(0.5), progress=lambda done, total: seen.append((done, total)))
    assert tuned.steps == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_loss_that_is_no_number_stops_the_training(small: nn.Module, quadrants: Dataset) -> None:
    with pytest.raises(TrainingError, match=r"at step \d+ of 90; lower the learning rate \(now 100\)"):
        broken = replace(quadrants, train=Split(quadrants.train.images * 1e30, quadrants.train.labels))
        finetune(nn.Sequential(nn.Flatten(), nn.Linear(256, 4)), broken, replace(RECIPE, learning_rate=100.0))


def test_a_student_that_only_follows_its_teacher_ignores_the_labels(quadrants: Dataset) -> None:
    """[Hinton2015]_ sec. 2: with the full weight on the soft targets the labels play no part."""
    torch.manual_seed(0)
    teacher, student = (nn.Sequential(nn.Flatten(), nn.Linear(256, 4)) for _ in range(2))
    recipe = replace(RECIPE, distillation=1.0, learning_rate=0.02, weight_decay=0.0)
    shuffled = replace(quadrants, train=Split(quadrants.train.images, quadrants.train.labels.flip(0)))
    guidance = answers(teacher, quadrants, mirrored=False)
    first, second = (finetune(student, dataset, recipe, guidance).model for dataset in (quadrants, shuffled))
    assert same(weights(first), weights(second))
    with torch.no_grad():
        distances = [
            float((model(quadrants.train.images).softmax(1) - teacher(quadrants.train.images).softmax(1)).abs().mean())
            for model in (student, first)
        ]
    assert distances[1] < distances[0] / 2, "the student came closer to the teacher"


def test_a_subset_is_fixed_whatever_the_seed(small: nn.Module, quadrants: Dataset) -> None:
    seen: set[float] = set()
    small.register_forward_pre_hook(lambda _, inputs: seen.update(inputs[0].sum((1, 2, 3)).tolist()))
    for seed in (0, 1):
        finetune(small, quadrants, replace(RECIPE, epochs=2, max_images=40, seed=seed, precision="f32"))
    assert len(seen) == 40


def test_shifted_images_are_crops_of_the_reflected_image() -> None:
    images = torch.arange(2 * 2 * 6 * 6.0).reshape(2, 2, 6, 6)
    moved = shifted(images, 2, torch.Generator().manual_seed(0))
    padded = nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    for index in range(2):
        crops = [padded[index, :, top : top + 6, left : left + 6] for top in range(5) for left in range(5)]
        assert any(torch.equal(moved[index], crop) for crop in crops)
    assert shifted(images, 0, torch.Generator()) is images


def test_each_image_is_mirrored_or_not() -> None:
    images = torch.rand(64, 1, 4, 4)
    flips = coins(64, torch.Generator().manual_seed(0))
    flipped = mirrored(images, flips)
    same_or_mirrored = [(torch.equal(new, old), torch.equal(new, old.flip(2))) for new, old in zip(flipped, images, strict=True)]
    assert all(kept != turned for kept, turned in same_or_mirrored)
    assert [turned for _, turned in same_or_mirrored] == flips.tolist()
    assert 16 < int(flips.sum()) < 48


def test_the_first_steps_see_small_images_and_the_rest_whole_ones(quadrants: Dataset) -> None:
    seen: list[tuple[int, ...]] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(tuple(images.shape[2:]))
            return self.linear(images.mean(dim=(2, 3)))

    finetune(Watching(), quadrants, replace(RECIPE, epochs=1, small_ratio=0.5))
    assert seen == [(10, 10)] * 3 + [(16, 16)] * 3


def test_scaled_images_keep_their_brightness() -> None:
    images = torch.rand(4, 3, 32, 32)
    small = scaled(images, 0.625)
    assert small.shape == (4, 3, 20, 20)
    assert torch.allclose(small.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=0.01)


def test_images_that_may_not_be_mirrored_are_not(small: nn.Module, quadrants: Dataset) -> None:
    recipe = replace(RECIPE, epochs=1)
    plain = finetune(small, quadrants, recipe)
    asked = finetune(small, quadrants, replace(recipe, flip=True))
    allowed = finetune(small, replace(quadrants, mirrored=True), replace(recipe, flip=True))
    assert same(weights(plain.model), weights(asked.model))
    assert not same(weights(plain.model), weights(allowed.model))


def test_threads_precision_and_format_are_decided_in_one_place() -> None:
    threads, before = torch.get_num_threads(), processor.way()
    with processor.adopted(Way("bf16", True, 1)):
        assert processor.use_threads(1) == torch.get_num_threads() == 1
        assert processor.use_threads(0) == 1
        assert processor.use_threads() >= 1
        assert [processor.precision(wanted) for wanted in ("auto", "f32", "bf16")] == ["bf16", "f32", "bf16"]
        assert processor.way().memory_format == torch.channels_last
    assert torch.get_num_threads() == threads
    assert processor.way() == before


def test_every_training_batch_has_an_even_number_of_images(quadrants: Dataset) -> None:
    """Odd batches make oneDNN's backward of strided 1x1 convolutions write behind its buffer, which ends the process."""
    odd = replace(quadrants, train=Split(quadrants.train.images[:37], quadrants.train.labels[:37]))
    sizes: list[int] = []

    class Counted(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.training:
                sizes.append(len(images))
            return super().forward(images)

    finetune(nn.Sequential(nn.Flatten(), Counted(256, 4)), odd, replace(RECIPE, epochs=3, batch_size=16))
    assert sizes
    assert not [size for size in sizes if size % 2]


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("epochs_before", [0.5, 1.4])
def test_a_killed_training_goes_on_as_if_it_never_stopped(
    small: nn.Module, quadrants: Dataset, tmp_path: Path, epochs_before: float
) -> None:
    model = nn.Sequential(nn.Dropout(0.2), small)  # dropout draws from the global generator
    recipe = replace(RECIPE, epochs=2, crop_margin=1, batch_size=10)
    whole = finetune(model, quadrants, recipe)
    path, last = tmp_path / "half.checkpoint", int(epochs_before * len(quadrants.train) / 10)

    def kill(done: int, _steps: int) -> None:
        if done == last:
            raise Killed

    with pytest.raises(Killed):
        finetune(model, quadrants, recipe, progress=kill, checkpoint=Checkpoint(path, "this", every_s=0))
    seen: list[int] = []
    resumed = finetune(
        model, quadrants, recipe, progress=lambda done, _: seen.append(done), checkpoint=Checkpoint(path, "this", every_s=math.inf)
    )
    assert seen[0] == last + 1
    assert same(weights(resumed.model), weights(whole.model))
    assert (resumed.steps, resumed.final_loss) == (whole.steps, whole.final_loss)


@pytest.mark.parametrize("spoil", ["other", "truncated", "garbage"])
def test_a_foreign_or_damaged_checkpoint_is_as_good_as_none(small: nn.Module, quadrants: Dataset, tmp_path: Path, spoil: str) -> None:
    recipe = replace(RECIPE, epochs=1)
    path = tmp_path / "half.checkpoint"
    finetune(small, quadrants, recipe.with_seed(3), checkpoint=Checkpoint(path, "that", every_s=0))
    if spoil != "other":
        path.write_bytes(path.read_bytes()[:-500] if spoil == "truncated" else b"no checkpoint")
    tuned = finetune(small, quadrants, recipe, checkpoint=Checkpoint(path, "this" if spoil == "other" else "that"))
    assert same(weights(tuned.model), weights(finetune(small, quadrants, recipe).model))


def test_looks_come_where_they_are_asked_for_and_change_nothing(small: nn.Module, quadrants: Dataset) -> None:
    seen: list[float] = []

    def look(model: nn.Module, share: float) -> None:
        evaluate(model, quadrants.validation)
        seen.append(share)

    recipe = replace(RECIPE, epochs=2)
    alone = finetune(small, quadrants, recipe)
    watched = finetune(small, quadrants, recipe, looks=Looks((0.25, 0.5, 1.0), look))
    assert seen == [0.25, 0.5], "the end is no point on the way"
    assert same(weights(alone.model), weights(watched.model))


def test_what_a_look_raises_ends_the_training(small: nn.Module, quadrants: Dataset) -> None:
    def refuse(model: nn.Module, share: float) -> None:
        raise LookupError(share)

    with pytest.raises(LookupError, match=r"0\.5"):
        finetune(small, quadrants, replace(RECIPE, epochs=2), looks=Looks((0.5,), refuse))
