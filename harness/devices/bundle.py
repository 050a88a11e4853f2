"""The sources that make up one agent, as they are shipped to a device."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UnknownName, UsageError

AGENT_DIRECTORY = Path(__file__).parent / "agent"
SUFFIX = "_runtime"
ALWAYS = ("board_state", "device_lock", "faults", "host_state", "readiness")  # the serve loop itself imports these once they are installed


@dataclass(frozen=True, slots=True)
class Module:
    """One shipped file: its import name, its source and the source's SHA-256."""

    name: str
    source: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """serve: the source that the interpreter starts with. modules: what it imports."""

    serve: bytes
    modules: tuple[Module, ...]
    runtime: str

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits over all sources: which agent took a measurement."""
        everything = hashlib.sha256(self.serve)
        for module in self.modules:
            everything.update(module.digest.encode())
        return everything.hexdigest()[:16]


def runtimes() -> tuple[str, ...]:
    """The runtimes that exist, one file each."""
    return tuple(sorted(path.stem.removesuffix(SUFFIX) for path in AGENT_DIRECTORY.glob(f"*{SUFFIX}.py")))


def bundle(runtime: str, directory: Path | None = None) -> Bundle:
    """The agent for ``runtime``: a name from ``runtimes()`` or a path to a file ``NAME_runtime.py``, relative to ``directory``.

    The modules are the runtime's file and every file beside the agent that it imports, directly or not. UnknownName when
    there is no such runtime, UsageError when its file is not Python 3.6.
    """
    path = AGENT_DIRECTORY / f"{runtime}{SUFFIX}.py"
    if runtime.endswith(".py"):
        path = (directory or Path.cwd()) / runtime
    if not path.is_file():
        raise UnknownName("runtime", runtime, runtimes(), "or give the path of a file NAME_runtime.py")
    found: dict[str, bytes] = {}
    for name in ALWAYS:
        _collect(AGENT_DIRECTORY / f"{name}.py", found)
    _collect(path, found)
    modules = tuple(Module(name, source, hashlib.sha256(source).hexdigest()) for name, source in found.items())
    return Bundle((AGENT_DIRECTORY / "serve.py").read_bytes(), modules, path.stem)


def _collect(path: Path, found: dict[str, bytes]) -> None:
    """Add ``path`` to ``found`` behind everything that it imports."""
    source = path.read_bytes()
    try:
        tree = ast.parse(source, str(path), feature_version=(3, 6))
    except SyntaxError as error:
        raise UsageError(
            f"{path} line {error.lineno} is not Python 3.6 ({error.msg}); rewrite it, devices have old interpreters"
        ) from error
    for name in _imported(tree):
        neighbour = AGENT_DIRECTORY / f"{name}.py"
        if name not in found and neighbour.is_file() and neighbour != path:
            _collect(neighbour, found)
    found[path.stem] = source


def _imported(tree: ast.AST) -> tuple[str, ...]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return tuple(names)
