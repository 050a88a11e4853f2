"""The agent on TensorRT's Python package, whole sessions of the harness with it, against the stand-in of several releases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.devices.conformance import DeviceConformance
from harness.devices.measure import Protocol, Subject, measure
from harness.devices.probe import Probe, probe
from harness.devices.session import Device, Loaded, Session
from harness.devices.spec import OptionValue
from harness.errors import DeviceUnavailable, ModelRefused, UsageError
from harness.networks import export
from harness.networks.export import Artefact
from harness.quantisation.for_latency import for_latency
from harness.quantisation.quantising import Options
from tests.devices.agent.tensorrt_agent.board import RELEASES, board, cudart, interpreter, needs_cc

pytestmark = needs_cc
SHORT = Protocol(warmup_s=0.01, rounds=30, min_time_s=0.0, blocks=3, precision_target=None, profile_compiles=1)
LAYERS = [("conv1",), ("layer1.0.conv1",), ("layer1.0.conv2",), ("fc",)]
Board = Callable[..., Device]


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cudart")


@pytest.fixture
def jetson(tmp_path: Path, libraries: Path) -> Board:
    def made(release: str = "10.3.0", python: str | None = None, **options: OptionValue) -> Device:
        return board(release, tmp_path, libraries, python, **options)

    return made


@pytest.fixture(scope="module")
def network() -> Probe:
    return probe(width=4, side=8)


@pytest.fixture(scope="module")
def quantised() -> Artefact:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(72, 4))
    return for_latency(export.export(model, (3, 8, 8), "two"), Options(signed=True))


class TestTensorRt(DeviceConformance):
    """Real agent, harness, ctypes and processes; the package and CUDA are stand-ins, the times made up."""

    layer_sum_limits = (0.5, 1.6)

    @pytest.fixture
    def device(self, jetson: Board) -> Device:
        return jetson("8.2.1")


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_is_built_timed_profiled_and_answers(jetson: Board, network: Probe, release: str) -> None:
    subject = Subject("probe", "a" * 16, None, network.onnx, "d" * 64, network.node_layers)
    with jetson(release).open() as session:
        assert session.info.runtime_version == release + ".1"
        found = measure(session, subject, SHORT)
        images = network.images(3)
        answers = session.load(network.onnx, "probe").outputs(images)
    np.testing.assert_allclose(answers, network.reference(images), atol=1e-5)
    assert [len(found.latency.samples_s), found.latency.block_sizes] == [30, (10, 10, 10)]
    assert {len(layer.runs_s) for layer in found.layers} == {5}
    assert (found.layers[0].kind, found.layers[0].source_layers) == ("Reformat", ())
    assert [layer.source_layers for layer in found.layers if layer.source_layers] == LAYERS
    notes = dict(found.notes)
    assert notes["copied to the device"].startswith("input FLOAT 1x3x8x8, 768 bytes, ")
    assert notes["copied to the host"].startswith("logits FLOAT 1x10, 40 bytes, ")
    assert notes["host clock"].startswith("median ")


@pytest.mark.parametrize("python", ["3.6", "3.7", "3.9", "3.11", "3.12", "3.13"])
def test_every_interpreter_answers_alike(jetson: Board, network: Probe, python: str) -> None:
    images = network.images(2)
    with jetson("8.6.1", interpreter(python)).open() as session:
        np.testing.assert_allclose(session.load(network.onnx, "probe").outputs(images), network.reference(images), atol=1e-5)


def test_an_engine_is_kept_on_the_board_by_what_made_it(jetson: Board, network: Probe) -> None:
    def engine(release: str = "10.3.0", precision: str = "f32", onnx: bytes = network.onnx, **options: OptionValue) -> str:
        with jetson(release, **options).open() as session:
            return dict(session.load(onnx, "probe", precision).facts.notes)["engine"].split()[0]

    assert [engine(), engine()] == ["built", "kept"]
    assert [engine(precision="f16"), engine(onnx=probe(4, 8, seed=1).onnx), engine(workspace_mib=64)] == ["built"] * 3
    assert [engine("8.6.1"), engine(), engine(engine_cache="")] == ["built", "kept", "built"]


def test_a_damaged_engine_is_built_again(jetson: Board, network: Probe, tmp_path: Path) -> None:
    with jetson().open() as session:
        session.load(network.onnx, "probe")
    (kept,) = (tmp_path / "engines").glob("*.engine")
    kept.write_bytes(kept.read_bytes()[:-1] + b"\0")
    with jetson().open() as session:
        assert dict(session.load(network.onnx, "probe").facts.notes)["engine"].startswith("built")


def test_an_engine_that_tensorrt_no_longer_takes_is_built_again(jetson: Board, network: Probe, tmp_path: Path) -> None:
    with jetson().open() as session:
        session.load(network.onnx, "probe")
    (kept,) = (tmp_path / "engines").glob("*.engine")
    foreign = kept.read_bytes()[32:].replace(b"10.3.0.1", b"10.3.0.9")
    kept.write_bytes(hashlib.sha256(foreign).digest() + foreign)
    with jetson().open() as session:
        loaded = session.load(network.onnx, "probe")
        assert dict(loaded.facts.notes)["engine"].startswith("built")
        assert loaded.infer(1).wall_ns


def test_a_folder_that_others_may_write_in_is_not_believed(jetson: Board, network: Probe, tmp_path: Path) -> None:
    with jetson().open() as session:
        session.load(network.onnx, "probe")
    (tmp_path / "engines").chmod(0o777)
    with jetson().open() as session:
        notes = session.load(network.onnx, "probe").facts.notes
    told = [text for key, text in notes if key == "engine"]
    assert told[0].startswith("built")
    assert "is not this user's alone: chmod go-w it" in told[1]


def test_a_timing_cache_of_another_release_is_begun_anew(jetson: Board, network: Probe, tmp_path: Path) -> None:
    with jetson().open() as session:
        assert "timing cache" not in dict(session.load(network.onnx, "probe").facts.notes)
    (cache,) = (tmp_path / "engines").glob("*.timing")
    cache.write_bytes(b"tactics of another")
    with jetson().open() as session:
        assert dict(session.load(network.onnx, "probe", "f16").facts.notes)["timing cache"].startswith("begun anew")
    assert b"10.3.0" in cache.read_bytes()


@pytest.mark.parametrize(("release", "told"), [("8.2.1", "3 of 3"), ("10.13.3", "3 of 3"), ("11.4.0", "3 of 3")])
def test_int8_is_read_back_layer_by_layer(jetson: Board, quantised: Artefact, release: str, told: str) -> None:
    with jetson(release).open() as session:
        loaded = session.load(quantised.onnx, "two", "int8", profile=True, node_layers=quantised.node_layers)
        assert (loaded.effective_precision, dict(loaded.facts.notes)["INT8 layers"]) == ("int8", told)
        assert {node.precision for node in loaded.profile(10) if node.layers} == {"int8"}
        with pytest.raises(ModelRefused, match="ask for int8"):
            session.load(quantised.onnx, "two", "f32")


def test_precisions_are_those_of_the_release(jetson: Board, network: Probe, quantised: Artefact) -> None:
    def effective(release: str, precision: str, onnx: bytes = network.onnx) -> str:
        with jetson(release).open() as session:
            return session.load(onnx, "probe", precision).effective_precision

    assert [effective("8.6.1", "f16"), effective("10.3.0", "bf16"), effective("8.2.1", "best")] == ["f16", "bf16", "best"]
    assert effective("10.3.0", "best", quantised.onnx) == "best"
    with pytest.raises(ModelRefused, match=r"has no bf16; measure with --precision=f32"):
        effective("8.6.1", "bf16")
    for precision in ("f16", "bf16", "best"):
        with pytest.raises(ModelRefused, match="computes in what a file says.*with a TensorRT before 11"):
            effective("11.1.0", precision)
    with pytest.raises(ModelRefused, match="no precision 'fp16' here; choose one of best, bf16, f16, f32, int8"):
        effective("10.3.0", "fp16")


def test_a_calibration_cache_is_taken_where_the_release_knows_it(
    jetson: Board, network: Probe, quantised: Artefact, tmp_path: Path
) -> None:
    cache = tmp_path / "calibration.cache"
    cache.write_bytes(b"TRT-8201-EntropyCalibration2\ninput: 3c010a14\n")

    def load(release: str, onnx: bytes = network.onnx, path: Path = cache) -> Loaded:
        with jetson(release, calibration_cache=str(path)).open() as session:
            return session.load(onnx, "probe", "int8")

    for release in ("8.2.1", "10.13.3"):
        loaded = load(release)
        assert (loaded.effective_precision, dict(loaded.facts.notes)["INT8 layers"]) == ("int8", "4 of 4")
        assert str(cache) in dict(loaded.facts.notes)["calibration cache"]
    assert dict(load("8.2.1", quantised.onnx).facts.notes)["calibration cache"].startswith("not used")
    with pytest.raises(UsageError, match="takes no calibration cache.*pytest bench/ quantises"):
        load("11.1.0")
    with pytest.raises(UsageError, match="cannot be read on the board: No such file"):
        load("8.2.1", path=tmp_path / "none")


def test_dla_refuses_what_would_silently_run_on_the_gpu(jetson: Board, network: Probe) -> None:
    with jetson(dla_core=0).open() as session:
        with pytest.raises(ModelRefused, match=r"DLA cannot run 1 of 10 layers \(/fc/Gemm\); .*allow_gpu_fallback = true"):
            session.load(network.onnx, "probe", "f16")
        with pytest.raises(ModelRefused, match="half precision and INT8 alone; measure with --precision=f16"):
            session.load(network.onnx, "probe", "f32")
    with jetson(dla_core=1, allow_gpu_fallback=True).open() as session:
        loaded = session.load(network.onnx, "probe", "f16")
        assert dict(loaded.facts.notes)["on the GPU beside DLA"] == "1 of 10 layers: /fc/Gemm"
        assert loaded.infer(3).wall_ns
        assert session.info.settings == "allow_gpu_fallback True, dla_core 1"
    with (
        jetson(dla_core=5, allow_gpu_fallback=True).open() as session,
        pytest.raises(UsageError, match="2 DLA cores, dla_core = 5 is none"),
    ):
        session.load(network.onnx, "probe", "f16")


@pytest.mark.parametrize("release", ["8.2.1", "11.4.0"])
def test_a_cuda_graph_computes_the_same_and_is_a_condition(jetson: Board, network: Probe, release: str) -> None:
    images = network.images(3)
    with jetson(release).open() as session:
        plainly = min(session.load(network.onnx, "probe").infer(10).wall_ns)
    with jetson(release, cuda_graph=True).open() as session:
        loaded = session.load(network.onnx, "probe")
        assert min(loaded.infer(10).wall_ns) < plainly
        np.testing.assert_allclose(loaded.outputs(images), network.reference(images), atol=1e-5)
        assert session.info.settings == "cuda_graph True"


def test_both_clocks_are_told_and_one_is_chosen(jetson: Board, network: Probe) -> None:
    told = {}
    for clock in ("events", "host"):
        with jetson(clock=clock).open() as session:
            block = session.load(network.onnx, "probe").infer(20)
            told[clock] = session.info.settings, dict(block.notes), set(block.wall_ns)
    assert [told["events"][0], told["host"][0]] == ["usual", "clock host"]
    assert len(told["events"][2]) == 1 < len(told["host"][2])  # the stand-in's GPU takes always the same time, this machine does not
    assert list(told["events"][1]) == ["host clock"]
    assert list(told["host"][1]) == ["events"]


def test_several_builds_tell_their_spread(jetson: Board, network: Probe) -> None:
    with jetson(builds=3).open() as session:
        assert dict(session.load(network.onnx, "probe").facts.notes)["builds"].startswith("3 engines: ")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"threads": 2}, "runtime tensorrt has no option 'threads'; it has allow_gpu_fallback, builds"),
        ({"trtexec": "/usr/bin/trtexec"}, "write runtime = 'trtexec'"),
        ({"clock": "sun"}, "option clock = 'sun' is none; give 'events'"),
        ({"builds": "two"}, "option builds = 'two' is none; give how many engines"),
        ({"builds": True}, "option builds = True is none"),
        ({"cuda_graph": "yes"}, "option cuda_graph = 'yes' is none; give true"),
        ({"workspace_mib": -1}, "option workspace_mib = -1 is none"),
        ({"workspace_mib": 0.5}, "option workspace_mib = 0.5 is none"),
    ],
)
def test_an_option_that_is_none_is_refused_by_name(jetson: Board, options: dict[str, OptionValue], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        jetson(**options).open()


def test_cuda_that_is_none_is_refused(jetson: Board, tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match=r"no libcudart can be loaded \(/no/lib.so.*set options = \{ cudart = PATH \}"):
        jetson(cudart="/no/lib.so").open()
    libm = next(
        path
        for path in map(Path, ("/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"))
        if path.exists()
    )
    with pytest.raises(DeviceUnavailable, match="has no cuda.*give the path of CUDA's own"):
        jetson(cudart=str(libm)).open()


def test_cuda_that_tensorrt_has_loaded_is_taken(jetson: Board, libraries: Path) -> None:
    with jetson("8.6.1", cudart="").open() as session:
        assert dict(session.info.details)["libcudart"] == str(cudart(12000, libraries))


def test_another_batch_size_and_other_pictures_are_refused(jetson: Board, network: Probe) -> None:
    with jetson().open() as session:
        with pytest.raises(ModelRefused, match="export it at that batch size"):
            session.load(network.onnx, "probe", batch_size=4)
        with pytest.raises(ModelRefused, match=r"takes images of \[3, 8, 8\], not \[3, 9, 9\]; give it such"):
            session.load(network.onnx, "probe").outputs(np.zeros((1, 3, 9, 9), np.float32))


def test_whoever_measures_again_gets_the_memory_back(jetson: Board, network: Probe) -> None:
    with jetson().open() as session:
        used = [loaded_and_freed(session, network) for _ in range(20)]
    assert set(used) == {3 * 8 * 8 * 4 + 40}


def loaded_and_freed(session: Session, network: Probe) -> int | None:
    loaded = session.load(network.onnx, "probe")
    loaded.unload()
    return loaded.peak_memory_bytes
