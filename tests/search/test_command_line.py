"""The words of ``python -m search``: defaults, checks, and that a user's mistake costs one line and nothing else."""

import shlex
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from search import command_line
from search.command_line import HELP
from search.records.request import OPTIONS, Request, folder_name


def request(*words: str) -> Request:
    return command_line.request(command_line.parse(words))


def test_no_words_ask_for_the_default_campaign() -> None:
    assert request() == Request()


def test_options_without_a_verb_mean_run() -> None:
    assert request("--network=resnet56") == replace(Request(), network="resnet56")


INT8 = "--precision=int8"


def test_layers_in_float_are_given_by_comma_or_one_by_one() -> None:
    repeated, by_comma = request(INT8, "--in-float=conv1", "--in-float=fc"), request(INT8, "--in-float=conv1,fc")
    assert repeated == by_comma
    assert repeated.layers_in_float == ("conv1", "fc")
    assert request().layers_in_float == ()


def test_every_option_has_a_help_text() -> None:
    assert set(HELP) == {field.name for field in OPTIONS} == {field.name for field in fields(Request)} - {"old"}


def test_the_command_of_a_fork_names_what_it_was_forked_from() -> None:
    asked = request("fork", "first one", "--budget=3")
    assert asked == Request(old="first one", budget=3.0)
    assert asked.command.startswith("python -m search fork 'first one' --device cpu"), "what equals a default is no less said"
    assert "--budget 3.0" in asked.command
    assert request(*shlex.split(asked.command)[3:]) == asked
    assert ("fork of", "first one") in asked.shown


@pytest.mark.parametrize(
    "words",
    [
        ("--max-drop=-1",),
        ("--max-drop=101",),
        ("--max-drop=nan",),
        ("--max-latency-ms=0",),
        ("--max-latency-ms=nan",),
        ("--trials=0",),
        ("--minutes=0",),
        ("--minutes=inf",),
        ("--minutes=1e300",),
        ("--max-predictor-error=nan",),
        ("--certainty=nan",),
        ("--budget=-1",),
        ("--budget=nan",),
        ("--proof-budget=-0.5",),
        ("--designs=0",),
        ("--designs=11",),
        ("--designs=501",),
        ("--designs=7", "--learn-from=README.md"),
        ("--seed=-1",),
        ("--space=cube",),
        ("--weights=/nowhere/weights.safetensors",),
        ("--name=a/b",),
        ("--name=..",),
        ("--name=",),
        ("--name=a\nb",),
    ],
    ids=" ".join,
)
def test_a_setting_that_makes_no_sense_is_refused_in_one_line(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refusal:
        request(*words)
    assert len(str(refusal.value).splitlines()) == 1


@given(st.text(min_size=1, max_size=8))
def test_a_campaign_name_is_always_one_plain_folder(name: str) -> None:
    try:
        accepted = folder_name(name)
    except UsageError:
        return
    assert (Path("reports") / accepted).parent == Path("reports")
    assert not accepted.startswith(".")


@given(
    st.builds(
        Request,
        trials=st.integers(1, 500),
        budget=st.floats(0, 50),
        max_drop=st.none() | st.floats(0, 100),
        max_latency_ms=st.none() | st.floats(0.001, 1e4),
        seed=st.integers(0, 2**31),
        network=st.sampled_from(["resnet20", "torchvision:resnet18", "my net.py:factory"]),
        name=st.none() | st.sampled_from(["a", "b-2"]),
    )
)
def test_the_command_that_is_printed_asks_for_the_same_campaign(asked: Request) -> None:
    words = shlex.split(asked.command)
    assert words[:4] == ["python", "-m", "search", "run"]
    assert request(*words[4:]) == asked


def test_a_drop_of_one_point_is_meant_when_nothing_is_asked_for() -> None:
    assert request().drop_limit_points == 1.0
    assert request("--max-drop=0.5").drop_limit_points == 0.5
    assert request("--max-latency-ms=2").drop_limit_points is None


def test_help_and_the_guide_tell_the_exit_codes() -> None:
    told = " ".join(command_line.parser().format_help().split())
    guide = (Path(__file__).parent.parent.parent / "docs" / "search.md").read_text()
    assert f"{command_line.LIMIT_MISSED} done, but no network found keeps" in told
    assert f"{command_line.LIMIT_MISSED} when no network found keeps `--max-drop`" in " ".join(guide.split())
    assert command_line.LIMIT_MISSED not in (0, 1, 2, 130)


def test_help_shows_every_option_with_its_default() -> None:
    shown = subprocess.run([sys.executable, "-m", "search", "run", "--help"], capture_output=True, text=True, check=True).stdout
    for field in OPTIONS:
        assert f"--{field.name.replace('_', '-')}" in shown
    assert "(default: resnet20)" in shown


def test_what_a_resumed_campaign_is_given_anew_replaces_what_it_was_asked_for() -> None:
    old = request("--trials=40", "--workers=2", "--network=resnet56")
    assert command_line.changed(old, command_line.parse(["resume", "one"])) == old
    more = command_line.changed(old, command_line.parse(["resume", "one", "--trials=60", "--dask=tcp://127.0.0.1:8786"]))
    assert more == replace(old, trials=60, workers=1, dask="tcp://127.0.0.1:8786")
    assert command_line.changed(more, command_line.parse(["resume", "one", "--workers=2", "--finalists=2"])) == replace(
        old, trials=60, finalists=2
    )
    with pytest.raises(UsageError, match="--finalists=-1"):
        command_line.changed(old, command_line.parse(["resume", "one", "--finalists=-1"]))
    with pytest.raises(UsageError, match="--trials=0"):
        command_line.changed(old, command_line.parse(["resume", "one", "--trials=0"]))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("f32", ("f32",)),
        ("bf16", ("bf16",)),
        ("int8", ("f32", "int8")),
        ("int8,f32", ("f32", "int8")),
        ("f32, int8 ,int8", ("f32", "int8")),
        ("bf16,int8", ("f32", "bf16", "int8")),
    ],
)
def test_int8_and_several_precisions_come_with_f32_which_is_counted_from(given: str, meant: tuple[str, ...]) -> None:
    asked = request(f"--precision={given}")
    assert asked.precisions == meant
    assert request(*shlex.split(asked.command)[4:]).precisions == meant, "as it is repeated"


@pytest.mark.parametrize("given", ["int4", "f32,int4", "f32,", ""])
def test_a_precision_that_there_is_not_is_one_line(given: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "search", f"--precision={given}", f"--reports={tmp_path}"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert "precision" in line
    assert "int8" in line, "says what there is"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["run", "groups"])
def test_an_onnx_file_is_refused_with_what_can_be_done_with_it(verb: str, tmp_path: Path) -> None:
    reports = (f"--reports={tmp_path}",) if verb == "run" else ()
    command = [sys.executable, "-m", "search", verb, "--network=model.onnx", *reports]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "error: network model.onnx is an ONNX file, which can be measured (pytest bench/ --network=model.onnx) but not trained, pruned or "
        "searched; give its code, --network=path/to/file.py:factory"
    ]
    assert not ended.stdout
