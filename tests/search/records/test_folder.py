"""A campaign's folder goes on anywhere: with what lies in it, or with what a repository keeps of it."""

import json
import os
from pathlib import Path

import pytest
import safetensors.torch
from hypothesis import example, given
from hypothesis import strategies as st

from harness import packing
from harness.errors import CampaignError
from harness.files import locks
from harness.networks import datasets, zoo
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.training.recipes import Recipe
from search.records import folder
from search.records.outcome import MEASUREMENTS
from search.records.request import Request, folder_name

MEASURED = Path(__file__).parents[2] / "attacks" / "corpus" / "campaign" / "proof.json"
RECIPE = Recipe(epochs=7, learning_rate=0.3)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    """A campaign from stored weights with their description beside them."""
    weights = tmp_path / "baseline.safetensors"
    safetensors.torch.save_file(zoo.build("resnet20", (1, 32, 32), 10, seed=1).state_dict(), weights)
    weights.with_suffix(".json").write_text(json.dumps({"recipe": RECIPE.canonical}))
    return Request(network="resnet20", dataset="digits", weights=weights)


def laid(place: Path, asked: Request, digits: Dataset) -> Path:
    folder.lay_dense(place, Network.by_name(asked.network, digits, asked.weights), asked.weights)
    return place


def moved(weights: Path | None) -> None:
    assert weights is not None
    weights.unlink()
    weights.with_suffix(".json").unlink()


@given(st.text(st.characters(exclude_characters="\x00"), max_size=120), st.text(max_size=40))
@example("/abs/x", "net")
@example("../x", "net")
@example("./x", "net")
@example("~/my nets/x", "net")
@example("../..", "..")
def test_whatever_the_network_is_called_its_campaign_gets_a_plain_name(stem: str, factory: str) -> None:
    made = folder.free_name(Request(network=f"{stem}.py:{factory}", reports=Path("nowhere")))
    assert folder_name(made) == made
    assert len(Path(made).parts) == 1


def test_the_folder_alone_tells_the_dense_network_and_how_it_was_trained(tmp_path: Path, asked: Request, digits: Dataset) -> None:
    place = laid(tmp_path / "campaign", asked, digits)
    moved(asked.weights)
    assert folder.dense(place, asked) == place / folder.DENSE
    assert folder.dense_recipe(place, asked) == RECIPE


def test_measurements_come_along_with_their_samples_where_these_lie_beside_them(tmp_path: Path, asked: Request, digits: Dataset) -> None:
    """Under the campaign's own name for them."""
    stored = tmp_path / "cpu" / "resnet20-digits-f32.json"
    stored.parent.mkdir()
    stored.write_bytes(MEASURED.read_bytes())
    told = benchmark_json.read(stored)
    assert packing.pack(stored).is_one
    place = tmp_path / "campaigns" / "new"
    folder.lay(place, asked, Network.by_name(asked.network, digits, asked.weights), stored)
    assert benchmark_json.read(place / MEASUREMENTS) == told


def test_what_a_repository_leaves_out_is_laid_again_byte_for_byte(tmp_path: Path, asked: Request, digits: Dataset) -> None:
    before = (laid(tmp_path / "campaign", asked, digits) / folder.DENSE).read_bytes()
    place = tmp_path / "cloned"
    assert folder.dense_recipe(place, asked) == RECIPE, "told by the description beside the weights"
    assert folder.dense(place, asked).read_bytes() == before
    moved(asked.weights)
    assert folder.dense_recipe(place, asked) == RECIPE, "the description was laid too"


def test_where_nothing_is_left_it_says_what_to_put_back(tmp_path: Path, asked: Request) -> None:
    moved(asked.weights)
    with pytest.raises(CampaignError, match=r"copy .*cloned.*weights\.safetensors from where the campaign ran, or put back .*baseline"):
        folder.dense(tmp_path / "cloned", asked)
    with pytest.raises(CampaignError, match=r"from where the campaign ran$"):
        folder.dense(tmp_path / "cloned", Request(network="resnet20"))
    assert folder.dense_recipe(tmp_path / "cloned", asked) is None
    assert not (tmp_path / "cloned").exists()


def test_campaigns_that_were_left_half_laid_are_swept_at_the_next_start(tmp_path: Path) -> None:
    left, being_laid = tmp_path / ".left.part", tmp_path / ".laid.part"
    for path in (left, being_laid):
        (path / "dense").mkdir(parents=True)
        os.utime(path, (0, 0))
    held = locks.hold(being_laid)
    folder.writable(tmp_path)
    assert list(tmp_path.iterdir()) == [being_laid]
    held.release()
    folder.writable(tmp_path)
    assert not list(tmp_path.iterdir())
