"""Where no terminal shows a bar, a line a minute says how far a step is and how long it will take."""

import re
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.progress import LEAST_SHARE, Lines, clock, sentence

pytest_plugins = ["pytester"]

STEPPING = """
import time
from harness.progress import shown
def test_it(pytestconfig):
    with shown(pytestconfig, "measuring", every_s={every_s}) as advance:
        for done in range(1, 5):
            time.sleep(0.01)
            advance(done, 4)
"""


@given(st.floats(1, 1e5), st.floats(LEAST_SHARE, 0.99))
def test_what_is_left_is_what_the_rest_takes_at_the_same_speed(elapsed_s: float, share: float) -> None:
    told = sentence("search", elapsed_s, share)
    assert told.endswith(f"after {clock(elapsed_s)}, about {clock(elapsed_s * (1 - share) / share)} left")


def test_a_step_that_is_done_or_has_not_begun_promises_nothing() -> None:
    assert sentence("search", 70, 0) == "  search: 0% after 70 s"
    assert sentence("search", 130, 1, "trial 7 again, tune") == "  search: 100% after 2 min 10 s (trial 7 again, tune)"


def test_steps_of_one_campaign_share_the_minute() -> None:
    said: list[str] = []
    lines = Lines(said.append, every_s=3600)
    for done in range(1000):
        lines.at("search", perf_counter(), done, 1000)
        lines.at("proof", perf_counter(), done, 1000)
    assert said == []
    lines.every_s = 0.0
    lines.at("search", perf_counter() - 60, 1, 4)
    assert said == ["  search: 25% after 60 s, about 3 min 00 s left"]


@pytest.mark.parametrize(("every_s", "least"), [(0.0, 4), (3600.0, 0)])
def test_measuring_in_a_pytest_of_its_own_tells_on_the_error_stream(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, every_s: float, least: int
) -> None:
    pytester.makepyfile(STEPPING.format(every_s=every_s))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    ended = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    assert ended.ret == 0
    found = re.findall(r"^  measuring: \d+% after \d+ s", ended.stderr.str(), re.MULTILINE)
    assert len(found) == least
