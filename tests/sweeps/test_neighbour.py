"""A neighbour is loud for its share of the time, on another processor, and gone afterwards."""

from __future__ import annotations

import itertools
import sys
import time

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.sweeps import neighbour


@given(st.floats(0.1, 0.9), st.integers(0, 9))
def test_bursts_take_their_share(share: float, seed: int) -> None:
    times = np.array(list(itertools.islice(neighbour.bursts(share, np.random.default_rng(seed)), 3000)))
    work_s, rest_s = times.sum(axis=0)
    assert work_s / (work_s + rest_s) == pytest.approx(share, abs=0.06)
    assert neighbour.LEAST_S <= times[:, 0].min() <= times[:, 0].max() <= neighbour.MOST_S * (1 + 1e-9)


@pytest.mark.parametrize("kind", neighbour.KINDS)
def test_it_lives_beside_and_is_gone_afterwards(kind: str) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with neighbour.neighbour(kind, 1.0):
        born: list[psutil.Process] = []
        until_s = time.monotonic() + 10
        while not born and time.monotonic() < until_s:  # on a busy machine it takes its time to become another program
            new = [child for child in psutil.Process().children() if child.pid not in before]
            born = [child for child in new if "spawn_main" in " ".join(child.cmdline())]
        assert len(born) == 1
    assert not born[0].is_running()


def test_a_command_runs_beside_it_and_its_exit_code_counts() -> None:
    assert neighbour.main(["--", sys.executable, "-c", "raise SystemExit(7)"]) == 7


@pytest.mark.parametrize(("words", "told"), [(["--share=0"], "share"), (["--share=2"], "share")])
def test_a_share_that_is_none_is_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = neighbour.main([*words, "--", sys.executable, "-c", ""])
    except SystemExit as ended:  # the parser's own
        code = int(str(ended.code))
    assert code == 2
    assert told in capsys.readouterr().err
    with pytest.raises(UsageError, match="silence"), neighbour.neighbour("silence"):
        pass


def test_a_command_that_does_not_exist_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert neighbour.main(["--", "no-such-command"]) == 2
    assert "no-such-command" in capsys.readouterr().err
