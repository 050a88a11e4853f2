"""What a person reads of the records: units, intervals, shares that add up, noise in words, points lost with their sign."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.pages import tables
from harness.records.accuracy import Accuracy, WidthAccuracy
from harness.records.measurement import Latency, LayerLatency, Occasion


def read(*renderables, width=200):
    return tables.text(renderables, width)


@pytest.fixture
def profiled(file):
    """A measurement of 1 ms whose four layers take 0.98 ms; built with other layers or samples on demand."""
    (measurement,) = file.measurements

    def build(seconds=(4e-4, 3e-4, 2e-4, 8e-5), samples=(1e-3,) * 8, **changes):
        names = ("a", "b", "c", "fc")
        layers = tuple(LayerLatency(f"/{n}/Conv", (n,), "Convolution", (s,) * 3, 8) for n, s in zip(names, seconds, strict=True))
        return replace(measurement, layers=layers, latency=Latency(samples, (4, 4)), profiled=Latency((1e-3,) * 3, (3,)), **changes)

    return build


@given(st.floats(1e-7, 10.0))
def test_a_duration_is_told_to_four_digits_in_the_unit_that_suits_it(seconds):
    figure, unit = tables.duration(seconds).split(" ")
    told = float(figure) * {"µs": 1e-6, "ms": 1e-3}[unit]
    assert told == pytest.approx(seconds, rel=1e-3, abs=0.06e-6)
    assert (unit == "µs") == (seconds < 1e-3)


@given(st.lists(st.floats(1e-5, 5e-3), min_size=4, max_size=40))
def test_an_interval_is_told_around_the_median_in_one_unit(samples):
    latency = Latency(tuple(samples), (len(samples),))
    low, high, unit = re.fullmatch(r"([\d.]+)–([\d.]+) (µs|ms)", tables.interval(latency)).groups()
    scale = 1e-6 if unit == "µs" else 1e-3
    assert float(low) * scale <= latency.median_s + 1e-6
    assert float(high) * scale >= latency.median_s - 1e-6


def test_a_networks_row_holds_its_figures_and_says_when_it_is_noisy(profiled):
    quiet = read(tables.networks([profiled()]))
    assert "whole networks (measured)" in quiet
    assert "1.000 ms" in quiet
    assert quiet.rstrip().endswith("quiet")
    noisy = read(tables.networks([profiled(samples=(1e-3,) * 4 + (1.2e-3,) * 4)]))
    assert "blocks differ by 18.2%" in noisy
    assert "p99" in quiet
    assert re.search(r"p90 1\.000 ms.*p99 –", quiet, re.DOTALL)  # too few samples for a 99th percentile
    for told in ("f32, batch 1, 1 thread", "load 100.0 ms", "first 2.0 ms"):
        assert told in quiet, quiet


def test_energy_is_told_with_its_interval_or_that_there_is_no_meter(profiled):
    assert "no meter" in read(tables.networks([profiled()]))
    taken = profiled(samples=(0.1,) * 8)
    occasions = tuple(Occasion(float(at), energy_j=joules) for at, joules in enumerate((0.40, 0.42, 0.44, 0.42)))
    latency = Latency((0.1,) * 8, (2,) * 4, occasions=occasions)
    device = replace(taken.conditions.device, details=(("energy meter", "rapl package-0"),))
    metered = replace(taken, latency=latency, conditions=replace(taken.conditions, device=device))
    told = " ".join(read(tables.networks([metered]), width=80).split())
    assert "210 mJ an inference (197–223 mJ, 95 % interval) by rapl package-0, idle not subtracted" in told
    assert "no meter" not in told


@pytest.mark.parametrize("width", [80, 100, 132])
def test_nothing_is_cut_at_the_width_of_a_log(profiled, architecture, width):
    """Every figure, unit and reason is there at 80 columns as at 300, whatever is folded."""
    restless = (0.123456, 0.234567) * 4
    device = replace(profiled().conditions.device, name="simulated-jetson")
    noisy = profiled(samples=restless, network="mobilenetv2", conditions=replace(profiled().conditions, device=device))
    for build in (lambda: tables.networks([noisy]), lambda: tables.layers(profiled(), [architecture])):
        wide, narrow = (" ".join(read(build(), width=columns).split()) for columns in (300, width))
        assert "…" not in narrow
        assert sorted("".join(re.findall(r"[\w.%µ]", narrow))) == sorted("".join(re.findall(r"[\w.%µ]", wide)))
        assert all(len(line) <= width for line in read(build(), width=width).splitlines())


def test_a_throttled_measurement_is_noisy_and_says_so(profiled):
    conditions = profiled().conditions
    told = (replace(conditions.before, throttle_events=2), replace(conditions.after, throttle_events=5))
    hot = profiled(conditions=replace(conditions, before=told[0], after=told[1]))
    assert hot.noise[0] == "the device throttled: 3 times"
    assert "the device throttled: 3 times" in read(tables.networks([hot]))
    cool = profiled(conditions=replace(conditions, before=told[0], after=told[0]))
    assert cool.noise == ()


def test_a_device_kept_busy_shows_how_it_holds(profiled):
    notes = (("sustained", "2 s"), ("after 1 s", "700 MHz, 40.0 °C"), ("after 2 s", "350 MHz, 80.0 °C"))
    hot = profiled(samples=(1e-3,) * 4 + (2e-3,) * 4, notes=notes)
    assert tables.is_sustained(hot)
    assert not tables.is_sustained(profiled())
    curve = read(tables.sustained(hot))
    assert re.search(r"1 s\s+1\.000 ms\s+1\.00×\s+700 MHz, 40\.0 °C", curve)
    assert re.search(r"2 s\s+2\.000 ms\s+2\.00×\s+350 MHz, 80\.0 °C", curve)


def test_a_row_of_a_loud_run_tells_the_machines_state_and_what_can_be_compared(profiled):
    samples = (1e-3, 1.5e-3) * 5
    occasions = tuple(Occasion(float(at), at // 2, 1e-4 * sample / 1e-3) for at, sample in enumerate(samples))
    latency = Latency(samples, (1,) * 10, occasions=occasions, canary_quiet_s=1e-4)
    assert "fast state 50 % of the time, median there 1.000 ms" in read(tables.networks([replace(profiled(), latency=latency)]), width=300)
    assert "fast state" not in read(tables.networks([profiled()]))


def test_simulated_figures_say_so_in_the_title(profiled):
    measurement = profiled()
    device = replace(measurement.conditions.device, simulated=True)
    simulated = replace(measurement, conditions=replace(measurement.conditions, device=device))
    assert "(SIMULATED)" in read(tables.networks([simulated]))
    assert "(SIMULATED, measured)" in read(tables.networks([simulated, measurement]))


def test_the_layers_table_adds_up_to_the_whole(profiled, architecture):
    text = read(tables.layers(profiled(), [architecture]))
    assert f"on {profiled().conditions.device.name} (" in text.splitlines()[0]
    shares = [float(found) for found in re.findall(r"([−\d.]+)%", text.replace("−", "-")) if "." in found]
    assert "whole network" in text
    assert "100.0%" in text
    for name, kept in (("a", "3 → 8"), ("b", "8 → 4"), ("c", "4 → 8"), ("fc", "8 → 4")):
        assert re.search(rf"^\s*{name}\s.*{kept}", text, re.MULTILINE), name
    assert shares[0] == pytest.approx(40.0, abs=2.5)  # layer a
    assert text.count("█") > 16  # the bars


def test_a_layer_that_was_dropped_or_fell_short_is_told(profiled, architecture):
    whole = profiled()
    assert "do not explain the whole" not in " ".join(read(tables.layers(whole, [architecture])).split())
    short = profiled(seconds=(1e-4, 3e-4, 2e-4, 8e-5))
    assert "do not explain the whole" in " ".join(read(tables.layers(short, [architecture])).split())
    lacking = replace(whole, layers=whole.layers[1:])
    assert "no profiled node runs a" in read(tables.layers(lacking, [architecture]))


def test_advice_on_a_ledger_that_does_not_add_up_can_be_followed_where_it_was_measured(profiled, architecture):
    measured = profiled(seconds=(2e-4, 1e-4, 1e-4, 8e-5))
    device = replace(measured.conditions.device, simulated=True)
    pretended = replace(measured, conditions=replace(measured.conditions, device=device))
    told, simulated = (" ".join(read(tables.layers(one, [architecture])).split()) for one in (measured, pretended))
    assert "profile again on a quiet machine" in told
    assert "quiet machine" not in simulated
    assert "the simulated device's model" in simulated


def test_a_run_without_the_architecture_is_one_sentence(profiled):
    assert "does not hold its architecture" in read(tables.layers(profiled(), []))


def test_a_network_is_labelled_by_contender_configuration_or_name(profiled, architecture):
    measurement = profiled()
    assert tables.label(measurement) == f"tiny {architecture.dense().digest[:6]}"
    assert tables.label(replace(measurement, config=None)) == "tiny"
    assert tables.label(replace(measurement, notes=(("contender", "agp"),))) == "tiny agp"


def point(group, channels, correct, dense=90):
    return WidthAccuracy("arch", "weights", "digits", "data", "l1", group, channels, Accuracy(correct, 100), Accuracy(dense, 100))


@given(correct=st.integers(0, 100), dense=st.integers(0, 100))
def test_points_lost_are_percentage_points_below_the_dense_network(correct, dense):
    lost = point("g", 8, correct, dense).points_lost
    assert lost == pytest.approx(dense - correct)
    assert (lost > 0) == (correct < dense)


def test_sensitivities_are_one_row_per_group_in_the_order_they_were_analysed():
    text = read(tables.sensitivities([point("g", 8, 90), point("h", 4, 80), point("g", 4, 85)]))
    assert re.search(r"^\s*g\s+8: 0\.00\s+4: 5\.00\s*$", text, re.MULTILINE)
    assert re.search(r"^\s*h\s+4: 10\.00\s*$", text, re.MULTILINE)
    assert "on digits, validation split, channels kept by l1" in " ".join(text.split())
    assert "90.00% (90 of 100)" in " ".join(text.split())
