"""An answer that cannot be true is refused by the name of its request."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices import compiling, replies
from harness.devices.frames import Frame
from harness.devices.link import Hello
from harness.devices.spec import DeviceSpec
from harness.errors import DeviceCrashed, DeviceError, DeviceUnavailable, HarnessError, ModelRefused

WARM = {"warmup_s": 0.0, "warmup_inferences": 0, "steady": True}
HELLO = Hello("3.8.18", "x86_64", "lab", 7)
PARSERS: dict[str, Callable[[Frame], object]] = {
    "snapshot": replies.snapshot,
    "load": replies.facts,
    "infer": replies.block,
    "outputs": replies.outputs,
    "profile": replies.nodes,
    "compile": compiling.compiled,
    "describe": lambda frame: replies.device_info(frame, DeviceSpec("x", "simulated"), HELLO, "agent"),
}
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["snapshot", "device", "nodes", "stages", "shape", "model", "load_s", "notes", "warmup_s", "clocks_mhz", "threads"])


def nanoseconds(*samples: int) -> bytes:
    return array("q", samples).tobytes()


@pytest.mark.parametrize(
    ("wall", "cpu", "flags"),
    [
        (nanoseconds(5, 0, 5), b"", b""),
        (nanoseconds(5, -3), b"", b""),
        (b"", b"", b""),
        (nanoseconds(5, 5), nanoseconds(5), b""),
        (nanoseconds(5, 5), b"", b"\0"),
        (b"\0" * 7, b"", b""),
    ],
    ids=["clock-stands", "clock-runs-backwards", "no-samples", "cpu-lacks-one", "flags-lack-one", "half-a-number"],
)
def test_samples_that_are_no_durations_are_refused(wall: bytes, cpu: bytes, flags: bytes) -> None:
    with pytest.raises(DeviceCrashed, match="answer to infer"):
        replies.block(Frame(WARM, (wall, cpu, flags)))


def test_preempted_samples_are_told_by_their_index() -> None:
    block = replies.block(Frame(WARM, (nanoseconds(5, 6, 7), nanoseconds(4, 4, 4), b"\0\1\0")))
    assert (block.wall_ns, block.cpu_ns, block.preempted) == ((5, 6, 7), (4, 4, 4), (1,))


@pytest.mark.parametrize("request_name", PARSERS)
@given(header=st.dictionaries(keys, junk, max_size=4), blobs=st.lists(st.binary(max_size=9), max_size=3))
def test_an_answer_of_any_form_is_read_or_refused_by_name(request_name: str, header: dict[str, Any], blobs: list[bytes]) -> None:
    with contextlib.suppress(DeviceCrashed):
        PARSERS[request_name](Frame(header, tuple(blobs)))


@pytest.mark.parametrize("request_name", PARSERS)
def test_an_empty_answer_is_refused_by_name(request_name: str) -> None:
    with pytest.raises(DeviceCrashed, match=f"answer to {request_name} cannot be read"):
        PARSERS[request_name](Frame({}))


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("ModelRefused", ModelRefused, "device x: no such layer"),
        ("DeviceUnavailable", DeviceUnavailable, "device x: no such layer"),
        ("", DeviceError, "device x failed with KeyError: no such layer; check"),
        ("SystemExit", DeviceError, "device x failed with KeyError"),
    ],
)
def test_an_error_keeps_its_kind_and_its_trace(kind: str, error: type[HarnessError], told: str) -> None:
    found = replies.error({"error": {"kind": kind, "type": "KeyError", "text": "no such\n layer", "traceback": "line 7"}}, "x")
    assert type(found) is error
    assert str(found).startswith(told)
    assert found.__notes__ == ["line 7"]


def test_a_number_without_end_is_refused() -> None:
    told = {"model": float("inf"), "load_s": 0.1, "first_inference_s": 0.1, "effective_precision": "f32", "threads": 1, "streams": 1}
    with pytest.raises(DeviceCrashed, match="answer to load cannot be read .cannot convert float infinity"):
        replies.facts(Frame({**told, "batch_size": 1}))


def test_an_error_without_a_text_is_garbled() -> None:
    with pytest.raises(DeviceCrashed, match="cannot be read"):
        replies.error({"error": {}}, "x")
    assert replies.error({}, "x") is None
