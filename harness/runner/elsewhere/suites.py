"""Where our own suites lie: in the checkout, or in the package where it was installed from a wheel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UnknownName, UsageError

PLUGIN = "harness.runner.plugin"
_PACKAGE = Path(__file__).parents[2]
PLACES = (_PACKAGE / "bench", _PACKAGE.parent / "bench")  # in a wheel, in a checkout


def folder(places: Sequence[Path] = PLACES) -> Path:
    """The folder of the suites; UsageError where none came with this installation."""
    for place in places:
        if (place / "test_network_latency.py").is_file():
            return place
    raise UsageError("this installation holds no suites; install Espalier from a wheel, or run pytest bench/ in a checkout")


def names(place: Path) -> tuple[str, ...]:
    """The suites in a folder, as they are called: ``network_latency``."""
    return tuple(sorted(path.stem.removeprefix("test_") for path in place.glob("test_*.py")))


def arguments(words: Sequence[str], place: Path, working: Path) -> list[str]:
    """What pytest is called with for a command line of suites and options.

    words: leading names of suites, all where there are none, then whatever pytest takes. UnknownName for a suite that does not exist.
    """
    count = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    chosen, options = words[:count], words[count:]
    known = names(place)
    for one in chosen:
        if one not in known:
            raise UnknownName("suite", one, known)
    files = [str(place / f"test_{one}.py") for one in chosen] or [str(place)]
    return ["-p", PLUGIN, f"--rootdir={working}", "--import-mode=importlib", *files, *options]
