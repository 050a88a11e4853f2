"""Cross-fitting: folds that nobody who is judged on them was trained on, as long as they are needed and may cost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network
from harness.records.pruning_config import PruningConfig
from harness.training import baseline, recipes
from search.proof import cross_fit, tuning
from search.proof.cross_fit import Bound, Fold
from search.proof.entrants import Entrant
from search.race import limit_campaign
from search.records.losses.certainty import Evidence
from search.records.losses.drop import Paired


def dataset_of(labels: Sequence[int], validation: int) -> Dataset:
    """Pictures that are told apart by their one pixel."""
    marks = torch.tensor(labels), torch.arange(validation) % 3, torch.arange(3)
    first = torch.arange(len(labels) + validation + 3, dtype=torch.float32).view(-1, 1, 1, 1)
    parts = torch.split(first, [len(labels), validation, 3])
    return Dataset("made up", "digest", (1, 1, 1), 3, *(Split(part, one) for part, one in zip(parts, marks, strict=True)))  # type: ignore[arg-type]


def pixels(split: Split) -> set[float]:
    return set(split.images.flatten().tolist())


@given(st.lists(st.integers(0, 2), min_size=6, max_size=60), st.integers(1, 12), st.integers(0, 6))
def test_folds_never_meet_what_their_networks_are_trained_on_nor_each_other(labels: list[int], validation: int, most: int) -> None:
    whole = dataset_of(labels, validation)
    found = cross_fit.folds(whole, most)
    assert len(found) <= most
    held: set[float] = set()
    for fold in found:
        assert not pixels(fold.validation) & pixels(fold.train)
        assert pixels(fold.validation) | pixels(fold.train) == pixels(whole.train) | pixels(whole.validation)
        assert pixels(fold.validation) <= pixels(whole.train), "validation pictures were looked at by the search"
        assert not pixels(fold.validation) & held
        assert fold.test is whole.test
        held |= pixels(fold.validation)
    assert len({whole.digest, *(fold.digest for fold in found)}) == len(found) + 1


def test_copies_of_a_picture_stay_on_one_side() -> None:
    whole = dataset_of([0, 1, 2] * 10, 10)
    twice = Split(torch.cat([whole.train.images[:15]] * 2), torch.cat([whole.train.labels[:15]] * 2))
    for fold in cross_fit.folds(replace(whole, train=twice), 2):
        assert not pixels(fold.validation) & pixels(fold.train)


FAST, SLOW = (Entrant(name, "candidate", PruningConfig.of("toy", {"c": width})) for name, width in (("fast", 4), ("slow", 8)))
SECONDS = {"fast": 1.0, "slow": 2.0}


def evidence(**totals: float) -> dict[str, Evidence]:
    return {name: Evidence(Paired(total, 6.0, 280)) for name, total in totals.items()}


def asked(known: Mapping[str, Evidence]) -> list[str]:
    return [one.name for one in cross_fit.in_question([FAST, SLOW], known, SECONDS, 4.0, 1.0, 0.9)]


def test_in_question_is_who_may_yet_be_chosen() -> None:
    assert asked(evidence(fast=0, slow=0)) == ["fast", "slow"]
    assert asked(evidence(fast=0, slow=-4)) == ["fast"], "the slow one is certain"
    assert asked(evidence(fast=-4, slow=0)) == [], "the fast one is certain"
    assert asked(evidence(fast=6, slow=0)) == ["slow"], "the fast one is hopeless"
    assert cross_fit.in_question([FAST], evidence(fast=0), {"fast": 5.0}, 4.0, 1.0, 0.9) == [], "no faster than the dense one"


@given(bound=st.floats(0, 3000), lost=st.lists(st.integers(-3, 3), min_size=4, max_size=4))
@settings(max_examples=30)
def test_folds_end_with_the_question_or_with_the_bound(bound: float, lost: list[int]) -> None:
    folds = cross_fit.sized_folds(dataset_of([0, 1, 2] * 40, 24), {}, 4)
    limit, spent = Bound(bound, dense=2.0, tuned=1.0), 0.0
    taken: list[Fold] = []

    def judge(fold: Fold, entrants: Sequence[Entrant]) -> dict[str, Paired]:
        nonlocal spent
        spent += limit.cost(fold.dataset, len(entrants))
        taken.append(fold)
        return {one.name: Paired(float(lost[len(taken) - 1]), 6.0, 280) for one in entrants}

    def undecided(known: Mapping[str, Evidence]) -> list[Entrant]:
        return cross_fit.in_question([FAST, SLOW], known, SECONDS, 4.0, 1.0, 0.9)

    start = evidence(fast=0, slow=0)
    found = cross_fit.gather(folds, undecided, start, limit, judge)
    assert spent <= bound
    assert taken == list(folds[: len(taken)])
    assert {name: one.judged for name, one in found.items()} == {name: one.judged for name, one in start.items()}
    entered = undecided(found)
    assert not entered or len(taken) == len(folds) or not limit.allows(spent, folds[len(taken)].dataset, len(entered))


@pytest.mark.timeout(300)
def test_a_fold_is_judged_by_networks_trained_anew_and_once(tmp_path: Path) -> None:
    """On digits of 8 x 8, with real trainings: the unpruned one among the entrants loses nothing against itself."""
    whole = limit_campaign.divided(0)
    recipe = replace(recipes.dense_recipe("digits"), epochs=1.0, crop_margin=1)
    model = baseline.dense(limit_campaign.NETWORK, whole, recipe, tmp_path)
    network = Network.wrap(limit_campaign.NETWORK, model, whole.input_shape, whole.classes)
    by = tuning.Recipes(replace(recipes.tuning_recipe("digits", 0.5, 0), crop_margin=1), recipe)
    (fold,) = cross_fit.folds(whole, 1)
    architecture = network.architecture
    entered = [
        Entrant("same", "candidate", architecture.dense()),
        Entrant("tiny", "candidate", PruningConfig.of(network.name, {group.name: 4 for group in architecture.groups})),
    ]
    said: list[str] = []
    found = cross_fit.judge(network, fold, entered, recipe, by, tmp_path, lambda name, *_: said.append(name), cache=tmp_path)
    assert found["same"] == Paired(0.0, 0.0, limit_campaign.VALIDATION)
    assert found["tiny"].total > 0
    assert "dense, from nothing" in said
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert cross_fit.judge(network, fold, entered, recipe, by, tmp_path, lambda *_: None, cache=tmp_path) == found
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before, "nothing is trained again"
