"""What a split can resolve is said before a campaign begins, with what is done about it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.accuracy import Accuracy
from harness.training.recipes import dense_recipe
from search.records import resolution
from search.records.request import Request
from search.records.resolution import Resolution

DIGITS = Accuracy(272, 280)


@given(st.integers(20, 20_000), st.floats(0.5, 1.0), st.floats(0, 5), st.floats(0.5, 0.99))
def test_more_pictures_resolve_more_and_more_certainty_needs_more(pictures: int, top1: float, limit: float, certainty: float) -> None:
    found = Resolution.of(Accuracy(int(top1 * pictures), pictures), limit, certainty)
    assert found.with_more(pictures).margin_points <= found.margin_points
    assert found.with_more(pictures).aim_points >= found.aim_points >= 0
    surer = Resolution(found.pictures, found.differing_ratio, limit, min(certainty + 0.005, 0.999))
    assert surer.needed >= found.needed
    assert surer.margin_points >= found.margin_points
    assert not surer.resolves or found.resolves


def test_digits_do_not_resolve_one_point_and_say_so() -> None:
    found = Resolution.of(DIGITS, 1.0, 0.9)
    assert not found.resolves
    for part in ("280 validation pictures tell a drop to ±1.3 points", "a limit of 1 point needs a drop seen of at most", "about 1,900"):
        assert part in found.sentence
    assert found.largest_seen_points < 0 < Resolution.of(DIGITS, 3.0, 0.9).largest_seen_points
    assert Resolution.of(Accuracy(19_600, 20_000), 1.0, 0.9).resolves


def test_a_limit_of_nothing_is_resolved_by_no_number_of_pictures() -> None:
    found = Resolution.of(DIGITS, 0.0, 0.9)
    assert (found.needed, found.resolves) == (0, False)
    assert "or about" not in found.sentence


@pytest.mark.parametrize(
    ("request_", "described", "said"),
    [
        (Request(), None, "4 × 280 training pictures too"),
        (Request(folds=1), None, "1 × 280 training pictures too"),
        (Request(folds=0), None, "a slower, surer network is taken (--folds=4"),
        (Request(folds=0, objective="compiled-cost"), None, "a dearer, surer network is taken (--folds=4"),
        (Request(weights=Path("theirs.pt")), None, "two more seeds"),
        (Request(weights=Path("ours.pt"), validation_from="train"), dense_recipe("digits"), "4 × 280"),
        (Request(weights=Path("ours.pt"), validation_from="test"), dense_recipe("digits"), "two more seeds"),
    ],
    ids=["own", "one fold", "none", "none, compiled", "theirs", "ours", "ours, on other pictures"],
)
def test_what_is_done_about_it_is_what_is_possible(request_: Request, described: object, said: str) -> None:
    found = resolution.plan(request_, described, DIGITS, 1157)  # type: ignore[arg-type]
    assert found is not None
    assert len(found.sentences) == 2
    assert said in found.sentences[1]
    enough = resolution.plan(request_, described, Accuracy(39_900, 40_000), 100_000)  # type: ignore[arg-type]
    assert enough is not None
    assert len(enough.sentences) == 1


def test_where_only_a_latency_is_asked_for_there_is_no_limit_to_resolve() -> None:
    assert resolution.plan(Request(max_latency_ms=1.0), None, DIGITS, 1157) is None
