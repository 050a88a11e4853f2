"""A campaign that lowers compiled cost, from the dense network to the report, by a stand-in for a compiler: nothing in it is measured."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from harness.devices import spec
from harness.devices.session import Device
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.sweeps.compiled import CompiledSweep
from search import verbs
from search.records import journal, outcome
from search.report.compiled import told
from search.space import compiling
from tests.bench.test_compiled import COMPILER
from tests.search.command import search, small_network

pytestmark = pytest.mark.timeout(600)  # a whole campaign, and a fork of it
LEAST = ("--dataset=digits", "--input-shape=1x16x16", "--trials=3", "--budget=0", "--proof-budget=0", "--chance-margin=0", "--max-drop=100")
LEAST += ("--folds=0", "--finalists=1")
COMPILED = ("--objective=compiled-cost", "--device=eights")
OF_TIME = re.compile(r"µs|\bms\b|[Ff]aster|[Ll]atenc|[Ss]peed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a network, its weights, and a device of which there is the compiler alone."""
    folder = tmp_path_factory.mktemp("home")
    small_network(folder)
    (folder / "eights.py").write_text(COMPILER)
    table = '[tool.espalier.devices.eights]\nruntime = "eights.py"\noptions = { version = "1" }\n'
    simulated = '[tool.espalier.devices.simulated]\nruntime = "simulated"\noptions = { kind = "ncs2", noise = 0.01 }\n'
    (folder / "pyproject.toml").write_text(table + simulated)
    return folder


@pytest.fixture(scope="module")
def finished(home: Path) -> Path:
    ended = search("run", *small_words(), *COMPILED, *LEAST, "--global-pruning", "--name=first", cwd=home)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^predicted compiled cost: ", ended.stdout, re.MULTILINE)
    said = ended.stdout.partition("plan: about")[2]
    assert not OF_TIME.search(without_how_to_measure(said)), OF_TIME.search(without_how_to_measure(said))
    return home / "reports" / "campaigns" / "first"


def small_words() -> tuple[str, str]:
    return "--network=small.py:small", "--weights=dense.safetensors"


def without_how_to_measure(text: str) -> str:
    """The text without the one sentence that says how latency is measured, as the page, the file and the terminal break it."""
    return re.sub(r"to\s+measure\s+latency,.*?--objective=latency", "", text, flags=re.DOTALL)


def test_the_recommended_cost_is_the_compilers_own_of_the_same_widths(
    home: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = told.load(finished).optimised
    monkeypatch.chdir(home)
    network = Network.by_name("small.py:small", _digits(), home / "dense.safetensors")
    with Device(spec.find("eights").with_options(compile_only=True)).open() as session:
        fresh = CompiledSweep(network, session, tmp_path / "fresh.json").config(best.contender.config)
    assert best.compiled.cost == fresh.cost
    assert f"| {fresh.cost:,}".replace(",", "\u202f" if fresh.cost >= 10_000 else "") in (finished / "report.md").read_text()


def _digits() -> object:
    from harness.networks import datasets
    from harness.networks.pictures import preparing

    return datasets.load("digits", asked=preparing.of_words("1x16x16", None, None, None, None))


def test_the_unpruned_networks_ratio_is_exactly_one_and_the_answers_is_below(finished: Path) -> None:
    found = told.load(finished)
    assert found.of_dense(found.dense) == 1.0
    assert found.of_dense(found.optimised) < 1.0
    row = next(line for line in (finished / "report.md").read_text().splitlines() if line.startswith("| dense "))
    assert "| 1.000 |" in row


def test_its_first_sentence_says_that_nothing_was_measured_and_how_to_measure(finished: Path) -> None:
    first = (finished / "report.md").read_text().split("\n\n")[1]
    assert first.startswith("Nothing here was measured: compiled cost is what the compiler of eights")
    assert "python -m search fork first --objective=latency" in first


def test_no_sentence_or_table_of_its_report_is_about_time_of_the_network(finished: Path) -> None:
    for name in ("report.md", "report.html"):
        text = without_how_to_measure((finished / name).read_text()).partition("<body>")[2] or (finished / name).read_text()
        found = OF_TIME.search(without_how_to_measure(text))
        assert found is None, text[max(found.start() - 200, 0) : found.end() + 100] if found else ""


def test_costs_predicted_and_compiled_have_a_column_each(finished: Path) -> None:
    heads = next(line for line in (finished / "report.md").read_text().splitlines() if line.startswith("| network |"))
    assert [one for one in map(str.strip, heads.split("|")) if "cost" in one] == ["compiled cost", "predicted compiled cost"]


def test_no_file_of_it_holds_a_compiled_cost_under_the_name_of_a_latency(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / outcome.JOURNAL).read_bytes().splitlines()]
    ran = [line for line in lines if line["kind"] == "finished"]
    assert ran
    assert all(line["latency_s"] is None and line["compiled_cost"] > 0 for line in ran)
    assert not (finished / outcome.MEASUREMENTS).exists()
    assert not (finished / outcome.PROOF).exists()
    assert [one.compiled_cost for one in journal.read(finished).finished] == [line["compiled_cost"] for line in ran]


def test_show_and_report_tell_the_same_from_disk(home: Path, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    shown, written = search("show", "first", cwd=home), search("report", "first", cwd=home)
    assert (shown.returncode, written.returncode) == (0, 0), shown.stderr + written.stderr
    assert shown.stdout == written.stdout
    assert "Nothing here was measured" in " ".join(shown.stdout.split())
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def test_what_is_about_measurements_says_in_words_why_there_are_none(home: Path, finished: Path) -> None:
    refused = search("explain", "--name=first", "--device=eights", *small_words(), "--dataset=digits", cwd=home)
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "lowered compiled cost" in refused.stderr
    assert "fork first --objective=latency" in refused.stderr


def test_a_killed_campaign_goes_on_without_repeating_a_trial_or_a_compilation(home: Path, finished: Path) -> None:
    """As kills leave it: the compared networks not yet compiled, and one of its copies of compilations not made either."""
    store = next((home / "reports" / "benchmarks" / "eights" / "compiled").glob("*.json"))
    compiled, tried = len(benchmark_json.read(store).compilations), (finished / outcome.JOURNAL).read_bytes()
    answer = told.load(finished).optimised.compiled
    for name in (outcome.CONTENDERS, outcome.COMPARED, compiling.HELD_OUT_COPY):
        (finished / name).unlink()
    ended = search("resume", "first", cwd=home)
    assert ended.returncode == 0, ended.stderr
    assert len(benchmark_json.read(store).compilations) == compiled
    lines = [json.loads(line) for line in (finished / outcome.JOURNAL).read_bytes().splitlines()]
    assert sum(line["kind"] == "started" for line in lines) == tried.count(b'"kind":"started"')
    assert told.load(finished).optimised.compiled == answer


def test_with_the_device_a_fork_takes_the_trials_over_and_measures(home: Path, finished: Path) -> None:
    tried = len([one for one in journal.read(finished).finished if one.outcome.ok])
    words = ("--objective=latency", "--device=simulated", "--name=measured", "--trials=1", "--proof-seeds=0", "--designs=14")
    ended = search("fork", "first", *words, "--max-predictor-error=0.9", cwd=home)
    assert ended.returncode == 0, ended.stderr
    taken = journal.read(home / "reports" / "campaigns" / "measured")
    assert len(taken.imported) == tried
    assert all(one.compiled_cost is None and 0 < one.latency_s < 1 for one in (*taken.imported, *taken.finished))


def test_an_export_names_its_values_by_what_they_are(home: Path, finished: Path) -> None:
    pytest.importorskip("optuna")
    ended = search("export", "first", f"--file={home / 'study.db'}", cwd=home)
    assert ended.returncode == 0, ended.stderr
    import optuna

    study = optuna.load_study(study_name="first", storage=f"sqlite:///{home / 'study.db'}")
    assert study.metric_names == ["compiled_cost", "drop_points"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device=cpu",), r"--objective=compiled-cost: cpu has no compiler .* one of: ncs2"),
        (("--device=ncs2", "--max-latency-ms=2"), r"--max-latency-ms=2.* is a latency, .* leave it out"),
        (("--device=ncs2", "--precision=f32,int8"), r"--precision=f32,int8: .* leave --precision out"),
        (("--device=ncs2", "--precision=int8"), r"--precision=int8: .* leave --precision out"),
        (("--device=ncs2", "--input-size=16,24"), r"--input-size=16,24: .* one size; leave it out"),
        (("--device=ncs2", "--compiled-for=jetson"), r"--compiled-for=jetson: .* leave it out"),
        (("--device=ncs2", "--designs=40"), r"--designs is about measuring"),
        (("--device=ncs2", "--rounds=40"), r"--rounds is about measuring"),
    ],
    ids=lambda given: given if isinstance(given, str) else given[-1],
)
def test_what_contradicts_compiled_cost_is_refused_in_one_line_before_anything_is_done(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert verbs.main(["run", "--objective=compiled-cost", *words]) == 2
    told_line = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(said, told_line), told_line
    assert not (tmp_path / "reports").exists()


def test_a_rival_that_lowers_another_kind_of_cost_is_refused(home: Path, finished: Path) -> None:
    refused = search("run", "--device=simulated", "--rival=first", *small_words(), *LEAST, cwd=home)
    assert refused.returncode == 2
    assert "--rival=first lowers compiled-cost, this campaign latency; name one with the same --objective" in refused.stderr


def test_an_objective_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["run", "--objective=energy"]) == 2
    assert "--objective=energy: choose latency or compiled-cost" in capsys.readouterr().err


def test_a_campaigns_broken_part_is_named_in_one_line(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = tmp_path / "campaigns" / "first"
    shutil.copytree(finished, copied)
    (copied / outcome.COMPARED).write_text("{")
    assert verbs.main(["show", "first", f"--reports={tmp_path}"]) == 2
    line = capsys.readouterr().err.strip().splitlines()
    assert len(line) == 1
    assert "run: python -m search resume first" in line[0]
