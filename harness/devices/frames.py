"""Frames on the wire: 8-byte big-endian length, JSON header of that length, then the blobs that the header announces."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.files import json_text

MAX_HEADER_BYTES = 64 << 20  # a longer one is noise that happens to stand where a length should
MAX_BLOB_BYTES = 4 << 30

_LENGTH = struct.Struct(">Q")


class NotAFrame(Exception):
    """The bytes cannot be the beginning of a frame; the text says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a JSON object and the raw bytes that travel with it."""

    header: Mapping[str, Any]
    blobs: tuple[bytes, ...] = ()


def encode(frame: Frame) -> list[bytes]:
    """The frame as a list of byte strings, blobs uncopied."""
    text = json.dumps({**frame.header, "blobs": [len(blob) for blob in frame.blobs]}).encode()
    return [_LENGTH.pack(len(text)) + text, *frame.blobs]


class Decoder:
    """Collects bytes and gives back whole frames."""

    def __init__(self, preamble: bytes = b"") -> None:
        self._preamble = preamble  # everything up to and including it is skipped
        self._received = bytearray()
        self._header: dict[str, Any] | None = None
        self._sizes: Sequence[int] = ()

    def feed(self, received: bytes) -> None:
        """Add bytes as they arrive."""
        self._received += received

    @property
    def started(self) -> bool:
        """Whether the preamble has been seen."""
        return not self._preamble

    def next(self) -> Frame | None:
        """The next whole frame, or None until more bytes arrive; NotAFrame when none can follow."""
        if self._preamble and not self._skip_preamble():
            return None
        if self._header is None and not self._read_header():
            return None
        if len(self._received) < sum(self._sizes):
            return None
        blobs, at = [], 0
        view = memoryview(self._received)
        for size in self._sizes:
            blobs.append(bytes(view[at : at + size]))
            at += size
        view.release()
        del self._received[:at]
        assert self._header is not None
        frame = Frame(self._header, tuple(blobs))
        self._header, self._sizes = None, ()
        return frame

    def _skip_preamble(self) -> bool:
        at = self._received.find(self._preamble)
        if at < 0:
            if len(self._received) > MAX_HEADER_BYTES:
                raise NotAFrame("no agent announced itself")
            return False
        del self._received[: at + len(self._preamble)]
        self._preamble = b""
        return True

    def _read_header(self) -> bool:
        if len(self._received) < _LENGTH.size:
            return False
        (length,) = _LENGTH.unpack_from(self._received)
        if length > MAX_HEADER_BYTES:
            raise NotAFrame(f"a header of {length} bytes was announced")
        end = _LENGTH.size + length
        if len(self._received) < end:
            return False
        header = _object(bytes(self._received[_LENGTH.size : end]))
        sizes = header.pop("blobs", None)
        if not isinstance(sizes, list) or not all(type(size) is int and 0 <= size <= MAX_BLOB_BYTES for size in sizes):
            raise NotAFrame("the header announces no usable blob lengths")
        del self._received[:end]
        self._header, self._sizes = header, sizes
        return True


def _object(text: bytes) -> dict[str, Any]:
    try:
        header = json_text.parse(text)
    except ValueError as error:
        raise NotAFrame(f"the header is no JSON ({error})") from error
    if not isinstance(header, dict):
        raise NotAFrame("the header is no JSON object")
    return header
