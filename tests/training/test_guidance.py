"""A teacher's answers are asked once: to every image and its mirror image, whatever else the training does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.networks.datasets import Dataset
from harness.training.guidance import Guidance, answers


def teacher() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 4))


def test_the_answers_are_the_teachers(quadrants: Dataset) -> None:
    model, images = teacher(), quadrants.train.images
    guidance = answers(model, quadrants, mirrored=True)
    chosen, flips = torch.tensor([3, 5, 7]), torch.tensor([False, True, False])
    shown = torch.stack([images[3], images[5].flip(2), images[7]])
    with torch.no_grad():
        assert torch.allclose(guidance.to(chosen, flips), model(shown), atol=0.1), "as far as bfloat16 can tell"


def test_where_nothing_is_mirrored_there_is_one_answer_per_image(quadrants: Dataset) -> None:
    guidance = answers(teacher(), quadrants, mirrored=False)
    assert guidance.logits.shape == (1, len(quadrants.train), 4)
    assert torch.equal(guidance.to(torch.tensor([2]), torch.tensor([False]))[0], guidance.logits[0, 2])


def test_a_teacher_is_asked_once_and_another_one_anew(quadrants: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = teacher()
    first = answers(model, quadrants, mirrored=True, cache_dir=tmp_path)
    monkeypatch.setattr(nn.Linear, "forward", lambda *_: pytest.fail("asked again"))
    assert torch.equal(answers(model, quadrants, mirrored=True, cache_dir=tmp_path).logits, first.logits)
    monkeypatch.undo()
    with torch.no_grad():
        model[1].bias += 1.0
    moved = answers(model, quadrants, mirrored=True, cache_dir=tmp_path)
    assert float((moved.logits - first.logits).mean()) == pytest.approx(1.0, abs=0.05)
    other = replace(quadrants, digest="other")
    answers(model, other, mirrored=True, cache_dir=tmp_path)
    assert len(list((tmp_path / "guidance").iterdir())) == 3


def test_a_damaged_file_is_made_anew(quadrants: Dataset, tmp_path: Path) -> None:
    first = answers(teacher(), quadrants, mirrored=False, cache_dir=tmp_path)
    (path,) = (tmp_path / "guidance").iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    assert torch.equal(answers(teacher(), quadrants, mirrored=False, cache_dir=tmp_path).logits, first.logits)
    assert path.stat().st_size > 0


def test_the_teacher_stays_as_it_is(quadrants: Dataset) -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), teacher()).train()
    answers(model, quadrants, mirrored=True)
    assert model.training
    assert int(model[0].num_batches_tracked) == 0


def test_guidance_follows_the_flips() -> None:
    logits = torch.arange(2 * 3 * 2.0).reshape(2, 3, 2)
    assert Guidance(logits).to(torch.tensor([0, 0]), torch.tensor([False, True])).tolist() == [[0.0, 1.0], [6.0, 7.0]]
