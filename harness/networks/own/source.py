"""The file behind ``path/to/file.py:factory``: where it lies, what is in it, and what it makes.

A campaign keeps a copy of the file and goes on with that one, under the network's own name, wherever it is resumed.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from harness.errors import UnknownName, UsageError, one_line
from harness.files import reading, trust
from harness.networks.own import signature
from harness.networks.own.signature import InputShape

COPIES = "network"  # a folder beside the weights of a network that was made by a file
_kept: dict[str, Path] = {}  # network's name -> the copy that is taken instead of the file
_imported: dict[str, ModuleType] = {}  # by the module's name, which has the content's digest in it


@dataclass(frozen=True)
class Source:
    """A user's file as it is now. path: as it is read; factory: the name in it."""

    path: Path
    factory: str
    content: bytes

    @property
    def module_name(self) -> str:
        """What it is called among the imported modules; another content is another module."""
        plain = "".join(sign if sign.isalnum() else "_" for sign in self.path.stem)
        return f"espalier_network_{plain}_{hashlib.sha256(self.content).hexdigest()[:12]}"


def is_own(name: str) -> bool:
    """Whether a network's name is that of a user's file and factory."""
    return name.rpartition(":")[0].endswith(".py")


def path_of(name: str) -> Path:
    """Where the file lies: the copy that was kept of it, else what the name says."""
    return _kept.get(name, Path(name.rpartition(":")[0]).expanduser())


def file_name(name: str) -> str:
    """Of the file, without its folders."""
    return Path(name.rpartition(":")[0]).name


def kept(name: str) -> Path | None:
    """The copy that the network called ``name`` is made by in this process, where there is one."""
    return _kept.get(name)


@contextmanager
def copies_in(folder: Path, name: str) -> Iterator[None]:
    """For as long as it lasts, the network called ``name`` is made by the copy in ``folder``, where one lies there.

    UsageError where that copy, or the file that ``name`` leads to, was not allowed to run: the name comes with the folder.
    """
    before, copied = _kept.get(name), folder / COPIES / file_name(name)
    if is_own(name) and copied.is_file():
        trust.require(copied, reading.read(copied))
        keep_to(name, copied)
    elif is_own(name) and path_of(name).is_file():
        trust.require(path_of(name), find(name).content)
    try:
        yield
    finally:
        _kept.pop(name, None)
        if before is not None:
            _kept[name] = before


def keep_to(name: str, copied: Path) -> None:
    """From now on, in this process, the network called ``name`` is made by the file ``copied``."""
    _kept[name] = copied.absolute()


def find(name: str) -> Source:
    """The file of a network; UsageError when it is not there."""
    path, factory = path_of(name), name.rpartition(":")[2]
    try:
        return Source(path, factory, reading.read(path))
    except OSError as error:
        why = "there is no file" if not path.exists() else "nobody can read"
        raise UsageError(one_line(f"{why} {path}; give the path of the Python file that holds {factory or 'the factory'}")) from error


def named_by_user(name: str) -> None:
    """The user gave this name on a command line: what its file holds now may run, in this process."""
    if is_own(name) and path_of(name).is_file():
        trust.allow_here(find(name).content)


def digest(name: str) -> str:
    """SHA-256 of the user's file behind a network's name, and of the name."""
    path, factory = path_of(name), name.rpartition(":")[2]
    content = path.read_bytes() if is_own(name) and path.is_file() else b""
    return hashlib.sha256(content + f"{factory}|{name}".encode()).hexdigest()


def build(source: Source, input_shape: InputShape, classes: int) -> nn.Module:
    """The network that the file's factory makes; UsageError with the user's own words and line where it makes none."""
    named = f"{source.path}:{source.factory}"
    with _telling(named):
        module = imported(source)
        factory = getattr(module, source.factory, None)
        if isinstance(factory, nn.Module):
            return copy.deepcopy(factory)
        if not callable(factory):
            offered = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise UnknownName(f"factory in {source.path}", source.factory, offered)
        call = signature.call_of(factory, named, input_shape, classes)
        model: Any = factory(*call.positional, **dict(call.named))
    if not isinstance(model, nn.Module):
        raise UsageError(f"{named} returned a {type(model).__name__}; return a torch.nn.Module")
    return model


def imported(source: Source) -> ModuleType:
    """The file as a module, once for every content: whatever it defines can then be sent to another process by name."""
    name = source.module_name
    if name in _imported:
        return _imported[name]
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(source.path))
    if spec is None:
        raise UsageError(f"{source.path} cannot be imported; give a Python file")
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(source.path)
    sys.modules[name] = module  # before it runs: a dataclass in it looks its own module up
    try:
        exec(compile(source.content, str(source.path), "exec"), vars(module))  # the user's own code, which they asked to be run
    except BaseException:
        del sys.modules[name]
        raise
    linecache.checkcache(str(source.path))
    _imported[name] = module
    return module


@contextmanager
def _telling(named: str) -> Iterator[None]:
    """The user's code may raise anything: it is their traceback's last line, and where in their file, that helps."""
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        told = f"failed with {type(error).__name__}: {error}{place(error)}"
        raise UsageError(one_line(f"{named} {told}; mend the file")) from error


def place(error: BaseException) -> str:
    """Where in the user's file an exception began, and the line that stands there: "" outside of any."""
    files = {str(Path(str(module.__file__))) for module in _imported.values()} | {str(path) for path in _kept.values()}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
