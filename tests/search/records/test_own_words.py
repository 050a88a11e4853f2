"""What a user types is made the best of, or refused in one line before anything long is begun."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CampaignError, HarnessError
from harness.records.accuracy import Accuracy
from harness.training.recipes import Recipe
from search import command_line, journey
from search.records import folder, recipe_record
from search.records.display import Display
from search.records.losses.drop import Paired
from search.records.request import Request, folder_name


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200), st.sampled_from(["cpu", "ncs2"]))
def test_a_name_is_made_of_any_network_and_any_pictures(network: str, pictures: str, device: str) -> None:
    asked = Request(device=device, network=f"{network}.py:net", dataset=f"imagefolder:{pictures}", reports=Path("/nowhere"))
    assert folder_name(folder.free_name(asked)) == folder.free_name(asked)


def test_a_made_up_name_says_what_it_is_about_without_the_path_to_it() -> None:
    asked = Request(network="/home/me/nets/x.py:tiny", dataset="imagefolder:/data/My Pictures/", reports=Path("/nowhere"))
    assert folder.free_name(asked) == "x-tiny-imagefolder-My-Pictures-cpu"
    assert folder.free_name(Request(reports=Path("/nowhere"), precision="bf16")) == "resnet20-digits-cpu-bf16"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device=nope"], "nope"),
        (["--compiled-for=nope"], "nope"),
        (["--proof-budget=20000"], "epochs"),
        (["--budget=20000"], "epochs"),
        (["--rival=nobody"], "there is no campaign 'nobody'"),
        (["--reports=/proc/x"], "--reports"),
    ],
    ids=lambda part: "".join(part) if isinstance(part, list) else "",
)
def test_what_the_words_alone_make_impossible_is_refused_before_the_dense_network_is_trained(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(journey, "dense_network", lambda *_: pytest.fail("trained"))
    if "--reports=/proc/x" in words:
        monkeypatch.setattr(folder.os, "access", lambda *_: False)  # for root, who may write everywhere, in name
    with pytest.raises(HarnessError, match=said):
        journey.run(command_line.request(command_line.parse(words)), Display())
    assert not list(tmp_path.iterdir())


OLD = Request(
    device="ncs2",
    network="x.py:net",
    dataset="imagefolder:p",
    channels=1,
    validation_from="test",
    precision="f16",
    budget=9.0,
    designs=40,
    max_latency_ms=3.0,
    screen=True,
    name="old",
)


@pytest.fixture
def forked(tmp_path: Path) -> Callable[..., tuple[Request, list[str]]]:
    """Function: the request of a fork of OLD by these words, and what was said."""
    (tmp_path / "campaigns" / "old").mkdir(parents=True)
    folder.write_request(tmp_path / "campaigns" / "old", replace(OLD, reports=tmp_path))

    def fork(*words: str) -> tuple[Request, list[str]]:
        said: list[str] = []
        arguments = command_line.parse(["fork", "old", f"--reports={tmp_path}", *words])
        return folder.inheriting(command_line.request(arguments), command_line.left_open(arguments), said.append), said

    return fork


def test_a_fork_is_its_campaign_but_for_what_is_said(forked: Callable[..., tuple[Request, list[str]]], tmp_path: Path) -> None:
    asked, said = forked("--max-drop=0.5", "--no-screen")
    assert asked == replace(OLD, reports=tmp_path, name=None, old="old", max_drop=0.5, screen=False)
    assert not said


def test_what_is_of_another_network_or_device_is_not_taken_over_and_said(forked: Callable[..., tuple[Request, list[str]]]) -> None:
    asked, said = forked("--network=resnet20", "--device=cpu")
    assert (asked.network, asked.dataset, asked.channels, asked.validation_from) == ("resnet20", "imagefolder:p", None, None)
    assert (asked.device, asked.max_latency_ms, asked.designs) == ("cpu", None, 40)
    assert [one.split("=")[0] for one in said] == ["--validation-from", "--channels", "--max-latency-ms"]
    assert "--max-latency-ms=3.0 of old is not taken over: other device" in said


def test_the_command_of_a_fork_asks_for_the_same_again(forked: Callable[..., tuple[Request, list[str]]]) -> None:
    asked, _ = forked("--device=cpu", "--budget=4")  # both equal the defaults, and not OLD's
    again, _ = forked(*shlex.split(asked.command)[5:])
    assert again == asked


def test_workers_take_the_place_of_a_cluster_in_a_fork(tmp_path: Path) -> None:
    (tmp_path / "campaigns" / "old").mkdir(parents=True)
    folder.write_request(tmp_path / "campaigns" / "old", replace(OLD, reports=tmp_path, dask="tcp://far:1"))
    arguments = command_line.parse(["fork", "old", f"--reports={tmp_path}", "--workers=2"])
    said: list[str] = []
    asked = folder.inheriting(command_line.request(arguments), command_line.left_open(arguments), said.append)
    assert (asked.workers, asked.dask) == (2, None)
    assert said == ["--dask=tcp://far:1 of old is not taken over: --workers was given"]


@pytest.mark.parametrize("content", ['"abc"', "null", "12", "NaN", "[1]", "{}", '{"schema": 1, "recipe": 3}'])
def test_a_record_that_is_none_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / recipe_record.FILE).write_text(content)
    with pytest.raises(CampaignError, match="is broken|is of another schema"):
        recipe_record.read(tmp_path)


def test_figures_of_a_record_must_be_figures(tmp_path: Path) -> None:
    reference = recipe_record.Reference(1.0, Accuracy(1, 2), Paired(1.0, 1.0, 2))
    recipe_record.write(tmp_path, recipe_record.RecipeRecord(Recipe(epochs=1), Accuracy(1, 2), references=(reference,)))
    document = json.loads((tmp_path / recipe_record.FILE).read_text())
    document["references"][0]["harm"]["total"] = "x"
    (tmp_path / recipe_record.FILE).write_text(json.dumps(document))
    with pytest.raises(CampaignError, match="is broken"):
        recipe_record.read(tmp_path)


def test_a_fork_of_a_campaign_whose_recipe_is_broken_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey, "dense_network", lambda *_: pytest.fail("trained"))
    old = Request(reports=tmp_path, name="old")
    (tmp_path / "campaigns" / "old").mkdir(parents=True)
    folder.write_request(tmp_path / "campaigns" / "old", old)
    (tmp_path / "campaigns" / "old" / recipe_record.FILE).write_text("garbage")
    with pytest.raises(CampaignError, match="is broken"):
        journey.run(replace(old, old="old", name="new"), Display())
    assert not (tmp_path / "campaigns" / "new").exists()
