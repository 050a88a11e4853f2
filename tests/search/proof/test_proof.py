"""The final comparison: who enters, who is chosen, and that a killed one repeats no finished tuning."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from torch import nn

from harness.errors import CampaignError
from harness.networks import zoo
from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network
from harness.records.accuracy import Accuracy
from harness.records.pruning_config import PruningConfig
from harness.training import accuracy
from harness.training.recipes import Recipe
from search.proof import proof, tuning
from search.proof.entrants import Entrant, Found, entrants, from_scratch, uniform, uniform_at
from search.proof.tuning import Recipes
from search.records import outcome, tuned_store
from search.records.losses.drop import Paired, drop_over_seeds
from search.records.outcome import Untouched
from search.space.bench_run import Bench
from search.space.screened_latency import cost_of
from search.workers.sized import AtSize

TUNING = Recipe(epochs=0.25, learning_rate=0.02, batch_size=8, precision="f32", calibration_images=16)
RECIPES = Recipes(TUNING, Recipe(epochs=0.5, batch_size=8, precision="f32", calibration_images=16))


class ChannelsKept:
    """A microsecond per channel."""

    def costs(self, widths: np.ndarray) -> np.ndarray:
        return widths.sum(axis=1) * 1e-6


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        return Split(torch.randn(count, 1, 16, 16, generator=generator), torch.arange(count) % 4)

    return Dataset("noise", "0" * 16, (1, 16, 16), 4, split(64), split(32), split(32))


@pytest.fixture(scope="module")
def network(dataset: Dataset) -> Network:
    return Network.wrap("resnet20", zoo.build("resnet20", (1, 16, 16), 4), (1, 16, 16), 4)


@pytest.fixture(scope="module")
def entered(network: Network) -> list[Entrant]:
    half = network.architecture.uniform(0.5)
    return [Entrant("dense", "dense", network.architecture.dense()), Entrant("optimised-1", "candidate", half)]


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_everyone_is_entered_once_and_the_uniform_one_is_as_fast_as_the_chosen_one(network: Network) -> None:
    architecture, latency = network.architecture, ChannelsKept()
    best, second = architecture.uniform(0.4), architecture.uniform(0.6)
    found = entrants(architecture, [Found(best), Found(second, "fpgm")], rival=Found(architecture.uniform(0.7)))
    names = [entrant.name for entrant in found]
    assert len(set(names)) == len(names)
    assert [entrant.role for entrant in found if entrant.role in ("dense", "random")] == ["dense", "random"]
    assert [(e.config, e.criterion) for e in found if e.role == "candidate"] == [(best, "l1"), (second, "fpgm")]
    assert not [e for e in entrants(architecture, [Found(best)]) if e.role == "random"]
    for chosen in (found[-2], found[-1]):
        cut, seconds = uniform(architecture, latency, chosen), cost_of(architecture, latency, chosen.config)
        assert cut.config == uniform_at(architecture, latency, seconds)
        assert cost_of(architecture, latency, cut.config) == pytest.approx(seconds, rel=0.02)


def test_a_found_network_that_was_published_is_called_that(network: Network) -> None:
    architecture = network.architecture
    published = [entrant for entrant in entrants(architecture, []) if entrant.role == "off-the-shelf"]
    found = entrants(architecture, [Found(published[-1].config), Found(architecture.uniform(0.4))])[-2:]
    assert [entrant.role for entrant in found] == ["candidate", "candidate"]
    assert [entrant.source for entrant in found] == [f"the same network as {published[-1].name}", ""]


def test_a_uniform_cut_that_was_chosen_is_called_the_same_network(network: Network) -> None:
    architecture, latency = network.architecture, ChannelsKept()
    chosen = Entrant("optimised-1", "candidate", uniform_at(architecture, latency, 0.6 * 912e-6), "fpgm")
    cut = uniform(architecture, latency, chosen)
    assert (cut.config, cut.criterion, cut.source) == (chosen.config, "fpgm", "the same network as optimised")
    other = uniform(architecture, latency, Entrant("optimised-1", "candidate", architecture.partial({"layer1.0.conv1": 8})))
    assert other.source == ""


def test_random_search_s_network_found_again_is_called_that(network: Network) -> None:
    shape = network.architecture.uniform(0.4)
    assert entrants(network.architecture, [Found(shape)], rival=Found(shape))[-1].source == "the same network as random"
    assert entrants(network.architecture, [Found(shape, "fpgm")], rival=Found(shape))[-1].source == "", "other channels"


def test_one_network_under_two_names_is_tuned_and_measured_once(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = [*entered, Entrant("uniform", "uniform", entered[1].config)]
    trained: list[str] = []
    tuned = tuning.tune(network, dataset, twins, RECIPES, 1, tmp_path, lambda name, done, _: trained.append(name) if done else None)
    assert set(trained) == {"dense", "optimised-1"}
    assert same(tuned[1].judged[0].model, tuned[2].judged[0].model)
    right = proof.right_answers(tuned, dataset.validation)
    untouched = accuracy.right(accuracy.answers(network.model, dataset.test), dataset.test)
    contenders = proof.write_contenders(network, dataset, tuned, twins[1], right, untouched, tmp_path)
    assert contenders[1].artefact_digest == contenders[2].artefact_digest
    given: list[str] = []
    monkeypatch.setattr(proof, "run_bench", lambda suites, path, options, say: given.extend(options))
    proof.measure(Bench("cpu", "resnet20", "digits", None, "f32", tmp_path), tmp_path, contenders, 3, lambda _: None)
    assert [one.split("=")[1] for one in given if one.startswith("--contender")] == ["dense", "optimised"]


def test_seeds_differ_and_a_second_call_tunes_nothing_again(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    seen: list[tuple[str, int]] = []

    def progress(name: str, done: int, steps: int) -> None:
        if done:
            seen.append((name, done))

    first = tuning.tune(network, dataset, entered, RECIPES, 2, tmp_path, progress)
    assert {name for name, _ in seen} == {f"{e.name}, seed {s} of 2" for e in entered for s in (1, 2)}
    assert not same(first[1].judged[0].model, first[1].judged[1].model)
    seen.clear()
    second = tuning.tune(network, dataset, entered, RECIPES, 2, tmp_path, progress)
    assert not seen
    for ours, theirs in zip(first, second, strict=True):
        assert [(one.seed, one.validation) for one in ours.judged] == [(one.seed, one.validation) for one in theirs.judged]
        assert all(same(one.model, other.model) for one, other in zip(ours.judged, theirs.judged, strict=True))


def test_side_by_side_every_tuning_is_done_once_and_kept(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    ended: list[str] = []

    def progress(name: str, done: int, steps: int) -> None:
        if done == steps:
            ended.append(name)

    tuned = tuning.tune(network, dataset, entered, RECIPES, 2, tmp_path, progress, side_by_side=2)
    assert sorted(ended) == sorted(f"{e.name}, seed {s} of 2" for e in entered for s in (1, 2))
    assert [[one.seed for one in entry.judged] for entry in tuned] == [[0, 1]] * len(entered)
    assert len(list((tmp_path / tuned_store.FOLDER).glob("*/judged.json"))) == 2 * len(entered)
    alone = tuning.tune(network, dataset, entered, RECIPES, 2, tmp_path / "alone", lambda *_: None)
    for ours, theirs in zip(tuned, alone, strict=True):
        for one, other in zip(ours.judged, theirs.judged, strict=True):
            pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
            assert all(torch.allclose(first.float(), second.float(), atol=0.05) for first, second in pairs), "threads differ, no more"


def test_a_tuning_that_fails_in_its_process_ends_the_comparison_with_its_reason(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    hopeless = Recipes(replace(RECIPES.tuning, learning_rate=100.0, epochs=20.0), RECIPES.from_scratch)
    with pytest.raises(CampaignError, match="tuning .* failed: the loss became .*mend that, then resume"):
        tuning.tune(network, dataset, entered, hopeless, 1, tmp_path, lambda *_: None, side_by_side=2)


def test_a_tuning_that_was_not_written_whole_is_done_again(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    first = tuning.tune(network, dataset, entered[1:], RECIPES, 1, tmp_path, lambda *_: None)
    (written,) = (tmp_path / tuned_store.FOLDER).iterdir()
    (written / "weights.safetensors").write_bytes(b"half")
    steps: list[int] = []
    second = tuning.tune(network, dataset, entered[1:], RECIPES, 1, tmp_path, lambda _, done, __: steps.append(done))
    assert max(steps) == 2  # a quarter of 64 images in batches of 8
    assert same(first[0].judged[0].model, second[0].judged[0].model)


def test_what_another_campaign_tuned_alike_is_taken_over(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    (tuned,) = tuning.tune(network, dataset, entered[1:], RECIPES, 1, theirs, lambda *_: None)
    renamed = replace(entered[1], name="random", role="random")
    tuning.take_over(AtSize(network, dataset), renamed, RECIPES, 2, theirs, ours)
    steps: list[tuple[str, int]] = []
    (taken,) = tuning.tune(network, dataset, [renamed], RECIPES, 2, ours, lambda name, done, _: steps.append((name, done)))
    assert {name for name, done in steps if done} == {"random, seed 2 of 2"}, "the first seed was theirs"
    assert same(taken.judged[0].model, tuned.judged[0].model)


def test_from_scratch_has_the_chosen_shape_and_no_inherited_weights(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    scratch = from_scratch(entered[1])
    tuned, inherited = tuning.tune(network, dataset, [scratch, entered[1]], RECIPES, 1, tmp_path, lambda *_: None)
    ours, theirs = tuned.judged[0].model.state_dict(), inherited.judged[0].model.state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {name: tensor.shape for name, tensor in theirs.items()}
    kept = theirs["conv1.weight"].flatten()
    assert torch.corrcoef(torch.stack([ours["conv1.weight"].flatten(), kept]))[0, 1] < 0.9


def candidate(name: str) -> Entrant:
    return Entrant(name, "candidate", PruningConfig.of("toy", {"conv1": 4}))


FAST, SAFE, SLOW = candidate("fast"), candidate("safe"), candidate("slow")
SECONDS = {"fast": 1.0, "safe": 1.1, "slow": 3.9}  # dense: 4
DROPS = {"fast": 0.45, "safe": 0.2, "slow": -0.3}
CHANCES = {"fast": 0.6, "safe": 0.92, "slow": 0.999}


@pytest.mark.parametrize(
    ("certainty", "ceiling", "expected"),
    [
        (0.9, None, "safe"),
        (0.5, None, "fast"),
        (0.99, None, "slow"),
        (0.9999, None, "slow"),  # nothing is that sure: the surest
        (0.9, 1.05, "fast"),  # nothing else is fast enough
        (0.99, 2.0, "safe"),  # the surest of those that are
    ],
)
def test_the_fastest_that_is_certain_enough_is_chosen_else_the_surest(certainty: float, ceiling: float | None, expected: str) -> None:
    assert proof.choose([FAST, SAFE, SLOW], DROPS, CHANCES, SECONDS, 4.0, certainty, ceiling).name == expected


def test_without_a_limit_the_least_drop_decides() -> None:
    assert proof.choose([FAST, SAFE, SLOW], DROPS, {}, SECONDS, 4.0, 0.9, None) == SLOW
    assert proof.choose([FAST, SAFE, SLOW], DROPS, {}, SECONDS, 4.0, 0.9, 2.0) == SAFE


def test_the_most_certain_one_is_a_faster_one_where_there_is_any() -> None:
    assert proof.choose([FAST, SLOW], DROPS, CHANCES, {**SECONDS, "slow": 4.1}, 4.0, 0.9, None) == FAST


@given(
    points=st.lists(st.floats(-1, 3), min_size=1, max_size=4),
    seconds=st.lists(st.floats(0.1, 6), min_size=4, max_size=4),
    certainties=st.tuples(st.floats(0.5, 0.999), st.floats(0.5, 0.999)),
)
def test_more_certainty_never_gives_a_faster_one_and_nothing_slower_and_worse_is_chosen(
    points: list[float], seconds: list[float], certainties: tuple[float, float]
) -> None:
    entered = [candidate(str(place)) for place in range(len(points))]
    drops = {entrant.name: one for entrant, one in zip(entered, points, strict=True)}
    chances = {name: float(ndtr(1 - one)) for name, one in drops.items()}
    cost = {entrant.name: one for entrant, one in zip(entered, seconds, strict=False)}
    less, more = (proof.choose(entered, drops, chances, cost, 7.0, sure, None).name for sure in sorted(certainties))
    if chances[more] >= max(certainties):
        assert cost[less] <= cost[more]
    for name, one in drops.items():
        assert not (one < drops[less] and cost[name] < cost[less]), f"{name} beats {less}"


def test_what_a_candidate_lost_is_counted_image_by_image_over_the_seeds(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    tuned = tuning.tune(network, dataset, entered, RECIPES, 2, tmp_path, lambda *_: None)
    right = proof.right_answers(tuned, dataset.validation)
    (found,) = proof.validation_drops(tuned, right).items()
    known = proof.evidence(tuned, right, {(entered[1].config, entered[1].runs_in): 0.3})[entered[1].name]
    assert (known.judged, known.curse_points) == (Paired.of(right[entered[1].name], right["dense"]), 0.3)
    assert known.seen_points == pytest.approx(found[1].points)
    assert known.moved_points == 0.3, "by its luck"
    dense, ours = ([one.validation for one in entry.judged] for entry in tuned)
    assert found[0] == entered[1].name
    assert found[1].points == pytest.approx(drop_over_seeds(ours, dense).points)
    assert found[1] != drop_over_seeds(ours, dense), "not as if the images were others"


def test_contenders_carry_every_seed_and_survive_the_disk(
    network: Network, dataset: Dataset, entered: list[Entrant], tmp_path: Path
) -> None:
    tuned = tuning.tune(network, dataset, entered, RECIPES, 2, tmp_path, lambda *_: None)
    right = proof.right_answers(tuned, dataset.validation)
    untouched = accuracy.right(accuracy.answers(network.model, dataset.test), dataset.test)
    contenders = proof.write_contenders(network, dataset, tuned, entered[1], right, untouched, tmp_path)
    for contender in contenders:
        assert contender.paired_untouched is not None
        assert contender.paired_untouched.total == pytest.approx(untouched.sum() - sum(one.correct for one in contender.tests) / 2)
    assert [contender.role for contender in contenders] == ["dense", "optimised"]
    for contender, entry in zip(contenders, tuned, strict=True):
        assert [repeat.validation for repeat in contender.repeats] == [one.validation for one in entry.judged]
        assert (contender.validation, contender.test) == (contender.repeats[0].validation, contender.repeats[0].test)
    names, known = ("n", "c", "resnet20", "noise", "cpu", "f32"), Untouched(Accuracy(20, 32), accuracy.count(untouched))
    told = outcome.Outcome(*names, 0.5, None, (("--a", "b"),), (64, 32, 32), "r", contenders, (("s", 1.0),), "now", known)
    outcome.write(tmp_path, told)
    assert outcome.read(tmp_path) == told
    dense, ours = contenders
    assert (dense.paired, dense.paired_validation) == (None, None)
    assert ours.paired_validation == Paired.of(right[entered[1].name], right["dense"])
    judged = drop_over_seeds(ours.validations, dense.validations, ours.paired_validation)
    assert judged == proof.validation_drops(tuned, right)[entered[1].name], "told as it was when the choice was made"
