"""Figures read as people say them."""

import pytest

from search.report.figures import wording


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(1.5, "1.5 s"), (59.96, "60.0 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min"), (7322, "2 h 02 min")],
    ids=["seconds", "just below a minute", "minutes", "just below an hour", "hours"],
)
def test_durations_read_as_people_say_them(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (0.004, "0.00"),
        (-0.004, "0.00"),
        (-1.25, "−1.25"),
        (123.44, "123.4"),
        (1515.2, "1515"),
        (12345.6, "12\u202f346"),
        (float("nan"), "—"),
    ],
)
def test_numbers_have_a_real_minus_and_no_false_decimals(figure: float, shown: str) -> None:
    assert wording.number(figure) == shown
