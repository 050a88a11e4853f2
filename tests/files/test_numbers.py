"""Numbers are written plainly, finite and within their range; whatever else Python reads as a number is refused."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.files import numbers
from harness.files.numbers import OPTIONS, Range

OTHERS = ("1_0", " 3", "3 ", "٣", "１", "0x10", "1e", "", "+", "--1", "nan", "inf", "-inf", "1e999", "9" * 19, "9" * 400, "1\n")


@given(st.integers(-(10**17), 10**17))
def test_integers_are_read_as_they_are_written(number: int) -> None:
    assert numbers.whole(str(number)) == number
    assert numbers.number(str(number)) == float(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_finite_numbers_are_read_as_they_are_written(number: float) -> None:
    assert numbers.number(repr(number)) == number


@pytest.mark.parametrize("text", [one for one in OTHERS if not one.startswith("9")], ids=repr)
def test_what_is_written_otherwise_is_no_number(text: str) -> None:
    for read in (numbers.whole, numbers.number):
        with pytest.raises(argparse.ArgumentTypeError, match="give plain digits"):
            read(text)


@given(st.text(max_size=12))
def test_whatever_is_given_is_a_number_in_range_or_one_line(text: str) -> None:
    for name, allowed in OPTIONS.items():
        found, told = None, ""
        try:
            found = numbers.option(name)(text)
        except argparse.ArgumentTypeError as refused:
            told = str(refused)
        assert allowed.holds(found) if found is not None else len(told.splitlines()) == 1


@pytest.mark.parametrize("name", OPTIONS)
def test_every_range_holds_its_ends_and_nothing_beyond(name: str) -> None:
    allowed = OPTIONS[name]
    assert allowed.holds(allowed.most)
    assert allowed.holds(allowed.least) != allowed.above
    for beyond in (allowed.most * 2 + 1, allowed.least - 1, float("nan"), float("inf"), 10**400):
        assert not allowed.holds(beyond)
    assert f"{allowed.most:g}" in allowed.words.replace("000000", "e+06") or str(int(allowed.most)) in allowed.words


def test_a_range_says_what_to_give() -> None:
    assert Range(0, 10, whole=True).words == "a whole number from 0 to 10"
    assert Range(0, 0.5, above=True, unit="s").words == "a number above 0, at most 0.5 s"
