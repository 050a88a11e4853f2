import pytest

from harness.latency.predictor import LatencyPredictor
from harness.records import benchmark_json
from search import explain, explain_run, rehearsal
from search.explain import Explanation


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    folder = rehearsal.write(tmp_path_factory.mktemp("explained") / "one")
    file = benchmark_json.read(folder / "measurements.json")
    return explain.of(LatencyPredictor.fit(file.architectures[0], file.measurements), None, {}, ())


def test_every_group_gets_advice_and_vain_ones_come_last(told: Explanation) -> None:
    assert {one.group for one in told.advice} == set(told.staircase.groups)
    assert [one.in_vain for one in told.advice] == sorted(one.in_vain for one in told.advice)


def test_the_markdown_holds_every_row_and_says_what_is_missing(told: Explanation) -> None:
    text = explain_run.markdown(told)
    assert told.headline in text
    assert all(note in text for note in told.notes)
    for _, table in explain.tables(told):
        assert all(row[0].text in text for row in table.rows)
    assert "Accuracy was not analysed" in text


def test_a_folder_without_a_staircase_predicts_it(told: Explanation) -> None:
    assert told.series == "predicted"
