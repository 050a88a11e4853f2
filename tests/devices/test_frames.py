"""Frames survive any cut into pieces; what is no frame is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.frames import Decoder, Frame, NotAFrame, encode

scalars = st.none() | st.booleans() | st.integers() | st.text()
headers = st.dictionaries(st.text().filter(lambda key: key != "blobs"), scalars | st.lists(scalars, max_size=3), max_size=5)
messages = st.lists(st.builds(Frame, headers, st.lists(st.binary(max_size=60), max_size=3).map(tuple)), min_size=1, max_size=4)


@given(messages, st.integers(1, 50), st.binary(max_size=20))
def test_frames_come_out_as_they_went_in_however_they_are_cut(sent: list[Frame], piece: int, banner: bytes) -> None:
    wire = banner.replace(b"!", b"?") + b"!go\n" + b"".join(part for frame in sent for part in encode(frame))
    decoder, received = Decoder(b"!go\n"), []
    for start in range(0, len(wire), piece):
        decoder.feed(wire[start : start + piece])
        while (frame := decoder.next()) is not None:
            received.append(frame)
    assert received == sent


@pytest.mark.parametrize(
    "wire",
    [
        struct.pack(">Q", 1 << 40),
        struct.pack(">Q", 4) + b"{{{{",
        struct.pack(">Q", 2) + b"[]",
        struct.pack(">Q", 2) + b"{}",
        struct.pack(">Q", 13) + b'{"blobs":[-1]',
        struct.pack(">Q", 14) + b'{"blobs":[-1]}',
        struct.pack(">Q", 16) + b'{"blobs":[true]}',
        b"Warning: printed by a library\n",
    ],
    ids=["too-long", "no-json", "no-object", "no-blobs", "cut", "negative", "truth", "text"],
)
def test_what_is_no_frame_is_refused(wire: bytes) -> None:
    decoder = Decoder()
    decoder.feed(wire)
    with pytest.raises(NotAFrame):
        decoder.next()
