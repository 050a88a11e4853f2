"""What a weights file holds, read without running anything that it holds.

torch's restricted unpickler makes tensors and plain containers only. Whatever else lies beside the weights (a numpy scalar, a path, the
trainer's options) becomes an ``Inert`` object, in which nothing is kept and which does nothing; the file's own classes and functions
are never looked up.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from harness.errors import UsageError, one_line

MOST_GROWTH = 10  # of an archive when it is unpacked; torch packs nothing
MOST_KINDS = 200  # of objects beside the weights; a trainer's options have a handful
_UNKNOWN = re.compile(r"Unsupported global: GLOBAL (\S+) was not")
_BLOCKED = re.compile(r"unsupported GLOBAL (\S+) whose module")
_ADVICE = "save its weights alone: torch.save(model.state_dict(), path)"


class Inert:
    """Stands for an object of a class that is not weights. kind: the class as the file names it; one subclass for each."""

    kind = ""

    def __new__(cls, *_: object, **__: object) -> Inert:
        """Whatever it is made from is dropped."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        """Whatever it is made from is dropped."""

    def __setstate__(self, state: object) -> None:
        """Whatever it is filled with is dropped."""


def read(path: Path) -> Any:
    """The object in ``path``: a dict of tensors from a safetensors file, whatever was saved from one of torch's.

    UsageError, one line, when there is no such file, or none that can be read so.
    """
    if not path.is_file():
        raise UsageError(one_line(f"there are no weights at {path}; give an existing .safetensors or .pt file"))
    try:
        _refuse_bomb(path)
        return safetensors.torch.load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise UsageError(one_line(f"{path} is no weights file ({_told(error)}); {_ADVICE}")) from error


def _refuse_bomb(path: Path) -> None:
    """ValueError for an archive that holds far more than it weighs: torch stores tensors as they are."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > MOST_GROWTH * path.stat().st_size:
        raise ValueError(f"its {path.stat().st_size} bytes would become {unpacked}")


def _unpickled(path: Path) -> Any:
    stand_ins: dict[str, type[Inert]] = {}
    while True:
        pairs: list[Any] = [(stand_in, name) for name, stand_in in stand_ins.items()]
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals(pairs):
                warnings.simplefilter("ignore")  # about pickle's protocol, in files that are refused right after
                return torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError) as error:
            unknown = _UNKNOWN.search(str(error))
            if unknown is None or unknown[1] in stand_ins or len(stand_ins) >= MOST_KINDS:
                raise
            stand_in = type("Inert", (Inert,), {"kind": unknown[1]})
            stand_ins |= {unknown[1]: stand_in, f"builtins.{unknown[1]}": stand_in}


def _told(error: Exception) -> str:
    """The reason without torch's advice to read the file unsafely."""
    text = str(error)
    if blocked := _BLOCKED.search(text):
        return f"it would run {blocked[1]}, and is left unread"
    if "TorchScript" in text or "torch.jit" in text:
        return "it is a TorchScript program"
    if "weights_only" in text or "Weights only" in text:
        reason = text.rpartition("WeightsUnpickler error:")[2].strip().splitlines()
        return reason[0] if reason and "weights_only" not in reason[0] and "Weights only" not in reason[0] else "it holds no plain weights"
    return (text.splitlines() or [type(error).__name__])[0] or type(error).__name__
