"""What anybody gets by quantising is held against what was found; every network is compared in its own precision, as it was judged."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from harness.errors import UsageError
from harness.networks import export, onnx_graph, zoo
from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network
from harness.quantisation import answering
from harness.quantisation.answering import runs_int8
from harness.records.pruning_config import PruningConfig
from harness.training import accuracy
from harness.training.recipes import Recipe
from search.campaign.result import CampaignResult
from search.campaign.settings import CampaignSettings
from search.campaign.subject import Subject
from search.optimizer.choice import Standing
from search.proof import comparison, entrants, proof, tuning
from search.proof.entrants import Entrant, Found
from search.proof.tuning import Recipes
from search.records.display import Display
from search.records.outcome import IN_INT8
from search.records.request import Request
from search.records.trial import RunsIn, TuningChoice
from search.space.goals import Goal
from search.space.screened_latency import LatencyByPrecision, cost_of, in_precision

UNTUNED = Recipe(epochs=0.0, batch_size=8, precision="f32", calibration_images=16)
RECIPES = Recipes(UNTUNED, UNTUNED)


class Channels:
    """So many microseconds a channel, in steps: the nearest uniform cut differs between precisions."""

    def __init__(self, microseconds: float, step: int) -> None:
        self.microseconds, self.step = microseconds, step

    def costs(self, widths: np.ndarray) -> np.ndarray:
        return (-(-widths // self.step) * self.step).sum(axis=1) * self.microseconds * 1e-6


LATENCY = LatencyByPrecision({"f32": Channels(1.0, 1), "int8": Channels(0.4, 8)})


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        return Split(torch.randn(count, 1, 16, 16, generator=generator), torch.arange(count) % 4)

    return Dataset("noise", "0" * 16, (1, 16, 16), 4, split(64), split(40), split(40))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network.wrap("resnet20", zoo.build("resnet20", (1, 16, 16), 4), (1, 16, 16), 4)


@pytest.mark.parametrize(("device", "runs"), [("cpu", True), ("jetson", True), ("ncs2", False)])
def test_int8_of_the_shelf_enters_every_comparison_on_a_device_that_runs_it(network: Network, device: str, runs: bool) -> None:
    found = [Found(network.architecture.uniform(0.5))]
    entered = entrants.entrants(network.architecture, found, quantises=runs_int8(device))
    shelf = ["dense", *(one.name for one in entrants.published_entrants(network.architecture))]
    assert len(shelf) > 1
    quantised = [one for one in entered if one.precision == "int8"]
    assert [one.name for one in quantised] == ([f"{name}-int8" for name in shelf] if runs else [])
    in_float = {one.name: one for one in entered if not one.precision}
    for one in quantised:
        assert one.role == "off-the-shelf"
        assert (one.config, one.criterion) == (in_float[one.name.removesuffix("-int8")].config, "l1")
        assert "NNCF" in one.source
    assert len({one.name for one in entered}) == len(entered)
    assert [one.role for one in entered].count("dense") == 1


def test_where_the_campaign_chooses_int8_what_is_quantised_stands_for_the_choice_too(network: Network) -> None:
    architecture = network.architecture
    found = [Found(architecture.uniform(0.5), precision="int8"), Found(architecture.dense(), precision="int8")]
    standing = entrants.with_published(architecture, found, quantises=True)
    assert standing[:2] == found
    assert len(set(standing)) == len(standing)
    shelf = {one.config for one in entrants.published_entrants(architecture)}
    assert {(one.config, one.precision) for one in standing[2:]} == {(config, runs_in) for config in shelf for runs_in in ("", "int8")}
    assert not [one for one in entrants.with_published(architecture, [], quantises=False) if one.precision]


def test_same_widths_in_another_precision_are_another_network(network: Network) -> None:
    shape = network.architecture.uniform(0.5)
    in_float, in_int8 = Entrant("a", "candidate", shape), Entrant("b", "candidate", shape, precision="int8")
    assert entrants.same_as(in_int8, [in_float]) == ""
    assert entrants.same_as(in_int8, [in_float, in_int8]) == "the same network as b"
    found = [Found(shape, precision="int8")]
    assert entrants.is_spare(in_float, found, in_int8)
    assert not entrants.is_spare(in_int8, found, in_float)
    entered = entrants.entrants(network.architecture, [Found(network.architecture.dense(), precision="int8")], quantises=True)
    assert entered[-1].source == "the same network as dense-int8"


def test_the_chosen_network_is_shown_in_int8_too_judged_by_the_device_and_held_to_the_limit(
    network: Network, dataset: Dataset, tmp_path: Path
) -> None:
    half, display = Entrant("optimised-1", "candidate", network.architecture.uniform(0.5), "fpgm"), Display(Console(file=io.StringIO()))
    entered = [Entrant("dense", "dense", network.architecture.dense()), half]
    tuned = tuning.tune(network, dataset, entered, RECIPES, 1, tmp_path, lambda name, done, _: None)
    subject = Subject(network, dataset, np.ones(40, dtype=bool))
    (smaller,) = comparison._chosen_in_int8(tmp_path, Request(), subject, tuned, half, RECIPES, display)
    assert (smaller.entrant.name, smaller.entrant.role) == (IN_INT8, IN_INT8)
    assert (smaller.entrant.config, smaller.entrant.criterion, smaller.entrant.precision) == (half.config, half.criterion, "int8")
    right = proof.right_answers([*tuned, smaller], dataset.validation)
    known = proof.evidence([*tuned, smaller], right, {(half.config, RunsIn("int8")): 0.25}, IN_INT8)
    assert list(known) == [IN_INT8]
    assert known[IN_INT8].curse_points == 0.25, "it was chosen by what it answered in f32"
    comparison._say_of_int8(known[IN_INT8], 1.0, display)
    said = display.console.file.getvalue()  # type: ignore[attr-defined]
    assert f"{IN_INT8}: drop seen" in said
    assert "probability to keep the limit" in said
    untouched = accuracy.right(accuracy.answers(network.model, dataset.test), dataset.test)
    written = proof.write_contenders(network, dataset, [*tuned, smaller], half, right, untouched, tmp_path, known)
    assert [one.role for one in written] == ["dense", "optimised", IN_INT8], "what was asked for stays the answer"
    assert onnx_graph.is_quantised(export.read(tmp_path / written[2].onnx, IN_INT8))
    assert not onnx_graph.is_quantised(export.read(tmp_path / "model.onnx", "optimised"))
    shelf = entrants.in_int8(Entrant("agp", "off-the-shelf", half.config, "fpgm"))
    assert entrants.chosen_in_int8(half, [shelf]).source == "the same network as agp-int8"


def test_where_the_chosen_network_cannot_be_quantised_that_is_said_and_all_else_stands(
    network: Network, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UsageError("an operator cannot be quantised; leave it in float")

    monkeypatch.setattr(tuning, "quantised_network", refuse)
    chosen, display = Entrant("optimised-1", "candidate", network.architecture.dense()), Display(Console(file=io.StringIO(), width=300))
    tuned = tuning.tune(network, dataset, [chosen], RECIPES, 1, tmp_path, lambda name, done, _: None)
    subject = Subject(network, dataset, np.ones(40, dtype=bool))
    assert comparison._chosen_in_int8(tmp_path, Request(), subject, tuned, chosen, RECIPES, display) == []
    assert "not shown in INT8: an operator cannot be quantised" in display.console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("precision", ["", "int8"])
@pytest.mark.parametrize("ratio", [0.3, 0.55, 0.8])
def test_cuts_to_the_chosen_ones_latency_run_in_its_precision(network: Network, precision: str, ratio: float) -> None:
    architecture = network.architecture
    chosen = Entrant(
        "optimised-1", "candidate", architecture.partial({"layer1.0.conv1": 0, "conv1": int(16 * ratio)}), "fpgm", "", precision
    )
    cut, known = entrants.uniform(architecture, LATENCY, chosen), in_precision(LATENCY, precision)
    assert cut.precision == precision
    assert cut.config == entrants.uniform_at(architecture, known, cost_of(architecture, LATENCY, chosen.config, precision))
    assert entrants.from_scratch(chosen).precision == precision


def standing(trial: int, config: PruningConfig, precision: str, latency_s: float, curse: float) -> Standing:
    recipe = TuningChoice(precision=precision)
    return Standing(trial, config, recipe, latency_s, 0.2 - curse, 0.2, 0.1, 1, 0.99)


def test_finalists_of_one_shape_in_two_precisions_are_two_and_each_has_its_own_luck(network: Network) -> None:
    shape = network.architecture.uniform(0.5)
    both = (standing(1, shape, "int8", 0.4, 0.3), standing(2, shape, "f32", 0.8, 0.1))
    result = CampaignResult(CampaignSettings("c", goal=Goal(1.0)), (), (), both, both, both[0], "", 0.0, 1.0)
    assert entrants.finalists(result, 3, "f32") == [Found(shape, "l1", "int8"), Found(shape, "l1", "")]
    assert entrants.curses(result, "f32") == pytest.approx({(shape, RunsIn("int8")): 0.3, (shape, RunsIn()): 0.1})


@pytest.mark.parametrize(
    ("precision", "own", "runs_in"), [("", "f32", ""), ("", "bf16", "bf16"), ("f32", "f32", ""), ("int8", "f32", "int8")]
)
def test_a_rivals_network_runs_in_what_the_rival_ran_it_in(network: Network, precision: str, own: str, runs_in: str) -> None:
    found = (standing(1, network.architecture.uniform(0.5), precision, 0.4, 0.0),)
    result = CampaignResult(CampaignSettings("c", goal=Goal(1.0)), (), (), found, found, found[0], "", 0.0, 1.0)
    assert entrants.finalists(result, 1, "f32", own)[0].precision == runs_in


def test_written_contenders_of_int8_are_qdq_and_answer_as_they_were_judged(network: Network, dataset: Dataset, tmp_path: Path) -> None:
    half, dense = network.architecture.uniform(0.5), network.architecture.dense()
    entered = [
        Entrant("dense", "dense", dense),
        Entrant("dense-int8", "off-the-shelf", dense, precision="int8"),
        Entrant("optimised-1", "candidate", half, precision="int8"),
        Entrant("optimised-2", "candidate", dense, precision="int8"),
        Entrant("optimised-3", "candidate", half, precision="bf16"),
    ]
    tunings: list[str] = []
    tuned = tuning.tune(network, dataset, entered, RECIPES, 1, tmp_path, lambda name, done, _: tunings.append(name) if done else None)
    right = proof.right_answers(tuned, dataset.validation)
    untouched = accuracy.right(accuracy.answers(network.model, dataset.test), dataset.test)
    written = {one.name: one for one in proof.write_contenders(network, dataset, tuned, entered[2], right, untouched, tmp_path)}
    ask = answering._answers("cpu")
    ask.close()
    for one in written.values():
        artefact = export.read(tmp_path / one.onnx, one.name)
        assert onnx_graph.is_quantised(artefact) is (one.precision == "int8")
        assert onnx_graph.runs_in(artefact) == one.precision
        assert artefact.digest == one.artefact_digest
        if one.precision == "int8":
            answered = ask(artefact, dataset.test.images)
            stored = np.load((tmp_path / one.onnx).with_suffix(".logits.npy"))
            assert np.array_equal(answered, stored), "another session of the runtime gives the very answers that it was judged by"
            assert int((stored.argmax(1) == dataset.test.labels.numpy()).sum()) == one.test.correct
    ask.close()
    digests = {name: one.artefact_digest for name, one in written.items()}
    assert digests["dense-int8"] == digests["optimised-2"], "one network under two names is one file, measured once"
    assert len(set(digests.values())) == len(digests) - 1
    assert (tmp_path / "model.onnx").read_bytes() == (tmp_path / written["optimised"].onnx).read_bytes()
    assert written["dense-int8"].parameters == written["dense"].parameters


def test_a_network_that_cannot_be_quantised_is_compared_without_int8_and_that_is_said(
    network: Network, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    display, subject = Display(Console(file=file, width=200)), Subject(network, dataset, np.ones(40, dtype=bool))
    assert comparison._runs_in_int8(Request(), subject, display)

    def refuse(*_: object, **__: object) -> None:
        raise UsageError("an operator that cannot be quantised; leave it in float")

    monkeypatch.setattr(answering, "quantise", refuse)
    assert not comparison._runs_in_int8(Request(), subject, display)
    assert "nothing quantised after training enters the comparison: an operator that" in file.getvalue()
