"""Files from elsewhere leave nothing open: weights are inside, sizes are those asked for, and whatever cannot be is refused in one line."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from harness.errors import UsageError
from harness.networks import export
from harness.networks.foreign import fixing
from tests.networks.foreign.written import picture_network, saved, two_inputs


def fixed(model: onnx.ModelProto, batch_size: int = 1, image: tuple[int | None, int, int] | None = None) -> fixing.Fixed:
    return fixing.fixed(model.SerializeToString(), "m.onnx", None, batch_size, image)


@given(batch=st.integers(1, 9), height=st.integers(4, 40), width=st.integers(4, 40))
def test_what_is_open_becomes_what_was_asked_and_the_answers_stay(batch: int, height: int, width: int) -> None:
    model = picture_network(("N", 3, "H", "W"))
    whole = fixed(model, batch, (None, height, width))
    assert whole.leading.sizes == (batch, 3, height, width)
    images = np.random.default_rng(0).normal(size=whole.leading.sizes).astype(np.float32)
    before, after = (ReferenceEvaluator(one).run(None, {"images": images})[0] for one in (model, onnx.load_model_from_string(whole.onnx)))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("sizes", [("N", 3, "H", "W"), ("N", 3, 16, "W"), (1, "C", 16, 16), (1, 3, -1, 0)], ids=str)
def test_open_sizes_of_a_picture_are_asked_for_never_guessed(sizes: tuple[int | str, ...]) -> None:
    with pytest.raises(UsageError, match="--input-shape=") as refused:
        fixed(picture_network(sizes))
    assert "\n" not in str(refused.value)


def test_a_size_that_the_file_fixes_is_not_asked_otherwise() -> None:
    with pytest.raises(UsageError, match="is fixed at Nx3x16x16|is fixed at 1x3x16x16"):
        fixed(picture_network(), 1, (3, 32, 32))
    assert fixed(picture_network(), 1, (3, 16, 16)).leading.sizes == (1, 3, 16, 16)


def test_a_file_of_which_nothing_is_open_keeps_its_bytes() -> None:
    data = picture_network((1, 3, 16, 16)).SerializeToString()
    assert fixing.fixed(data, "m.onnx").onnx == data


@pytest.mark.parametrize("beside", ["m.onnx.data", "weights.bin"])
def test_weights_beside_the_file_are_read_and_missed_by_name(tmp_path: Path, beside: str) -> None:
    path = saved(picture_network(), tmp_path / "m.onnx", beside)
    inside = saved(picture_network(), tmp_path / "inside.onnx")
    images = np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)
    answers = [
        ReferenceEvaluator(onnx.load_model_from_string(export.read(one, "m").onnx)).run(None, {"images": images}) for one in (path, inside)
    ]
    assert np.array_equal(*(one[0] for one in answers))
    (tmp_path / beside).unlink()
    with pytest.raises(UsageError, match=f"keeps its weights in {beside}, which does not lie beside it"):
        export.read(path, "m")
    with pytest.raises(UsageError, match=f"keeps its weights in {beside}"):
        export.parse(path.read_bytes(), "m")


def test_weights_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    path = saved(picture_network(), tmp_path / "m.onnx", "m.data")
    (tmp_path / "m.data").write_bytes(b"12")
    with pytest.raises(UsageError) as refused:
        export.read(path, "m")
    assert "\n" not in str(refused.value)


def test_inputs_with_one_open_name_are_fixed_alike_and_others_are_refused() -> None:
    both = fixed(two_inputs(("N", 8), ("N", 8)), 3)
    assert [one.sizes for one in both.inputs] == [(3, 8), (3, 8)]
    assert [one.kind for one in both.inputs] == ["i64", "i64"]
    with pytest.raises(UsageError, match="leaves L of its input ids .* open; export it with these sizes fixed"):
        fixed(two_inputs(("N", "L"), ("N", "L")))
    with pytest.raises(UsageError, match="is no picture; leave it out"):
        fixed(two_inputs((1, 8), (1, 8)), 1, (3, 8, 8))


@pytest.mark.parametrize("kind", [TensorProto.COMPLEX64, TensorProto.STRING, TensorProto.BFLOAT16, TensorProto.UINT32])
def test_a_type_that_no_device_is_fed_is_refused_by_name(kind: int) -> None:
    with pytest.raises(UsageError, match="which no device is fed; export it as one of f32"):
        fixed(picture_network(kind=kind))


def test_every_node_gets_a_name_of_its_own() -> None:
    graph = onnx.load_model_from_string(fixed(picture_network(named=False)).onnx).graph
    names = [node.name for node in graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_a_batch_that_the_file_fixes_is_measured_or_refused(tmp_path: Path) -> None:
    four = saved(picture_network((4, 3, 16, 16)), tmp_path / "four.onnx")
    assert export.read(four, "m", 4).input_shape == export.read(four, "m").input_shape == (4, 3, 16, 16)
    for other in (1, 2, 8):
        with pytest.raises(UsageError, match="is fixed at a batch of 4 .*give --batch-size=4"):
            export.read(four, "m", other)
    one = saved(picture_network((1, 3, 16, 16)), tmp_path / "one.onnx")
    assert export.read(one, "m", 8).input_shape == (8, 3, 16, 16)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07" * 40], ids=["empty", "text", "noise"])
def test_what_is_no_network_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        export.read(path, "m")
    assert "\n" not in str(refused.value)
