"""The simulated devices cost what the published roofline says, and their trouble comes when it was asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.probe import Probe
from harness.devices.session import Device
from harness.errors import ModelRefused, UsageError

Simulated = Callable[..., Device]


@pytest.fixture
def roofline(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("roofline")
    sys.modules.pop("roofline")


def stick_us(roofline: ModuleType, inputs: int, side: int, filters: int) -> float:
    """A 3 x 3 convolution of stride 1, without overhead."""
    operations = 2 * 9 * inputs * filters * side * side
    moved = 2 * (inputs * side * side + filters * side * side + 9 * inputs * filters)
    return float(roofline.Ncs2().conv(operations, moved, inputs, filters, False)) * 1e6


SMALL = {64: 15.87, 60: 14.96, 56: 14.06, 48: 12.26, 40: 10.46, 33: 8.88, 32: 8.65, 31: 8.43, 24: 6.85, 16: 5.05}
LARGE = {256: 723.6, 250: 718.6, 240: 710.2, 225: 697.7, 224: 633.1, 223: 632.3, 193: 607.2, 192: 542.7, 129: 426.4, 128: 361.8}


@pytest.mark.parametrize(("filters", "expected_us"), SMALL.items())
def test_a_small_convolution_on_the_stick_costs_what_annette_says(roofline: ModuleType, filters: int, expected_us: float) -> None:
    """[Wess2021]_ refined roofline, constants ncs2-ref_roofline.json: 64 inputs on 8 x 8."""
    assert stick_us(roofline, 64, 8, filters) == pytest.approx(expected_us, abs=0.006)


@pytest.mark.parametrize(("filters", "expected_us"), LARGE.items())
def test_a_large_convolution_on_the_stick_has_steps_of_32(roofline: ModuleType, filters: int, expected_us: float) -> None:
    """[Wess2021]_ refined roofline, constants ncs2-ref_roofline.json: 256 inputs on 14 x 14."""
    assert stick_us(roofline, 256, 14, filters) == pytest.approx(expected_us, abs=0.06)


def resnet56_convolutions(first: int, second: int, third: int) -> list[tuple[int, int, int, int, int]]:
    """``(inputs, filters, kernel, side, stride)`` of ResNet-56 for CIFAR-10, inner widths as given, 1 x 1 projections included."""
    found, inputs = [(3, 16, 3, 32, 1)], 16
    for stage, (width, inner) in enumerate(((16, first), (32, second), (64, third))):
        for number in range(9):
            stride = 2 if stage and not number else 1
            side = 32 >> (stage - (stride == 2))
            found += [(inputs, inner, 3, side, stride), (inner, width, 3, side // stride, 1)]
            found += [(inputs, width, 1, side, stride)] if stride == 2 else []
            inputs = width
    return found


def test_resnet56_on_the_stick_takes_what_the_published_constants_give(roofline: ModuleType) -> None:
    """[Wess2021]_ refined roofline without overhead, added up over the 57 convolutions of [He2016]_: 0.829 ms."""
    total_s = 0.0
    for inputs, filters, kernel, side, stride in resnet56_convolutions(16, 32, 64):
        out = side // stride
        operations = 2 * kernel**2 * inputs * filters * out**2
        moved = 2 * (inputs * side**2 + filters * out**2 + kernel**2 * inputs * filters)
        total_s += roofline.Ncs2().conv(operations, moved, inputs, filters, False)
    assert len(resnet56_convolutions(16, 32, 64)) == 57
    assert total_s * 1e3 == pytest.approx(0.829, abs=0.0006)


def test_the_whole_is_the_sum_of_its_stages(simulated: Simulated, network: Probe) -> None:
    with simulated(noise=0.0, overhead_us=50.0).open() as session:
        loaded = session.load(network.onnx, "probe", profile=True, node_layers=network.node_layers)
        whole = loaded.infer(10).wall_ns[0]
        stages = loaded.profile(10)
    assert sum(stage.seconds for stage in stages) * 1e9 == pytest.approx(whole, rel=1e-3)
    assert min(stage.seconds for stage in stages) >= 50e-6
    assert [stage.kind for stage in stages] == ["Conv", "Conv", "Conv", "Add", "GlobalAveragePool", "Gemm"]


def test_a_jetson_fuses_what_the_stick_runs_apart(simulated: Simulated, network: Probe) -> None:
    with simulated(kind="jetson").open() as session:
        stages = session.load(network.onnx, "probe").profile(1)
    assert stages[2].node.count(" + ") == 2
    assert [stage.kind for stage in stages] == ["Conv", "Conv", "Conv", "GlobalAveragePool", "Gemm"]


def test_throttling_and_heat_come_with_work(simulated: Simulated, network: Probe) -> None:
    with simulated(noise=0.0, throttle_after_s=0.05, throttle_factor=0.5).open() as session:
        cold = session.snapshot()
        loaded = session.load(network.onnx, "probe")
        samples = loaded.infer(1, min_time_s=0.2).wall_ns
        hot = session.snapshot()
    assert samples[-1] == pytest.approx(2 * samples[0], rel=1e-3)
    assert (cold.throttle_events, hot.throttle_events) == (0, 1)
    assert dict(hot.temperatures_c)["core"] > dict(cold.temperatures_c)["core"]
    assert dict(hot.clocks_mhz)["core"] == dict(cold.clocks_mhz)["core"] / 2


def test_a_fault_waits_for_its_turn(simulated: Simulated, network: Probe) -> None:
    with simulated(fault="disk-full", fault_in="infer", fault_after=2).open() as session:
        loaded = session.load(network.onnx, "probe")
        loaded.infer(1)
        loaded.infer(1)
        with pytest.raises(Exception, match="No space left"):
            loaded.infer(1)


@pytest.mark.parametrize("wrong", [{"kind": "tpu"}, {"fault": "boredom"}, {"speed": 2}], ids=["kind", "fault", "option"])
def test_what_it_cannot_simulate_is_refused(simulated: Simulated, wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(str(value if key != "speed" else key) for key, value in wrong.items())):
        simulated(**wrong).open()


def test_it_has_no_precision_that_no_stick_has(simulated: Simulated, network: Probe) -> None:
    with simulated().open() as session, pytest.raises(ModelRefused, match="no precision 'i4'"):
        session.load(network.onnx, "probe", "i4")
