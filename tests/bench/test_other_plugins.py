"""What our suites cannot be measured beside is refused in words; what lies in a user's own folder of that name is not ours."""

from collections.abc import Callable
from pathlib import Path

import pytest

# pytester forgets what is imported first inside of a run, and torch cannot be imported twice
import torch._dynamo  # noqa: F401

import harness.pipeline  # noqa: F401
from harness.runner.elsewhere import suites

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent.parent
LATENCY = str(ROOT / "bench" / "test_network_latency.py")
CODSPEED = "def pytest_addoption(parser):\n    parser.addoption('--codspeed', action='store_true')\n"  # as pytest-codspeed calls it
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Function: pytest with these words, in this process, in a folder of its own."""
    monkeypatch.delenv("CODSPEED_ENV", raising=False)
    words = ("-p", "no:cacheprovider", "-p", "harness.runner.plugin", "-p", "no:espalier", "-c", str(ROOT / "pyproject.toml"))
    return lambda *more: pytester.runpytest_inprocess(*words, *more)


@pytest.mark.parametrize("suite", [LATENCY, "."], ids=["named", "found"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-p", "no:benchmark"), "pytest-benchmark, which is not loaded; leave -p no:benchmark out"),
        (("-p", "timer", "--codspeed"), "CodSpeed times this process, and our samples come from a device's; leave --codspeed out"),
    ],
    ids=["no recorder", "codspeed"],
)
def test_suites_are_refused_where_nothing_would_be_recorded(
    run: Run, pytester: pytest.Pytester, words: tuple[str, ...], told: str, suite: str
) -> None:
    pytester.makepyfile(timer=CODSPEED)
    pytester.syspathinsert()
    pytester.path.joinpath("ours").symlink_to(ROOT / "bench")
    ended = run(suite, "--device=simulated", "-k", "test_network_latency", *words)
    assert ended.ret in (2, 3), ended.stdout.str()  # 3: pytester does not know a run that ends while it is configured
    assert told in ended.stdout.str() + ended.stderr.str()
    assert "INTERNALERROR" not in ended.stdout.str()


def test_codspeeds_variable_alone_refuses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODSPEED_ENV", "1")
    ended = run(LATENCY, "--device=simulated", "--collect-only")
    assert ended.ret == 0, ended.stdout.str() + ended.stderr.str()


def test_a_users_folder_called_bench_is_not_ours(run: Run, pytester: pytest.Pytester) -> None:
    theirs = pytester.mkdir("bench") / "test_theirs.py"
    parameters = "@pytest.mark.parametrize('device', ['board'])"
    theirs.write_text(f"import pytest\n\n{parameters}\ndef test_it(device):\n    assert device == 'board'\n")
    for words in ((), ("--compile-only",), ("-p", "no:benchmark")):
        ended = run(str(theirs), "--device=simulated", *words)
        ended.assert_outcomes(passed=1)


def test_ours_are_told_by_their_place(tmp_path: Path) -> None:
    assert suites.is_own(ROOT / "bench")
    assert suites.is_own(Path(LATENCY))
    assert not suites.is_own(ROOT / "tests" / "bench" / "test_gate.py")
    (tmp_path / "link").symlink_to(ROOT / "bench")
    assert suites.is_own(tmp_path / "link" / "test_regression.py")
