"""Where our own suites lie: in the checkout, or in the package where it was installed from a wheel."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UnknownName, UsageError

PLUGIN = "harness.runner.plugin"
_PACKAGE = Path(__file__).parents[2]
PLACES = (_PACKAGE / "bench", _PACKAGE.parent / "bench")  # in a wheel, in a checkout
SUITE = "test_network_latency.py"  # by which a place is told from a folder that is called alike


def folder(places: Sequence[Path] = PLACES) -> Path:
    """The folder of the suites; UsageError where none came with this installation."""
    for place in places:
        if (place / SUITE).is_file():
            return place
    raise UsageError("this installation holds no suites; install Espalier from a wheel, or run pytest bench/ in a checkout")


def is_own(path: Path) -> bool:
    """Whether a file is one of our suites, or their folder; a user's own folder called ``bench`` is not."""
    return _is_a_place(path) or _is_a_place(path.parent)


@functools.cache
def _is_a_place(folder: Path) -> bool:
    return folder.resolve() in {place.resolve() for place in PLACES if (place / SUITE).is_file()}


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
