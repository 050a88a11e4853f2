"""Fashion-MNIST's IDX files: where they lie, and their pixels and labels.

[Xiao2017] H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, arXiv:1708.07747. The IDX format: two zero bytes, the type
(8 = unsigned byte), the number of dimensions, each dimension as four big-endian bytes, then the values.
"""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError
from harness.files import reading
from harness.networks.own import torchvision_door
from harness.networks.pictures import picture_cache

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_UNSIGNED_BYTE = 8


def find_fashion_mnist(data_dir: Path | None) -> Path:
    """The folder that holds the four files: the given one, Debian's, or torchvision's download. Raises DatasetError."""
    if data_dir is not None:
        for folder in (data_dir, data_dir / "fashion-mnist", data_dir / "FashionMNIST" / "raw"):
            if _complete(folder):
                return folder
        raise DatasetError(f"{data_dir} does not hold the four files of fashion-mnist ({_NAMES[0]}.gz, ...); put them there")
    if _complete(DEBIAN_FOLDER):
        return DEBIAN_FOLDER
    folder = picture_cache.cache_folder()
    if not _complete(folder / "FashionMNIST" / "raw"):
        try:
            torchvision_door.datasets().FashionMNIST(str(folder), download=True)
        except (OSError, RuntimeError) as error:
            told = str(error).splitlines()[0]
            raise DatasetError(
                f"fashion-mnist is not on this machine and cannot be fetched ({told}); run: apt-get install dataset-fashion-mnist"
            ) from error
    return folder / "FashionMNIST" / "raw"


def read(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """The array in ``folder/name`` or ``folder/name.gz``. Raises DatasetError when it is damaged or of another shape."""
    path = folder / f"{name}.gz"
    path = path if path.is_file() else folder / name
    try:
        content = reading.read(path)
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                content = packed.read(reading.MOST_BYTES)  # a small file may hold no end of zeros
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read ({error}); fetch it again") from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        raise DatasetError(f"{path} is no IDX file of bytes in {dimensions} dimensions; fetch it again")
    shape = tuple(int.from_bytes(content[start : start + 4], "big") for start in range(4, header, 4))
    values = np.frombuffer(content, np.uint8, offset=header)
    if values.size != int(np.prod(shape, dtype=np.int64)) or values.size == 0:
        raise DatasetError(f"{path} holds {values.size} values where its header says {'x'.join(map(str, shape))}; fetch it again")
    return values.reshape(shape)


def read_labels(folder: Path, part: str, classes: int) -> NDArray[np.int64]:
    """The labels of ``part`` ("train" or "t10k"), each from 0 to ``classes`` - 1. Raises DatasetError."""
    labels = read(folder, f"{part}-labels-idx1-ubyte", 1).astype(np.int64)
    if labels.max() >= classes:
        raise DatasetError(f"{folder}/{part}-labels-idx1-ubyte names class {labels.max()} of {classes}; fetch it again")
    return labels


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in _NAMES)
