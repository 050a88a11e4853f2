"""The sentences about a campaign claim what its verdicts and drops say, with the right sign."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from search.records.losses.certainty import Evidence
from search.records.losses.drop import Drop, Paired
from search.report import report, sentences, tables
from search.report.compared import SpeedUp
from search.report.summary import Summary
from tests.search.report.altered import change


def test_an_answer_that_equals_the_published_network_is_called_that(told: Summary) -> None:
    assert told.off_the_shelf is not None
    config = told.off_the_shelf.contender.config
    equal = change(told, "optimised", lambda entry: replace(entry, contender=replace(entry.contender, config=config)))
    assert "for it keeps the very same channels" in sentences.rival_sentence(equal)
    assert "for it keeps" not in sentences.rival_sentence(told)


def test_an_answer_that_is_the_uniform_cut_is_called_that(told: Summary) -> None:
    assert sentences.twins_sentence(told) == ""
    digest = told.optimised.contender.artefact_digest
    same = change(told, "uniform", lambda entry: replace(entry, contender=replace(entry.contender, artefact_digest=digest)))
    said = "Optimised is the same network as uniform: the search found nothing better than a uniform cut."
    assert sentences.twins_sentence(same) == said
    digest = told.dense.contender.artefact_digest
    uncut = change(told, "uniform", lambda entry: replace(entry, contender=replace(entry.contender, artefact_digest=digest)))
    assert sentences.twins_sentence(uncut) == "Dense is the same network as uniform: one network, one figure."


def test_torch_pruning_s_networks_are_told_one_by_one_with_speed_and_loss(told: Summary) -> None:
    assert sentences.global_pruning_sentence(told) == ""
    judged = SpeedUp("dense", 1.6, 1.5, 1.7, "faster", 0.1)

    def renamed(name: str) -> Summary:
        return change(
            told,
            "uniform",
            lambda entry: replace(
                entry,
                contender=replace(entry.contender, name=name, role="global-pruning"),
                against_dense=judged,
                test_drop=Drop(0.82, 0.1, 1.5),
            ),
        )

    cut = "Global pruning by Torch-Pruning ({}), cut to the same latency:"
    said = f"{cut} runs 1.60× faster than dense at a test top-1 drop of 0.82 points."
    for word in ("magnitude", "taylor"):
        assert sentences.global_pruning_sentence(renamed(f"global-{word}")) == said.format(word)


VERDICTS = (
    ("faster", 2.0, "runs 2.00× faster than dense"),
    ("slower", 0.5, "runs 2.00× slower than dense"),
    ("same", 1.001, "runs as fast as dense"),
    ("cannot tell", 1.02, "cannot be told from dense in speed"),
)


@pytest.mark.parametrize(("outcome", "times", "claim"), VERDICTS, ids=[outcome for outcome, _, _ in VERDICTS])
def test_the_claim_is_the_verdict(told: Summary, outcome: str, times: float, claim: str) -> None:
    judged = SpeedUp("dense", times, 0.9 * times, 1.1 * times, outcome, 0.17)
    changed = change(told, "optimised", lambda entry: replace(entry, against_dense=judged))
    assert sentences.headline(changed).startswith(f"resnet20 {claim} (median")
    cell = next(row[2] for row in tables.compared(changed).rows if row[0].text == "optimised")
    assert outcome in cell.text
    assert (cell.note == "17.0 % would show") == (outcome == "cannot tell")


@pytest.mark.parametrize(
    ("drop", "loss"),
    [
        (Drop(0.5, -1, 2), "at a test top-1 drop of 0.50 points"),
        (Drop(-0.5, -2, 1), "at a test top-1 0.50 points above dense"),
        (Drop(0.0, -1, 1), "at an unchanged test top-1"),
    ],
    ids=["lost", "won", "kept"],
)
def test_the_loss_is_told_with_its_sign(told: Summary, drop: Drop, loss: str) -> None:
    assert loss in sentences.headline(change(told, "optimised", lambda entry: replace(entry, test_drop=drop)))


def test_a_limit_that_nothing_kept_is_no_success(told: Summary) -> None:
    assert not told.limit_missed
    over = change(told, "optimised", lambda entry: replace(entry, validation_drop=Drop(1.5, 1, 2)))
    assert not over.limit_missed, "another found network keeps it"
    missed = change(over, "candidate", lambda entry: replace(entry, validation_drop=Drop(1.8, 1, 2)))
    assert missed.limit_missed
    said = "No network found keeps the limit of 1 point on validation; the nearest: resnet20 runs "
    assert sentences.headline(missed).startswith(said)
    assert "missed on validation" in sentences.limit_sentence(missed)
    bolder = change(missed, "candidate", lambda entry: replace(entry, validation_drop=Drop(1.2, 1, 2)))
    assert "; the chosen one all the same: resnet20 runs " in sentences.headline(bolder), "as older programs chose"
    dense = told.dense.contender.config
    nobody = change(told, "optimised", lambda entry: replace(entry, contender=replace(entry.contender, config=dense)))
    nobody = change(nobody, "candidate", lambda entry: replace(entry, validation_drop=Drop(1.8, 1, 2)))
    assert nobody.limit_missed, "the unpruned network is no answer"
    front = replace(missed, outcome=replace(missed.outcome, settings=(*missed.outcome.settings, ("--pareto", "True"))))
    latency = replace(missed, outcome=replace(missed.outcome, max_drop_points=None, max_latency_s=1.0))
    for other in (front, latency):
        assert not other.limit_missed
        assert sentences.headline(other).startswith("resnet20 runs ")


LIMITS = (
    (0.5, 0.5, "drop of at most 1 point: kept on validation and test"),
    (0.5, 1.5, "drop of at most 1 point: kept on validation, missed on test"),
    (1.5, 0.5, "drop of at most 1 point: missed on validation, kept on test"),
    (1.5, 1.5, "drop of at most 1 point: missed on validation and test"),
)


@pytest.mark.parametrize(("validation", "test", "said"), LIMITS, ids=[said.partition(": ")[2] for _, _, said in LIMITS])
def test_limits_are_judged_on_both_splits(told: Summary, validation: float, test: float, said: str) -> None:
    drops = {"validation_drop": Drop(validation, -1, 3), "test_drop": Drop(test, -1, 3)}
    assert sentences.limit_sentence(change(told, "optimised", lambda entry: replace(entry, **drops))) == said


def test_a_latency_limit_is_judged_on_the_measured_median(told: Summary) -> None:
    median_s = told.optimised.measurement.latency.median_s
    for limit_s, said in ((1.01 * median_s, "kept"), (0.99 * median_s, "missed")):
        asked = replace(told, outcome=replace(told.outcome, max_drop_points=None, max_latency_s=limit_s))
        assert sentences.limit_sentence(asked).endswith(f": {said}")
    assert sentences.limit_sentence(replace(told, outcome=replace(told.outcome, max_drop_points=None))) == "none was set"


def test_the_probability_stands_beside_the_chosen_one_in_words_where_it_is_too_small(told: Summary) -> None:
    known = Evidence(Paired(2.0, 6.0, 280), folds=(Paired(1.0, 6.0, 280),))
    judged = change(told, "optimised", lambda entry: replace(entry, evidence=known))
    chance = f"{known.chance_within(1.0):.2f}"
    for asked in (0.5, 0.99):
        wanted = replace(judged, outcome=replace(judged.outcome, certainty=asked))
        said = sentences.limit_sentence(wanted)
        assert f"with a probability of {chance} its true drop is within it, by 280 validation pictures and 280 training pictures" in said
        assert (f"less than the {asked:g} asked for" in said) == (asked == 0.99)
        table = tables.compared(wanted)
        place = [column.heading for column in table.columns].index("sure of ≤ 1")
        console = Console(width=80, file=io.StringIO(), record=True)
        report.print_summary(console, wanted)
        shown = console.export_text()
        assert all(entry.contender.name in shown for entry in wanted.compared), "the names keep their place on 80 columns"
        assert f"probability of {chance}" in " ".join(shown.split())
        cell = next(row[place] for row in table.rows if row[0].text == "optimised")
        assert (cell.text, cell.note, cell.tone) == (chance, "by 560 pictures", "good" if asked == 0.5 else "bad")
    assert "probability" not in sentences.limit_sentence(told), "older campaigns do not say"


@pytest.mark.parametrize("outcome", ["faster", "slower", "same"])
def test_a_factor_of_so_few_loads_that_it_has_no_interval_is_told_without_one(outcome: str) -> None:
    assert sentences.verdict_interval(SpeedUp("dense", 0.5, 0.0, math.inf, outcome, math.inf)) == ""
