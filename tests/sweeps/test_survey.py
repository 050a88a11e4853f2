"""A survey's findings: real networks in processes of their own, and a page that says what was wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.sweeps import survey, surveyed
from harness.sweeps.surveyed import Surveyed

FOUND = Surveyed("net", 96, 3, 30, 1, 1, "conv: they meet softmax in attention", 0.9, 1e-7, 0.5, 1000, 1000, 0.1, 1.0)


def test_a_real_network_is_surveyed_in_a_process_of_its_own() -> None:
    found = survey.surveyed("torchvision:squeezenet1_1")
    assert (found.groups, found.channels, found.refusal) == (25, 2944, "")
    assert found.macs == found.counted_macs > 0
    assert found.difference_ratio < 1e-4 < found.change_ratio
    assert not survey.is_wrong(found)


def test_a_process_that_takes_too_long_is_ended_and_told() -> None:
    found = survey.surveyed("torchvision:squeezenet1_1", limit_s=0.0)
    assert found.refusal.startswith(survey.TOO_LONG)
    assert survey.is_wrong(found)


def test_an_unknown_network_is_a_refusal_and_nothing_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert survey.main(["torchvision:nothing", "--reports", str(tmp_path)]) == 0
    assert "unknown torchvision network" in (tmp_path / "survey.md").read_text()
    assert "refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (FOUND, False),
        (replace(FOUND, difference_ratio=0.01), True),
        (replace(FOUND, difference_ratio=float("nan")), True),
        (replace(FOUND, change_ratio=0.0), True),
        (replace(FOUND, counted_macs=999), True),
        (replace(FOUND, refusal="it has no channels"), False),
        (replace(FOUND, refusal="TRACEBACK: ValueError: 3"), True),
    ],
    ids=["exact", "not exact", "no number", "nothing changed", "counted otherwise", "refused", "traceback"],
)
def test_what_must_not_be_is_counted_on_the_page(row: Surveyed, wrong: bool) -> None:
    assert survey.is_wrong(row) == wrong
    page = survey.page([row])
    assert f"{int(wrong)} are wrong" in page
    assert "| net | 96 |" in page


def test_a_survey_that_was_killed_goes_on_with_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "findings"
    survey.keep(store, FOUND)
    survey.keep(store, replace(FOUND, network="other"))
    with store.open("a") as file:
        file.write('{"network": "half')
    assert survey.kept(store) == {"net": FOUND, "other": replace(FOUND, network="other")}
    asked = ["net", "torchvision:nothing", "--reports", str(tmp_path), "--keep", str(store)]
    assert survey.main(asked) == 0, "net is no network that could be built: it was taken from the file"
    assert list(survey.kept(store)) == ["net", "other", "torchvision:nothing"]
    store.write_text("no findings\n")
    assert survey.main(asked) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_calibrated_weights_make_the_logits_of_two_pictures_differ() -> None:
    model, side = surveyed.built("torchvision:mobilenet_v3_small")
    surveyed.calibrate(model, side)
    with torch.no_grad():
        one, other = model(torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3)))
    assert float((one - other).abs().max()) > 0.1 * float(one.abs().max())
    assert not model.training
