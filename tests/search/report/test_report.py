import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import CampaignError
from search.experiment import targets as experiment_targets
from search.race import rehearsal
from search.race.rehearsal import Rehearsal
from search.report import report, sentences, summary
from search.report.compared import Compared
from search.report.figures import wording
from search.report.summary import Summary
from search.report.threats import threats
from tests.search.report.altered import change


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summary.load(rehearsal.write(tmp_path_factory.mktemp("campaigns") / "one", Rehearsal(simulated=False)))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    nothing = Rehearsal(held_out=0, published=False, profiled=False, on_device=False, removes=False)
    return summary.load(rehearsal.write(tmp_path_factory.mktemp("campaigns") / "bare", nothing))


@pytest.fixture(scope="module")
def files(told: Summary) -> tuple[str, str]:
    html, markdown = report.write(told)
    return html.read_text(), markdown.read_text()


@pytest.fixture(scope="module")
def bare_files(bare: Summary) -> tuple[str, str]:
    html, markdown = report.write(bare)
    return html.read_text(), markdown.read_text()


@pytest.fixture(scope="module")
def page(files: tuple[str, str]) -> str:
    return files[0]


@pytest.fixture(scope="module")
def text(files: tuple[str, str]) -> str:
    return files[1]


def printed(told: Summary, width: int) -> str:
    stream = StringIO()
    report.print_summary(Console(file=stream, width=width), told)
    return stream.getvalue()


class Page(HTMLParser):
    """Identifiers, references, and the text of every element, as a browser without style would see them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.references: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, given in attrs:
            if name == "id" and given:
                self.ids[given] += 1
            if name in ("href", "src", "xlink:href", "action", "srcset", "clip-path") and given:
                self.references.append((name, given))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def plain(self) -> str:
        return re.sub(r"[\s\u00a0\u202f]+", " ", "".join(self.words)).replace("\u2060", "")


def test_page_markdown_and_terminal_show_the_same_figures(told: Summary, page: str, text: str) -> None:
    unit, terminal, plain = sentences.unit_for(told), printed(told, 200), Page(page).plain
    for entry in told.compared:
        latency, test = entry.measurement.latency, entry.contender.test
        for figure in (unit.told(latency.median_s), unit.interval(*latency.interval_s), wording.percent(test.top1_ratio)):
            assert figure in plain
            assert figure in text
            assert figure in terminal
    for sentence in (sentences.headline(told), sentences.rival_sentence(told), sentences.error_sentence(told)):
        assert sentence in plain
        assert sentence in text
        assert sentence in re.sub(r"\s+", " ", terminal)


def test_the_answer_comes_first_and_names_everything(told: Summary) -> None:
    sentence = sentences.headline(told)
    assert re.fullmatch(
        r"resnet20 runs \d\.\d\d× faster than dense \(median [\d.]+ µs, 95 % interval [\d.]+–[\d.]+ µs, 600 samples; dense [\d.]+ µs\) "
        r"at a test top-1 drop of \d\.\d\d points \(95 % interval −?\d\.\d\d to \d\.\d\d\) on cpu, f32\.",
        sentence,
    )


def test_the_page_refers_to_nothing_outside_itself_and_to_nothing_that_is_not_there(page: str) -> None:
    found = Page(page)
    assert [name for name, count in found.ids.items() if count > 1] == []
    for _, target in found.references:
        inside = re.fullmatch(r"#(.+)|url\(#(.+)\)|data:,", target)
        assert inside, target
        if target != "data:,":
            assert (inside[1] or inside[2]) in found.ids
    assert "http" not in re.sub(r'http-equiv="', "", page)
    assert "<script" not in page
    assert "@import" not in page


def test_every_figure_and_the_comparison_carry_a_command(told: Summary, page: str) -> None:
    figures = re.findall(r"<figure>.*?</figure>", page, flags=re.S)
    assert len(figures) == 3
    assert all("python -m search report one" in figure for figure in figures)
    assert page.count(told.outcome.command) >= 2


def test_figures_keep_their_text_and_follow_the_colour_scheme(page: str) -> None:
    figures = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.S))
    assert "predicted latency (µs)" in figures
    assert "measured latency, median (µs)" in figures
    assert "var(--optimised, #00795c)" in figures
    own = set(re.findall(r"(?<!, )#[0-9a-f]{6}\b", figures))
    assert own <= {"#000000", "#ffffff"}, "a colour that no scheme changes"


def test_measured_and_predicted_figures_stand_in_columns_of_their_own(told: Summary) -> None:
    headings = [column.heading for column in report.tables.compared(told).columns]
    assert sum("measured" in heading for heading in headings) == 1
    assert sum("predicted" in heading for heading in headings) == 1
    assert not any("measured" in heading and "predicted" in heading for heading in headings)


def test_simulated_figures_say_so_everywhere(bare: Summary, bare_files: tuple[str, str]) -> None:
    page, text = bare_files
    plain, terminal = Page(page).plain, printed(bare, 120)
    for shown in (plain, text, terminal):
        assert "SIMULATED: resnet20 runs" in shown
        assert "measured latency" not in shown
    assert "Every latency is SIMULATED" in text
    assert "SIMULATED latency, median (µs)" in page
    assert all("SIMULATED" in c.heading for c in report.tables.compared(bare).columns if "latency" in c.heading)


def test_what_is_missing_is_said_in_words(bare_files: tuple[str, str]) -> None:
    text = bare_files[1]
    assert "there is no published configuration for this network" in text
    assert "The predictor's error is unknown: no held-out network was measured." in text
    assert "gave no times per layer" in text
    assert "removes 0 with their branch" in text
    assert "not asked" in text
    for junk in ("None", "nan", "inf ", "Decimal", "Outcome."):
        assert junk not in text


def test_names_cannot_break_the_page_or_the_markdown_tables(told: Summary) -> None:
    hostile = '<script>alert("1")</script>|a\nb'
    entry = told.compared[1]
    renamed = replace(entry, contender=replace(entry.contender, name=hostile, source=hostile))
    changed = replace(told, compared=(told.compared[0], renamed, *told.compared[2:]), folder=told.folder.parent / "hostile")
    changed.folder.mkdir()
    page, text = (path.read_text() for path in report.write(changed))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def faster(entry: Compared, factor: float) -> Compared:
    latency = replace(entry.measurement.latency, samples_s=tuple(sample / factor for sample in entry.measurement.latency.samples_s))
    return replace(entry, measurement=replace(entry.measurement, latency=latency))


def test_a_machine_in_another_state_than_the_predictors_is_told(told: Summary) -> None:
    assert not [threat for threat in threats(told) if "another state" in threat]
    slow = [threat for threat in threats(change(told, "", lambda entry: faster(entry, 0.5))) if "another state" in threat]
    assert len(slow) == 1
    assert "ran slower than predicted (median error −50 %)" in slow[0]


def test_a_plain_network_that_beats_the_answer_is_told(told: Summary) -> None:
    assert not [threat for threat in threats(told) if "ran faster and answered" in threat]
    beaten = change(told, "uniform", lambda entry: faster(entry, 4))
    assert [threat for threat in threats(beaten) if threat.startswith("uniform ran faster and answered at least as many")]


def test_a_report_written_twice_is_the_same(told: Summary, page: str) -> None:
    assert report.write(told)[0].read_text() == page


def test_a_report_that_cannot_be_written_leaves_nothing_half_done(bare: Summary) -> None:
    html, markdown = report.write(bare)
    before = markdown.read_bytes()
    html.unlink()
    html.mkdir()
    try:
        with pytest.raises(CampaignError, match=r"cannot write .*report\.html"):
            report.write(bare)
    finally:
        html.rmdir()
    assert markdown.read_bytes() == before
    assert [path.name for path in bare.folder.iterdir() if path.name.endswith(".part")] == []


def test_the_terminal_table_fits_80_columns(told: Summary, page: str) -> None:
    shown = printed(told, 80)
    assert all(len(line) <= 80 for line in shown.splitlines() if not line.startswith("/"))
    assert "…" not in shown
    assert str(told.folder / "report.html") in shown


def test_a_crashed_trial_is_told_with_its_reason(told: Summary, text: str) -> None:
    crashed = [trial for trial in told.trials if not trial.outcome.ok]
    assert len(crashed) == 1
    assert f"crashed ({crashed[0].outcome.reason})" in text
    assert "1 trial crashed" in text


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_too_few_blocks_for_a_verdict_are_told_and_not_fatal(tmp_path: Path, blocks: int) -> None:
    folder = rehearsal.write(tmp_path / "campaigns" / "few", Rehearsal(rivals=True, measured_blocks=blocks))
    few = summary.load(folder)
    report.write(few)
    assert "too few blocks" in (folder / "report.html").read_text(encoding="utf-8")
    assert {entry.against_dense.outcome for entry in few.compared if entry.against_dense} == {"cannot tell"}
    assert all("cannot tell" in target.seen for target in experiment_targets.targets(few, None) if target.aim.startswith("better than"))


def test_noise_is_marked_and_explained(told: Summary, tmp_path: Path) -> None:
    copy = tmp_path / "noisy"
    copy.mkdir()
    for path in told.folder.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    document = json.loads((copy / "proof.json").read_text())
    latency = document["benchmarks"][3]["extra_info"]["espalier"]["latency"]
    latency["preempted"] = list(range(100))
    (copy / "proof.json").write_text(json.dumps(document))
    page, text = (path.read_text() for path in report.write(summary.load(copy)))
    assert "1 of 6 measurements is noisy, optimised most of all (16.7% of the samples were preempted)" in text
    assert "n = 600, noisy" in page or "n = 600, noisy" in page


def test_a_rehearsal_is_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearsal.main([str(tmp_path / "campaign")]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "campaign" / name) for name in ("report.html", "report.md")]
    assert rehearsal.main([]) == 2
    assert "give the folder" in capsys.readouterr().err
