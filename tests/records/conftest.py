"""Records of every kind, as hypothesis strategies, and one small file to break."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from harness.records.accuracy import Accuracy, DeviceAccuracy, WidthAccuracy
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, LayerLatency, Measurement, Occasion
from harness.records.pruning_config import PruningConfig

ARCHITECTURE = Architecture(
    "tiny",
    (3, 8, 8),
    4,
    (ChannelGroup("a", 8, ("a", "c"), False, "s1"), ChannelGroup("b", 4, ("b",), True, "s1")),
    (
        LayerSite("a", "conv", (), "a", 3, 8, (3, 3), (1, 1), (1, 1), input_size=(8, 8)),
        LayerSite("b", "conv", ("a",), "b", 8, 4, input_size=(8, 8), branch="b"),
        LayerSite("c", "conv", ("b",), "a", 4, 8, input_size=(8, 8), branch="b"),
        LayerSite("fc", "linear", ("a",), None, 8, 4),
    ),
)

_text = st.text(max_size=8)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_positive = st.floats(min_value=1e-9, max_value=1e3)
_pairs = st.lists(st.tuples(_text, _finite), max_size=3).map(tuple)
_words = st.none() | st.lists(_text, max_size=2).map(tuple)
_texts = st.lists(st.tuples(_text, _text), max_size=3).map(tuple)


@st.composite
def _latencies(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    count = sum(sizes)
    samples = tuple(draw(st.lists(_positive, min_size=count, max_size=count)))
    told = draw(st.booleans())
    preempted = tuple(sorted(draw(st.sets(st.integers(0, count - 1)))))
    moments = st.builds(Occasion, st.floats(0, 1e6), st.integers(0, 9), st.none() | _positive, st.none() | st.floats(0.0, 1e6))
    occasions = tuple(draw(st.lists(moments, min_size=len(sizes), max_size=len(sizes)))) if draw(st.booleans()) else ()
    return Latency(samples, tuple(sizes), preempted, samples if told else (), occasions, draw(st.none() | _positive))


_snapshots = st.builds(
    Snapshot,
    st.just("2026-11-23T18:00:00+00:00"),
    _pairs,
    _pairs,
    _pairs,
    st.none() | _text,
    st.none() | _text,
    st.none() | _finite,
    st.none() | st.integers(0, 9),
    _words,
    _words,
)
_devices = st.builds(DeviceInfo, _text, _text, _text, _text, _text, _text, st.booleans(), _texts)
_conditions = st.builds(
    Conditions,
    _devices,
    _text,
    _text,
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(1, 8),
    _snapshots,
    _snapshots,
    _texts,
    _text,
    _texts,
)
_configs = st.builds(lambda a, b: PruningConfig.of("tiny", {"a": a, "b": b}), st.integers(1, 8), st.integers(0, 4))
_layers = st.builds(
    LayerLatency,
    _text,
    st.lists(st.sampled_from(["a", "b", "c", "fc"]), max_size=2, unique=True).map(tuple),
    _text,
    st.lists(st.floats(0, 1), min_size=1, max_size=3).map(tuple),
    st.integers(0, 64),
    _text,
)
_measurements = st.builds(
    Measurement,
    st.just("tiny"),
    st.sampled_from([ARCHITECTURE.digest, "f" * 16]),
    st.none() | _configs,
    _text,
    st.integers(0, 10**9),
    _latencies(),
    _conditions,
    st.floats(0, 1e3),
    st.floats(0, 1e3),
    st.none() | st.integers(0, 10**12),
    st.lists(_layers, max_size=3).map(tuple),
    st.none() | _latencies(),
    st.sampled_from(["network", "design", "held-out"]),
    _texts,
)
_accuracies = st.integers(1, 100).flatmap(lambda total: st.builds(Accuracy, st.integers(0, total), st.just(total)))
_device_accuracies = st.builds(
    DeviceAccuracy, *[_text] * 7, _accuracies, st.none() | _accuracies, st.none() | st.floats(0, 1), st.none() | _finite
)
_width_accuracies = st.builds(WidthAccuracy, *[_text] * 6, st.integers(0, 64), _accuracies, _accuracies)


@pytest.fixture(scope="session")
def latencies():
    """A hypothesis strategy of latencies."""
    return _latencies()


@pytest.fixture(scope="session")
def architecture():
    """A network of four layers and two groups, one of them a branch."""
    return ARCHITECTURE


@pytest.fixture(scope="session")
def measurements():
    """Strategy: any measurement."""
    return _measurements


@pytest.fixture(scope="session")
def files():
    """Strategy: any file."""
    return st.builds(
        BenchmarkFile,
        st.lists(_measurements, max_size=3).map(tuple),
        st.just((ARCHITECTURE,)),
        st.lists(_device_accuracies, max_size=2).map(tuple),
        st.lists(_width_accuracies, max_size=2).map(tuple),
    )


@pytest.fixture(scope="session")
def file():
    """One measurement with layers, on one architecture."""
    state = Snapshot("2026-11-23T18:00:00+00:00", clocks_mhz=(("cpu0", 2400.0),))
    after = Snapshot("2026-11-23T18:00:05+00:00")
    device = DeviceInfo("cpu", "openvino", "2026.4.1", "a processor", "a host", "3.11")
    conditions = Conditions(device, "f32", "f32", 1, 1, 1, state, after, (("torch", "2.13.0"),), "abc")
    measurement = Measurement(
        network="tiny",
        architecture_digest=ARCHITECTURE.digest,
        config=ARCHITECTURE.dense(),
        artefact_digest="e" * 64,
        artefact_bytes=100,
        latency=Latency((1e-3, 1.1e-3, 0.9e-3, 1e-3), (2, 2), (1,), (1e-3, 1e-3, 0.9e-3, 1e-3)),
        conditions=conditions,
        load_s=0.1,
        first_inference_s=2e-3,
        layers=(LayerLatency("/a/Conv", ("a",), "Convolution", (1e-4, 2e-4), 8),),
        profiled=Latency((1e-3,), (1,)),
    )
    return BenchmarkFile((measurement,), (ARCHITECTURE,))
