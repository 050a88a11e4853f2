"""How often the verdict errs is counted on simulated storms and real machines, in runs that may be ended and go on."""

import json

import pytest

from harness.devices.measure import measure_interleaved
from harness.devices.session import Device
from harness.errors import UsageError
from harness.latency.verdict.calibration import Trial, calibrate
from harness.latency.verdict.judgement import Outcome, verdict
from harness.latency.verdict.machine_state import comparable
from harness.sweeps.calibration import main
from harness.sweeps.planted import LAYERS, PLANTED, chain, measuring, protocol
from harness.sweeps.storms import STORMS
from harness.sweeps.tally import Tally, read

BY_NAME = {storm.name: storm for storm in STORMS}
SEED = 5  # neither tuned on nor reported


@pytest.mark.parametrize("name", ["quiet", "unequal loads", "deep", "loud, unequal loads"])
def test_through_a_storm_equal_networks_stay_equal_and_slower_ones_are_found(name):
    with Device(BY_NAME[name].device(SEED)).open() as session:
        found = calibrate(measuring(session, 40, "f32"), 20, PLANTED)
    assert found.false == found.reversed_ == 0
    assert found.found >= 18


def test_of_several_contenders_two_that_are_equal_are_not_told_apart():
    with Device(BY_NAME["loud"].device(SEED)).open() as session:
        found = calibrate(measuring(session, 40, "f32", contenders=4), 10, PLANTED)
    assert found.false == 0
    assert found.found >= 9


@pytest.mark.parametrize("name", ["loud", "loud, unequal loads"])
def test_a_network_that_stands_twice_in_a_comparison_is_as_fast_as_itself(name):
    """The dense network first, then one network under two names, as *uniform* and *optimised* were once: 1.12 and 1.06 times as fast."""
    with Device(BY_NAME[name].device(SEED)).open() as session:
        for _ in range(8):
            measured = measure_interleaved(session, [chain(LAYERS + 6), chain(LAYERS), chain(LAYERS)], protocol(40))
            dense, first, second = (one.latency for one in measured)
            assert verdict(first, second).outcome in (Outcome.SAME, Outcome.CANNOT_TELL)
            there, here = verdict(first, dense), verdict(second, dense)
            assert there.outcome is here.outcome is Outcome.FASTER
            assert max(there.low, here.low) <= min(there.high, here.high)
            medians = [one.median_s for one in comparable([dense, first, second]) or (dense, first, second)]
            assert medians[1] == pytest.approx(medians[2], rel=0.02)


def test_an_ended_run_goes_on_where_it_was(tmp_path):
    path = tmp_path / "kept"
    asked = []

    def measure(ratio, trial):
        if trial == 3 and trial not in asked:
            asked.append(trial)
            raise KeyboardInterrupt
        asked.append(trial)
        with Device(BY_NAME["quiet"].device(SEED)).open() as session:
            return measuring(session, 8, "f32")(ratio, trial)

    tally = Tally.of(path, "eight pairs", 6)
    with pytest.raises(KeyboardInterrupt):
        calibrate(measure, 3, PLANTED, known=tally.known, keep=tally.keep)
    with path.open("a") as file:
        file.write('{"number": 3, "pla')  # as a kill in the middle of a line leaves it
    again = Tally.of(path, "eight pairs", 6)
    assert [one.number for one in again.known] == [0, 1, 2]
    found = calibrate(measure, 3, PLANTED, known=again.known, keep=again.keep)
    assert found.trials == 3
    assert asked == [0, 1, 2, 3, 3, 4, 5]
    assert [one.number for one in read(path, "eight pairs")] == list(range(6))


def test_comparisons_of_something_else_are_not_counted(tmp_path):
    path = tmp_path / "kept"
    Tally.of(path, "eight pairs", 6).keep(Trial(0, 1.0, Outcome.SAME, 1.0, 0.1))
    with pytest.raises(UsageError, match="holds another calibration"):
        read(path, "nine pairs")
    path.write_text(json.dumps({"what": "eight pairs"}) + "\n{}\n")
    with pytest.raises(UsageError, match="give another file"):
        read(path, "eight pairs")
    assert read(tmp_path / "nothing", "eight pairs") == ()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--storms", "--device=cpu"], "leave --device and --neighbour out"),
        (["--contenders=9"], "give 2 to 8"),
        (["--device=nowhere"], "unknown device"),
    ],
    ids=lambda part: part[0] if isinstance(part, list) else "",
)
def test_a_mistake_is_one_line_and_code_2(words, told, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
