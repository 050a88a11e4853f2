"""A sweep over widths: resumes where it stopped, measures nothing twice, never overwrites what it cannot read; and its pictures."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.devices.measure import Subject
from harness.errors import RecordError
from harness.latency.explanation import width_series
from harness.latency.explanation.staircase import Staircase, WidthCost
from harness.pages import staircase as staircase_view
from harness.pages import tables
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.sweeps import widths as width_sweep
from harness.sweeps.widths import Sweep, store_path


@pytest.fixture
def machine_room(monkeypatch, network, machine, measured, conditions):
    """Builds a sweep whose networks are measured on the synthetic machine; every set of turns is one minute later."""
    turns = []

    def export_nothing(net, config, role, batch_size):
        return Subject(net.name, net.architecture.digest, config, b"", config.digest, (), role)

    monkeypatch.setattr(width_sweep, "latency_subject", export_nothing)

    def build(path, count=4, fails_at=None, **where):
        def measure_together(subjects):
            turns.append([subject.config for subject in subjects])
            if fails_at is not None and len(turns) == fails_at:
                raise KeyboardInterrupt
            taken = conditions(taken_at=f"2026-11-23T18:{len(turns):02d}:00+00:00", **where)
            return [measured(network, s.config, machine(network, s.config), s.role, 1e-4, taken) for s in subjects]

        return Sweep(Network("residual", None, network), conditions(**where), path, count, 1, measure_together)

    build.turns = turns
    return build


@settings(
    max_examples=6, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # turns and path are renewed below
@given(data=st.data())
def test_an_interrupted_sweep_goes_on_and_measures_no_width_twice(data, machine_room, network, tmp_path_factory):
    """Groups in any order, the run killed at any set: the next one takes the rest."""
    machine_room.turns.clear()
    path = tmp_path_factory.mktemp("sweep") / "device" / "widths.json"
    names = data.draw(st.lists(st.sampled_from([group.name for group in network.groups]), min_size=2, max_size=4, unique=True))
    killed_at = data.draw(st.integers(1, len(names)))
    with pytest.raises(KeyboardInterrupt):
        for name in names:
            machine_room(path, fails_at=killed_at).group(name)
    machine_room.turns.pop()  # the killed set left nothing
    done = [config for turn in machine_room.turns for config in turn]
    again = machine_room(path)
    found = {name: again.group(name) for name in names}
    later = [config for turn in machine_room.turns[killed_at - 1 :] for config in turn]
    assert not set(done) & set(later) - {network.dense()}
    assert len(set(done + later) - {network.dense()}) == len([c for c in done + later if c != network.dense()])
    assert again.measured_now == len(later)
    for name in names:
        assert tuple(found[name]) == width_series.grid(network.group(name), 4)
        for width, measurement in found[name].items():
            assert measurement.config.kept(name) == width
    assert machine_room(path).group(names[0]) == found[names[0]]


def test_a_finer_grid_measures_only_what_is_new_beside_an_anchor_of_its_own(machine_room, network, tmp_path):
    path = tmp_path / "widths.json"
    machine_room(path, count=2).group("stem")
    finer = machine_room(path, count=4)
    finer.group("stem")
    assert [config.kept("stem") for config in machine_room.turns[1]] == [16, 12, 4]
    points = width_series.measured_series(network, finer.usable)["stem"]
    assert [point.width for point in points] == [16, 15, 12, 8, 4]


def test_what_was_measured_under_other_conditions_stays_in_the_file_and_is_not_used(machine_room, network, tmp_path):
    path = tmp_path / "widths.json"
    machine_room(path, precision="bf16").group("stem")
    here = machine_room(path)
    assert here.usable == ()
    here.group("stem")
    precisions = [m.conditions.precision for m in benchmark_json.read(path).measurements]
    assert precisions.count("bf16") == precisions.count("f32") == 5


def test_a_width_that_lost_its_anchor_is_measured_again(machine_room, network, tmp_path):
    path = tmp_path / "widths.json"
    machine_room(path).group("stem")
    file = benchmark_json.read(path)
    benchmark_json.write(path, replace(file, measurements=tuple(m for m in file.measurements if m.config != network.dense())))
    again = machine_room(path)
    assert tuple(again.group("stem")) == (16, 15, 12, 8, 4)
    assert again.measured_now == 5


def test_a_broken_store_is_refused_and_left_as_it_is(machine_room, tmp_path):
    path = tmp_path / "widths.json"
    path.write_text("{")
    with pytest.raises(RecordError, match=r"widths\.json is not whole JSON"):
        machine_room(path)
    assert path.read_text() == "{"


def test_a_store_that_cannot_be_written_is_named(machine_room, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RecordError, match=r"cannot write .*--store"):
        machine_room(blocked / "widths.json").group("stem")


def test_names_become_plain_file_names(tmp_path):
    path = store_path(tmp_path, "cpu", "nets/mine.py:make", "imagefolder:/x y", "f32")
    assert path == tmp_path / "cpu" / "widths" / "nets-mine.py-make-imagefolder-x-y-f32.json"


@pytest.fixture
def staircase(machine_room, network, tmp_path):
    """Two groups: the synthetic machine's stairs, and one that is slower when narrower."""
    sweep = machine_room(tmp_path / "widths.json", count=16)
    sweep.group("stem")
    series = dict(width_series.measured_series(network, sweep.usable))
    flat = series["stem"]
    series["odd"] = tuple(replace(p, cost=p.cost * (1.2 if p.width == 15 else 1.0)) for p in flat)
    return width_series.fit(series)


def test_the_table_tells_legal_widths_the_next_useful_one_and_what_is_slower(staircase):
    text = tables.text([staircase_view.table(staircase, "widths (SIMULATED)", [("stem", "twin")])], 300)
    useful = staircase.next_useful("stem", 16)
    assert ", ".join(map(str, staircase.legal_widths("stem"))) in text
    assert f"16 → {useful.width}: {tables.duration(useful.saved)}" in text
    assert "(also twin)" in text
    assert "15 costs" in text
    assert "more than 16" in text
    assert "3 standard errors" in text


def test_every_group_gets_a_small_picture(staircase, tmp_path):
    paths = staircase_view.write_pictures(tmp_path / "new", "net", staircase, staircase.groups)
    assert [path.name for path in paths] == ["net-stem.png", "net-odd.png"]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert 5_000 < path.stat().st_size < 100_000


class Recorder:
    """Stands for matplotlib's axes: what would be drawn, by width."""

    def __init__(self):
        self.colours, self.filled, self.stair, self.ticks = {}, set(), None, None

    def set_xticks(self, ticks):
        self.ticks = ticks

    def errorbar(self, width, cost, yerr, color, markerfacecolor, **_):
        self.colours[width] = color
        if markerfacecolor != "none":
            self.filled.add(width)

    def step(self, widths, costs, **_):
        self.stair = widths

    def __getattr__(self, name):
        return lambda *_, **__: None


def test_legal_widths_are_filled_and_slower_ones_stand_out(staircase):
    axes = Recorder()
    staircase_view.draw(axes, staircase, "odd")
    assert axes.filled == set(staircase.legal_widths("odd")) == set(axes.stair)
    assert axes.colours[15] == staircase_view.SLOW
    assert axes.colours[16] == staircase_view.STEP
    assert set(axes.colours) == {point.width for point in staircase.points("odd")}


def test_labels_of_neighbouring_widths_do_not_overlap(network):
    fine = Staircase.fit({"g": [WidthCost(width, 1.0 + width) for width in [*range(2, 65, 2), 63]]})
    axes = Recorder()
    staircase_view.draw(axes, fine, "g")
    assert axes.ticks[0] == 2
    assert axes.ticks[-1] == 64
    assert 63 not in axes.ticks
    assert all(wide - narrow >= 2 for narrow, wide in itertools.pairwise(axes.ticks))
