"""A stored baseline is what was judged, fits into a repository, and is refused where it is not what its description says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from harness.errors import UsageError
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.training import accuracy, stored_baseline
from harness.training.recipes import Recipe
from harness.training.stored_baseline import StoredBaseline

RECIPE = Recipe(epochs=0.2, batch_size=16)


@pytest.fixture
def kept(quadrants: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredBaseline:
    monkeypatch.setattr(stored_baseline, "LARGE_BYTES", 100_000)
    return stored_baseline.find_or_train(tmp_path / "kept", "resnet20", quadrants, RECIPE, tmp_path / "cache")


def test_a_large_network_is_stored_in_half_precision_and_judged_as_it_is_stored(kept: StoredBaseline, quadrants: Dataset) -> None:
    stored = safetensors.torch.load_file(kept.weights)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16, torch.int64}
    model = zoo.build("resnet20", quadrants.input_shape, quadrants.classes)
    zoo.load_weights(model, kept.weights)
    assert next(model.parameters()).dtype == torch.float32
    assert accuracy.evaluate(model.eval(), quadrants.validation) == kept.validation
    assert accuracy.evaluate(model, quadrants.test) == kept.test


def test_a_small_network_keeps_its_precision(quadrants: Dataset, tmp_path: Path) -> None:
    found = stored_baseline.find_or_train(tmp_path / "kept", "resnet20", quadrants, RECIPE, tmp_path / "cache")
    assert {tensor.dtype for tensor in safetensors.torch.load_file(found.weights).values()} == {torch.float32, torch.int64}


def test_a_stored_baseline_is_not_trained_again(kept: StoredBaseline, quadrants: Dataset, tmp_path: Path) -> None:
    again = stored_baseline.find_or_train(tmp_path / "kept", "resnet20", quadrants, replace(RECIPE, epochs=50), tmp_path / "other")
    assert again == kept
    assert not (tmp_path / "other").exists()


def test_other_weights_or_other_data_than_described_are_refused(kept: StoredBaseline, quadrants: Dataset) -> None:
    with pytest.raises(UsageError, match="other data"):
        stored_baseline.read(kept.weights, replace(quadrants, digest="f" * 16))
    kept.weights.write_bytes(kept.weights.read_bytes() + b" ")
    with pytest.raises(UsageError, match="is not the file that"):
        stored_baseline.read(kept.weights, quadrants)


def test_a_description_without_its_large_weights_tells_of_them_and_is_no_reason_to_stop(
    kept: StoredBaseline, quadrants: Dataset, tmp_path: Path
) -> None:
    kept.weights.unlink()
    assert stored_baseline.described(kept.weights, quadrants) == kept
    with pytest.raises(UsageError, match="cannot be read"):
        stored_baseline.read(kept.weights, quadrants)
    with pytest.raises(UsageError, match="other data"):
        stored_baseline.described(kept.weights, replace(quadrants, digest="f" * 16))
    again = stored_baseline.find_or_train(tmp_path / "kept", "resnet20", quadrants, RECIPE, tmp_path / "cache")
    assert again.sha256 == kept.sha256
    assert stored_baseline.read(kept.weights, quadrants) == again


def test_the_recipe_beside_the_weights_is_found_and_other_files_are_passed_over(kept: StoredBaseline, tmp_path: Path) -> None:
    assert stored_baseline.recipe_of(kept.weights) == RECIPE
    assert stored_baseline.recipe_of(None) is None
    assert stored_baseline.recipe_of(tmp_path / "nothing.safetensors") is None
    for text in ("{}", "[]", "no", '{"recipe": 3}'):
        (tmp_path / "other.json").write_text(text)
        if "recipe" not in text:
            assert stored_baseline.recipe_of(tmp_path / "other.safetensors") is None
        else:
            with pytest.raises(UsageError, match="no recipe"):
                stored_baseline.recipe_of(tmp_path / "other.safetensors")
