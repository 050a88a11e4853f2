"""How a test is called when it measures otherwise than usual: names are what pytest-benchmark compares by.

Two runs of one name are held against each other by ``--benchmark-compare``; so whatever makes a network take another time is in the name.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.records.pruning_config import PruningConfig


class Once(argparse.Action):
    """An option whose last value would win in silence: of two different ones neither is meant."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Store the value; another one later is kept beside it, for ``check`` to refuse."""
        given = getattr(namespace, _given(self.dest), ())
        setattr(namespace, _given(self.dest), (*given, values))
        setattr(namespace, self.dest, values)


def check_once(config: pytest.Config) -> None:
    """Refuse two different values of one option: UsageError."""
    for option in ("precision", "batch_size"):
        values = list(dict.fromkeys(getattr(config.option, _given(option), ())))
        if len(values) > 1:
            name = f"--{option.replace('_', '-')}"
            raise UsageError(f"{name} was given as {values[0]} and as {values[1]}; a run measures one, start one for each")


def suffix(config: pytest.Config) -> str:
    """What a test's name says behind its network: whatever of the options is not as usual; empty where all is."""
    asked = config.getoption
    told = [
        asked("--precision") if asked("--precision") != "f32" else "",
        f"batch{asked('--batch-size')}" if asked("--batch-size") != 1 else "",
        _configuration(asked("--config")),
        asked("--input-shape") or "",
        f"{asked('--pace'):g}Hz" if asked("--pace") else "",
        f"{asked('--sustained'):g}s" if asked("--sustained") else "",
        f"mode{asked('--set-power-mode')}" if asked("--set-power-mode") else "",
    ]
    return "".join(f"-{word}" for word in told if word)


def ids(config: pytest.Config, fixture: str, names: Sequence[str]) -> list[str]:
    """The names of a fixture's parameters: a network's with what is not as usual."""
    return [f"{name}{suffix(config)}" if fixture == "network" else name for name in names]


def _configuration(path: Path | None) -> str:
    """The digits by which tables call it; nothing where it cannot be read, which is refused elsewhere."""
    if path is None:
        return ""
    try:
        return PruningConfig.read(path).digest[:6]
    except UsageError:
        return path.stem


def _given(option: str) -> str:
    return f"espalier_given_{option}"
