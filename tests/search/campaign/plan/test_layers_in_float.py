"""Before anything is measured, the dense network tells which layers INT8 spoils; all of the campaign leaves those in float."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from harness.errors import UnknownName, UsageError
from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network
from harness.quantisation import calibration, layerwise
from harness.quantisation.answering import quantised_network
from harness.training import accuracy
from search.campaign.plan import layers_in_float
from search.campaign.subject import Subject, bench_of
from search.records.checks import checked
from search.records.display import Display
from search.records.request import Request
from tests.quantisation.conftest import CLASSES, SHAPE, Residual, split

JOINT = Request(network="residual", precision="f32,int8")
SPOILT = "second"
KEPT = 200  # pictures
SPOILING = 3000.0  # times larger is one channel before that layer than it was


def subject(spoil: float, drawn_images: int) -> Subject:
    """An untrained network, and of so many drawn pictures those that it tells apart best.

    They are labelled as it answers them, so that what INT8 changes is a loss.
    spoil: by how much one channel before ``SPOILT`` is larger than it was; its weights there are smaller for it, so that float answers
    alike, and INT8 has no steps left for the others.
    """
    torch.manual_seed(0)
    model = Residual(8, 12).eval()
    with torch.no_grad():
        model.first.weight[0] *= spoil
        model.first.bias[0] = spoil
        model.second.weight[:, 0] /= spoil
        train = split(200, 1)
        model.fc.bias -= accuracy.answers(model, train).mean(0)
    drawn = split(drawn_images, 2)
    best = accuracy.answers(model, drawn).topk(2).values
    kept = (best[:, 0] - best[:, 1]).argsort(descending=True)[:KEPT]
    validation = Split(drawn.images[kept], accuracy.answers(model, drawn).argmax(1)[kept])
    dataset = Dataset("made-up", "d" * 16, SHAPE, CLASSES, train, validation, split(40, 3))
    return Subject(Network.wrap("residual", model, SHAPE, CLASSES), dataset, np.ones(len(validation), dtype=bool))


@pytest.fixture(scope="module")
def healthy() -> Subject:
    return subject(1.0, 40 * KEPT)


@pytest.fixture(scope="module")
def spoilt() -> Subject:
    return subject(SPOILING, 3 * KEPT)


def looked(request: Request, about: Subject) -> tuple[Request, str]:
    file = io.StringIO()
    return layers_in_float.look(request, about, Display(Console(file=file, width=400))), file.getvalue()


def lost(about: Subject, in_float: tuple[str, ...]) -> float:
    parts = (about.network.model, about.dataset.input_shape, "dense", calibration.of(about.dataset), "cpu")
    return 1.0 - accuracy.evaluate(quantised_network(*parts, in_float), about.dataset.validation).top1_ratio


def test_the_spoilt_layer_stays_in_float_and_is_named_and_measured_so(spoilt: Subject) -> None:
    found, said = looked(JOINT, spoilt)
    assert found.layers_in_float == (SPOILT,)
    assert f"with {SPOILT} in float, as from here on" in said
    assert f"--in-float={SPOILT}" in bench_of(found, "int8").options()
    assert not bench_of(found, "f32").in_float, "f32 knows nothing of it"
    assert lost(spoilt, found.layers_in_float) < lost(spoilt, ()) / 4
    assert looked(found, spoilt)[0] == found, "what was told once is not asked again"


def test_a_network_that_takes_int8_well_is_left_whole(healthy: Subject) -> None:
    found, said = looked(JOINT, healthy)
    assert found == JOINT
    assert "dense residual in INT8 loses " in said


def test_without_int8_nothing_is_asked(spoilt: Subject) -> None:
    asked = Request(precision="f32")
    assert looked(asked, spoilt) == (asked, "")


def test_where_no_choice_of_layers_helps_int8_is_left_out_unless_it_is_all_that_was_asked_for(
    spoilt: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hopeless(*_: object) -> object:
        raise UsageError("loses more whichever layers stay in float; leave it in f32")

    monkeypatch.setattr(layerwise, "within", hopeless)
    found, said = looked(JOINT, spoilt)
    assert found.precisions == ("f32",)
    assert "INT8 is left out of the search" in said
    with pytest.raises(UsageError, match="leave it in f32"):
        looked(replace(JOINT, precision="int8"), spoilt)


def test_layers_that_were_named_must_be_there_and_leave_something(healthy: Subject) -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'first'"):
        layers_in_float.check(replace(JOINT, in_float="firts"), healthy.network.architecture)
    every = ",".join(site.name for site in healthy.network.architecture.layers)
    with pytest.raises(UsageError, match="leaves nothing in INT8"):
        layers_in_float.check(replace(JOINT, in_float=every), healthy.network.architecture)
    with pytest.raises(UsageError, match="is about INT8, but --precision is f32"):
        checked(Request(in_float="fc"))


def test_a_network_without_the_branch_has_nothing_to_leave(healthy: Subject) -> None:
    parts = (healthy.network.model, healthy.dataset.input_shape, "dense", calibration.of(healthy.dataset), "cpu")
    assert quantised_network(*parts, ("gone.conv1",)).quantised.artefact == quantised_network(*parts).quantised.artefact
