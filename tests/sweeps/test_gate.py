"""The gate is put to planted changes: what is right, wrong and undecided, and how that is counted."""

import pytest

from harness.latency.verdict.finding import Finding
from harness.latency.verdict.judgement import Outcome
from harness.sweeps import gate
from harness.sweeps.gate import RIGHT, UNDECIDED, WRONG, Asked


def asked(change, outcome, ratio=None):
    ratio = 1 + change if ratio is None else ratio
    return Asked(change, Finding("x", outcome, ratio, ratio - 0.01, ratio + 0.01, 0.03, ""))


@pytest.mark.parametrize(
    ("change", "outcome", "ratio", "verdict", "limit"),
    [
        (0.05, Outcome.SLOWER, None, RIGHT, RIGHT),
        (0.05, Outcome.FASTER, None, WRONG, WRONG),
        (0.05, Outcome.SAME, None, WRONG, WRONG),
        (0.05, Outcome.CANNOT_TELL, None, UNDECIDED, UNDECIDED),
        (0.02, Outcome.SLOWER, None, RIGHT, RIGHT),
        (0.02, Outcome.SLOWER, 1.05, RIGHT, WRONG),
        (-0.02, Outcome.SLOWER, 1.05, WRONG, WRONG),
        (-0.04, Outcome.FASTER, None, RIGHT, RIGHT),
        (0.005, Outcome.SAME, None, RIGHT, RIGHT),
        (-0.04, Outcome.CANNOT_TELL, None, UNDECIDED, RIGHT),
    ],
)
def test_a_verdict_and_a_limit_are_held_against_what_was_planted(change, outcome, ratio, verdict, limit) -> None:
    found = asked(change, outcome, ratio)
    assert (found.verdict, found.limit) == (verdict, limit)


def test_the_rates_add_up() -> None:
    told = gate.sentence([asked(0.05, Outcome.SLOWER), asked(0.05, Outcome.CANNOT_TELL), asked(0.032, Outcome.SLOWER, 1.02)])
    assert told == (
        "verdict 2 right (66.7%), 0 wrong (0.0%), 1 cannot tell (33.3%); "
        "limit 1 right, 1 wrong, 1 cannot tell, 1 of the wrong within 1% of it"
    )


def test_the_command_prints_both_ways_and_refuses_nonsense(capsys) -> None:
    assert gate.main(["--pairs=2", "--machine=quiet"]) == 0
    told = capsys.readouterr().out
    assert "SIMULATED: 2 pairs" in told
    assert told.count("quiet") == 2
    assert gate.main(["--pairs=0"]) == 2
