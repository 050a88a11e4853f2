"""Accuracy control finds the layer that INT8 spoils, and leaves nothing else in float."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.errors import UsageError
from harness.networks import export
from harness.networks.datasets import Dataset, Split
from harness.networks.export import Artefact
from harness.quantisation import layerwise
from harness.quantisation.calibration import Calibration
from tests.quantisation.conftest import SHAPE, Answers, Residual


@pytest.fixture(scope="module")
def spoilt(dataset: Dataset) -> Artefact:
    """``second`` weighs a channel that is always 0 a thousand times as much as the others, so that these vanish in INT8."""
    torch.manual_seed(0)
    model = Residual(8, 12)
    with torch.no_grad():
        model.first.bias[0] = -1000
        model.second.weight[:, 1:] *= 10
        model.second.weight[:, 0] = 1000
        model.fc.bias -= model(dataset.train.images).mean(0)
    return export.export(model, SHAPE, "spoilt")


@pytest.fixture(scope="module")
def judged(spoilt: Artefact, dataset: Dataset, answers: Answers) -> Split:
    """Validation images labelled as the float network answers them, so that what INT8 changes is a loss."""
    images = torch.cat([dataset.validation.images, dataset.test.images])
    return Split(images, torch.from_numpy(answers(spoilt, images).argmax(1)))


def test_the_layer_that_int8_spoils_is_found_and_left_in_float(
    spoilt: Artefact, images: Calibration, judged: Split, answers: Answers
) -> None:
    whole = layerwise.within(spoilt, images, judged, answers, 1.0)
    assert whole.harms == ()
    found = layerwise.within(spoilt, images, judged, answers, whole.drop_ratio / 4)
    assert found.harms[0].layer == "second"
    assert found.drop_ratio <= whole.drop_ratio / 4
    assert [one.layer for one in found.quantised.layers if not one.quantised] == ["second"]


def test_what_loses_nothing_stays_whole(artefact: Artefact, images: Calibration, dataset: Dataset, answers: Answers) -> None:
    labelled = Split(dataset.validation.images, torch.from_numpy(answers(artefact, dataset.validation.images).argmax(1)))
    found = layerwise.within(artefact, images, labelled, answers, limit_ratio=0.2)
    assert found.harms == ()
    assert all(one.quantised for one in found.quantised.layers)


def test_where_nothing_helps_it_is_said(artefact: Artefact, images: Calibration, dataset: Dataset) -> None:
    def contrary(of: Artefact, pictures: torch.Tensor) -> np.ndarray:
        """Right in float, wrong in whatever is quantised."""
        right = dataset.validation.labels.numpy()[: len(pictures)]
        return np.eye(4, dtype=np.float32)[right if of.digest == artefact.digest else (right + 1) % 4]

    with pytest.raises(UsageError, match="leave it in f32"):
        layerwise.within(artefact, images, dataset.validation, contrary)
