"""Picture files to bytes of one size: hashed and decoded by several threads, straight into the rows of an array.

Threads, not processes: Pillow decodes and scales without the interpreter's lock, and a thread needs no import of everything again.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from harness.errors import DatasetError
from harness.files import reading
from harness.networks.pictures import large_arrays
from harness.networks.pictures.depth import SIXTEEN_BITS, Depth, is_deep
from harness.networks.pictures.preparing import COVER
from harness.networks.pictures.resizing import of_size

VERSION = f"3 pillow-{PIL.__version__}"  # of what a file becomes: raise the number with every change of a decoded pixel
DIGEST_BYTES = 16
_KEY = b"espalier pictures"  # keyed: nothing else that hashes files stands in the same order
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_PER_TASK = 64  # files: small ones take less time than handing them over

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class Coloured(Exception):
    """A picture has colours where grey ones were expected."""


class Deep(Exception):
    """A grey picture has more than 8 bits, and nobody has said yet what is white."""


@dataclass(frozen=True)
class Size:
    """What every picture is brought to: ``side`` high, ``width`` wide (None: a square), as ``resize`` says (``preparing.Preparation``).

    channels: 1 grey, 3 RGB, 4 RGB with a fourth band. strict: a picture with colours is no grey one (Coloured) and is not turned into
    one. depth: what is white in grey pictures of more than 8 bits; None where that must be found out (Deep).
    """

    side: int
    channels: int
    strict: bool = False
    width: int | None = None
    resize: str = COVER
    depth: Depth | None = SIXTEEN_BITS

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels x height x width."""
        return self.channels, self.side, self.side if self.width is None else self.width


def digest(content: bytes) -> bytes:
    """What a file is told by, and ordered by: nothing but its bytes."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=_KEY).digest()


def digests(files: Sequence[Path]) -> list[bytes]:
    """The digest of every file; DatasetError for one that cannot be read."""
    return [found for part in _in_parallel(lambda part: [digest(_content(file)) for file in part], files) for found in part]


def fill(rows: NDArray[np.uint8], files: Sequence[Path], expected: Sequence[bytes], size: Size) -> None:
    """Decode ``files`` into the rows of an ``N x C x H x W`` array.

    Raises DatasetError, naming the file, for what is no picture or no longer has its expected digest, and Coloured and Deep.
    """

    def decode(part: Sequence[int]) -> None:
        for row in part:
            content = _content(files[row])
            if digest(content) != expected[row]:
                raise DatasetError(f"{files[row]} was changed while it was read; start again when nothing writes there")
            rows[row] = _pixels(files[row], content, size)

    for _ in _in_parallel(decode, range(len(files))):
        large_arrays.was_read(_PER_TASK * rows[0].nbytes)


def _in_parallel(work: Callable[[Sequence[_Item]], _Answer], items: Sequence[_Item]) -> Iterator[_Answer]:
    """What ``work`` answers to slices of ``items``, in their order; the first error ends it."""
    parts = [items[start : start + _PER_TASK] for start in range(0, len(items), _PER_TASK)]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(processors) as pool:
        yield from pool.map(work, parts)


def _content(file: Path) -> bytes:
    try:
        return reading.read(file)
    except MemoryError as error:
        raise _without_memory(file) from error
    except OSError as error:
        raise DatasetError(f"{file} cannot be read ({error.strerror}); give it back its permissions, or remove it") from error


def _without_memory(file: Path) -> DatasetError:
    return DatasetError(f"{file} takes more memory than there is; make it smaller, or remove it")


def _pixels(file: Path, content: bytes, size: Size) -> NDArray[np.uint8]:
    """One picture, ``C x H x W``."""
    channels, height, width = size.shape
    with _told(file), Image.open(io.BytesIO(content)) as opened:
        if size.strict and channels == 1 and opened.mode not in _GREY_MODES:
            raise Coloured(file)
        if size.depth is None and is_deep(opened.mode):
            raise Deep(file)
        image = _converted(opened, _MODES[channels], size.depth or SIXTEEN_BITS)
        bands = image.split() if channels == 4 else (image,)  # one by one: Pillow would darken colours by the fourth, as if it were alpha
        found = [np.asarray(of_size(band, height, width, size.resize), np.uint8) for band in bands]
    if channels == 4:
        return np.stack(found)
    return found[0][None] if channels == 1 else found[0].transpose(2, 0, 1)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Whatever a file's content makes Pillow raise, as a DatasetError that names it."""
    try:
        yield
    except (Coloured, Deep):
        raise
    except MemoryError as error:
        raise _without_memory(file) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(f"{file} is too large for Pillow to open it safely; make it smaller, or remove it") from error
    except Exception as error:  # a damaged file decides which of many exceptions Pillow's readers raise
        raise DatasetError(f"{file} is not a readable image ({type(error).__name__}); replace or remove it") from error


def _converted(image: Image.Image, mode: str, depth: Depth) -> Image.Image:
    """In 8 bits per channel, without transparency where three channels or one are asked for."""
    image.load()
    if is_deep(image.mode):
        image = Image.fromarray(depth.in_8_bits(np.asarray(image)))
    if mode == "RGBA" and image.mode == "CMYK":
        image = image.convert("RGB")
    return image.copy() if image.mode == mode else image.convert(mode)


def sizes(files: Sequence[Path]) -> set[tuple[int, int]]:
    """Width and height of every file, from its first bytes; DatasetError for one that is no picture."""

    def look(part: Sequence[Path]) -> set[tuple[int, int]]:
        found = set()
        for file in part:
            if not file.is_file():
                raise DatasetError(f"{file} is no file; remove it")
            with _told(file), Image.open(file) as opened:
                found.add(opened.size)
        return found

    return set().union(*_in_parallel(look, files))


def depths(files: Sequence[Path]) -> list[tuple[bool, float, float, Path]]:
    """Whether it is floating point, the darkest and the brightest value, and the file, of every grey one of more than 8 bits."""

    def look(part: Sequence[Path]) -> list[tuple[bool, float, float, Path]]:
        found = []
        for file in part:
            with _told(file), Image.open(io.BytesIO(_content(file))) as opened:
                if is_deep(opened.mode):
                    values = np.asarray(opened)
                    found.append((values.dtype.kind == "f", float(values.min()), float(values.max()), file))
        return found

    return [one for part in _in_parallel(look, files) for one in part]
