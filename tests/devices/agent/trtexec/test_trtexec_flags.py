"""What a device's table asks of trtexec: CUDA graphs, DLA, precisions, flags handed through, each told as a condition or refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.devices.probe import Probe, probe
from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import parse
from harness.errors import ModelRefused, UsageError

Board = Callable[..., Device]


@pytest.fixture
def board(tmp_path: Path, stand_in: Callable[[str], Path]) -> Board:
    def device(version: str = "10.3.0", **options: Any) -> Device:
        trtexec = {"trtexec": str(stand_in(version)), "timing_cache": ""}
        table = {"runtime": "trtexec", "options": trtexec | options, "resource": f"test-{os.getpid()}-{tmp_path.name}"}
        return Device(parse("jetson", table, tmp_path / "pyproject.toml"), Quarantine())

    return device


@pytest.fixture(scope="module")
def small() -> Probe:
    return probe(width=2, side=4)


def quickest_ns(session: Session, network: Probe, precision: str = "f32") -> int:
    return min(session.load(network.onnx, "probe", precision).infer(20).wall_ns)


@pytest.mark.parametrize("version", ["8.2.1", "10.3.0", "11.1.0"])
def test_a_cuda_graph_is_asked_for_or_is_none(board: Board, small: Probe, version: str) -> None:
    """From 11.0 on trtexec captures one unless it is told not to: two releases would not be comparable."""
    with board(version).open() as session:
        plainly, settings = quickest_ns(session, small), session.info.settings
    with board(version, cuda_graph=True).open() as session:
        assert quickest_ns(session, small) < 0.9 * plainly
        assert (settings, session.info.settings) == ("usual", "cuda_graph True")


def test_flags_are_handed_through_and_told(board: Board, small: Probe) -> None:
    for flags in (["--sparsity=enable", "--verbose"][:1], "--sparsity=enable"):
        with board(flags=flags).open() as session:
            assert session.info.settings == "flags --sparsity=enable"
            assert quickest_ns(session, small) > 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--fp16"], "holds --fp16, which this runtime sets itself; set it by --precision"),
        (["--useDLACore=0"], "set it by dla_core"),
        (["--saveEngine=x"], "which this runtime sets itself, or could not read the outcome of; leave it out"),
        (["--nonsense"], "trtexec of TensorRT 10.3.0 has no --nonsense; see trtexec --help"),
        (["sparsity"], "holds 'sparsity', which is no flag; write for example"),
        ("--sparsity='", r"option flags = .* cannot be read \(No closing quotation\); give a list of further flags"),
        (3, "option flags = 3 cannot be read"),
    ],
)
def test_flags_that_cannot_be_handed_through_are_refused(board: Board, flags: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        board(flags=flags).open()


def test_a_list_of_other_things_than_words_is_refused_with_its_table(board: Board) -> None:
    with pytest.raises(UsageError, match="options are names with texts and numbers"):
        board(flags=[1, 2])


def test_an_unknown_option_is_refused_by_name(board: Board) -> None:
    with pytest.raises(UsageError, match="runtime trtexec has no option 'thread'; it has allow_gpu_fallback, builds, cuda_graph"):
        board(thread=2).open()


def test_dla_refuses_or_falls_back_as_it_is_told(board: Board, small: Probe) -> None:
    with board(dla_core=0).open() as session:
        with pytest.raises(ModelRefused, match=r"/fc/Gemm.*let them run on the GPU: options = \{ allow_gpu_fallback = true \}"):
            session.load(small.onnx, "probe", "f16")
        with pytest.raises(ModelRefused, match="half precision and INT8 alone"):
            session.load(small.onnx, "probe", "f32")
    with board(dla_core=0, allow_gpu_fallback=True).open() as session:
        assert quickest_ns(session, small, "f16") > 0
        assert session.info.settings == "allow_gpu_fallback True, dla_core 0"


def test_precisions_are_those_of_the_release(board: Board, small: Probe) -> None:
    def effective(version: str, precision: str) -> str:
        with board(version).open() as session:
            return session.load(small.onnx, "probe", precision).effective_precision

    assert [effective("10.3.0", "bf16"), effective("10.3.0", "best"), effective("8.5.2", "best")] == ["bf16", "best", "best"]
    with pytest.raises(ModelRefused, match="has no --bf16; measure with --precision=f32"):
        effective("8.5.2", "bf16")
    with pytest.raises(ModelRefused, match="has no --best: it computes in what a file says"):
        effective("11.1.0", "best")
    with pytest.raises(ModelRefused, match="no precision 'fp16' here; choose one of best, bf16, f16, f32, int8"):
        effective("10.3.0", "fp16")


def test_made_up_scales_give_no_answers(board: Board, small: Probe) -> None:
    with board().open() as session, pytest.raises(ModelRefused, match="its answers mean nothing; ask for f16"):
        session.load(small.onnx, "probe", "best").outputs(small.images(1))
