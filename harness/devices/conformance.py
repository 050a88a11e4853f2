"""The contract that every device keeps, as a test class: inherit it, override ``device``, and run it first on new hardware."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np
import pytest

from harness.devices.measure import Protocol, Subject, measure, measure_interleaved
from harness.devices.probe import Probe, probe
from harness.devices.session import Device, Quarantine, Session
from harness.errors import DeviceBusy, DeviceQuarantined, DeviceTimeout, ModelRefused, UsageError
from harness.records.measurement import Measurement

DEADLINE_S = 0.5
MEMORY_GROWTH_ALLOWED = 1.3  # allocators keep some of what they were given back
MEASURED_AT_MOST = 3  # times, where a gust of another program may have fallen on one part of a measurement
QUICK = Protocol(warmup_s=0.01, rounds=60, min_time_s=0.0, blocks=3, precision_target=None, profile_compiles=1)


def _sum_ratios(measurement: Measurement) -> tuple[float, float]:
    """All nodes' times over the profiled latency, mean or median, by the larger one and by the smaller one: some runtimes tell means."""
    assert measurement.profiled is not None
    whole_s = measurement.profiled.median_s, statistics.mean(measurement.profiled.samples_s)
    layers_s = sum(layer.median_s for layer in measurement.layers)
    return layers_s / max(whole_s), layers_s / min(whole_s)


class DeviceConformance:
    """What holds for every device.

    precision: what to ask for. has_outputs: whether the device runs the network's arithmetic; output_tolerance: the
    largest error then, relative to the largest output. layer_sum_limits: between which ratios the nodes' times add up to
    the profiled latency. layer_of_every_conv: whether each convolution of the network appears in some node.
    """

    precision = "f32"
    has_outputs = True
    output_tolerance = 1e-3
    layer_sum_limits = (0.2, 1.6)
    layer_of_every_conv = True

    @pytest.fixture
    def device(self) -> Device:
        """The device under test, with a quarantine of its own: ``Device(find(NAME), Quarantine())``."""
        raise NotImplementedError

    @pytest.fixture
    def session(self, device: Device) -> Iterator[Session]:
        """The device, open."""
        with device.open() as session:
            yield session

    @pytest.fixture
    def network(self) -> Probe:
        """A small network with known answers."""
        return probe(width=16, side=32)

    @pytest.fixture
    def subject(self, network: Probe) -> Subject:
        """The same, as something to measure."""
        return Subject("probe", "0" * 16, None, network.onnx, "0" * 64, network.node_layers)

    def test_it_says_who_it_is(self, session: Session, device: Device) -> None:
        """Name, runtime, version, chip, host and interpreter are all told."""
        info = session.info
        assert info.name == device.spec.name
        assert all((info.runtime, info.runtime_version, info.model, info.host, info.python))

    def test_its_state_is_told(self, session: Session) -> None:
        """A snapshot holds figures, not text, and moves forward in time."""
        first, second = session.snapshot(), session.snapshot()
        assert first.taken_at <= second.taken_at
        assert all(mhz > 0 for _, mhz in first.clocks_mhz)

    def test_samples_are_durations_one_by_one(self, session: Session, network: Probe) -> None:
        """As many samples as asked for, or more, all positive; load and first inference are durations."""
        loaded = session.load(network.onnx, "probe", self.precision)
        block = loaded.infer(rounds=30, warmup_rounds=5)
        assert len(block.wall_ns) >= 30
        assert min(block.wall_ns) > 0
        assert loaded.load_s >= 0
        assert loaded.first_inference_s > 0

    def test_a_block_lasts_as_long_as_wished(self, session: Session, network: Probe) -> None:
        """``min_time_s`` is a lower bound of the time spent."""
        block = session.load(network.onnx, "probe", self.precision).infer(rounds=1, min_time_s=0.05)
        assert len(block.wall_ns) > 1

    def test_the_network_answers_as_it_should(self, session: Session, network: Probe) -> None:
        """More images than one batch give one output each, equal to the reference."""
        if not self.has_outputs:
            pytest.skip("this device gives no outputs")
        images = network.images(3)
        expected = network.reference(images)
        found = session.load(network.onnx, "probe", self.precision).outputs(images)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= self.output_tolerance * np.abs(expected).max()

    def test_nodes_add_up_and_belong_to_layers(self, session: Session, subject: Subject, network: Probe) -> None:
        """The nodes' times sum to about the profiled latency, and every convolution is found in one of them."""
        told = []
        for _ in range(MEASURED_AT_MOST):
            measurement = measure(session, subject, QUICK, self.precision)
            told.append(_sum_ratios(measurement))
            if self._adds_up(*told[-1]):
                break
        assert self._adds_up(*told[-1]), f"nodes' times are {told} of the whole, wanted are {self.layer_sum_limits}"
        if self.layer_of_every_conv:
            found = {name for layer in measurement.layers for name in layer.source_layers}
            assert {layer for _, layer in network.node_layers} <= found

    def _adds_up(self, least: float, most: float) -> bool:
        low, high = self.layer_sum_limits
        return low <= most and least <= high

    def test_names_are_the_same_in_every_load(self, session: Session, network: Probe) -> None:
        """Two compilations give the same nodes with the same layers."""
        runs = []
        for _ in range(2):
            loaded = session.load(network.onnx, "probe", self.precision, profile=True, node_layers=network.node_layers)
            runs.append([(node.node, node.layers) for node in loaded.profile(20)])
            loaded.unload()
        assert runs[0] == runs[1]

    def test_several_networks_take_turns(self, session: Session, subject: Subject) -> None:
        """Networks that are loaded together are measured in turns, in equal blocks."""
        found = measure_interleaved(session, [subject] * 3, QUICK, self.precision)
        assert [len(one.latency.block_sizes) for one in found] == [3, 3, 3]
        assert all(one.conditions.device == session.info for one in found)

    def test_an_unloaded_network_does_nothing(self, session: Session, network: Probe) -> None:
        """After ``unload`` the network is gone, the session works on, and loading again works."""
        loaded = session.load(network.onnx, "probe", self.precision)
        loaded.unload()
        with pytest.raises(UsageError, match="unloaded"):
            loaded.infer(1)
        assert session.load(network.onnx, "probe", self.precision).infer(1).wall_ns

    def test_unloading_frees_what_loading_took(self, session: Session, network: Probe) -> None:
        """The most memory needed by the last of many loads is about that of the first."""
        peaks = []
        for _ in range(6):
            loaded = session.load(network.onnx, "probe", self.precision)
            peaks.append(loaded.peak_memory_bytes)
            loaded.unload()
        if peaks[0] is not None and peaks[-1] is not None:
            assert peaks[-1] <= MEMORY_GROWTH_ALLOWED * peaks[0]

    @pytest.mark.parametrize("spoil", [bytes, lambda onnx: b"no model", lambda onnx: onnx[: len(onnx) // 3]], ids=["zeros", "text", "cut"])
    def test_a_bad_model_is_refused(self, session: Session, network: Probe, spoil: object) -> None:
        """What is no model is refused by name, and the next good one still runs."""
        assert callable(spoil)
        onnx = spoil(8) if spoil is bytes else spoil(network.onnx)
        with pytest.raises(ModelRefused):
            session.load(onnx, "spoilt", self.precision)
        assert session.load(network.onnx, "probe", self.precision).infer(1).wall_ns

    def test_a_late_answer_ends_the_session(self, device: Device, network: Probe) -> None:
        """A request that cannot end by its deadline is a DeviceTimeout soon after it; then the device is in quarantine."""
        session = device.open()
        loaded = session.load(network.onnx, "probe", self.precision)
        begin = time.monotonic()
        with pytest.raises(DeviceTimeout):
            loaded.infer(rounds=1, min_time_s=3600.0, deadline_s=DEADLINE_S)
        assert time.monotonic() - begin < DEADLINE_S + 2
        with pytest.raises(DeviceQuarantined, match="infer"):
            session.snapshot()
        with pytest.raises(DeviceQuarantined, match="infer"):
            device.open()

    def test_a_second_user_is_refused(self, session: Session, device: Device) -> None:
        """While a session is open nobody else gets the device, and is told who has it; closing frees it."""
        second = Device(device.spec, Quarantine())
        with pytest.raises(DeviceBusy, match="in use by process"):
            second.open(wait_s=0.0)
        session.close()
        with second.open(wait_s=5.0) as again:
            assert again.info == session.info
