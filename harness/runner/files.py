"""Networks that are ONNX files, in a run of the benchmarks: what is told of them, and which suites leave them out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness import exported
from harness.errors import UsageError
from harness.exported import Exported
from harness.runner.collected import Collected

PRUNES = "prunes"  # the mark of tests that remove channels


def adopted(file: Exported, collected: Collected) -> Exported:
    """``file``, with its architecture and what should be known of it among what the run tells."""
    collected.architectures.append(file.architecture)
    collected.texts.extend(file.notes)
    return file


def leave_out_pruning(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Skip, in words, what removes channels from a network that is a file; UsageError where nothing else was asked for."""
    left = [(item, name) for item in items if item.get_closest_marker(PRUNES) and (name := _file_of(item, config)) is not None]
    if left and len(left) == len(items):
        raise UsageError(f"{left[0][1]} {exported.NO_PRUNING}")
    for item, name in left:
        item.add_marker(pytest.mark.skip(reason=f"{name} {exported.NO_PRUNING}"))


def _file_of(item: pytest.Item, config: pytest.Config) -> str | None:
    """The file that a test's network is, or None."""
    called = getattr(item, "callspec", None)
    name = None if called is None else called.params.get("network")
    if not isinstance(name, str):
        return None
    return name if exported.is_file(name) or name in config.getoption("--contender") else None


def unattributed(file: Exported, attributed: set[str]) -> str:
    """A sentence on layers that no executed node names, because the runtime computed them otherwise; empty where there are none."""
    lost = [site.name for site in file.architecture.layers if site.name not in attributed]
    if not lost:
        return ""
    return f"{file.name}: no time of its own has {', '.join(lost[:5])}{' …' if len(lost) > 5 else ''}; the runtime runs it within others"
