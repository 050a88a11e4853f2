"""How a test is called when it measures otherwise than usual: names are what pytest-benchmark compares by.

Two runs of one name are held against each other by ``--benchmark-compare``; so whatever makes a network take another time is in the name.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.devices import spec
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
    """Refuse two different values of one option, and what makes no sense of several inferences at once: UsageError."""
    _check_streams(config)
    for option in ("precision", "batch_size", "threads", "streams"):
        values = [one if isinstance(one, str) else ",".join(map(str, one)) for one in getattr(config.option, _given(option), ())]
        values = list(dict.fromkeys(values))
        if len(values) > 1:
            name = f"--{option.replace('_', '-')}"
            do = "a run measures one, start one for each" if option == "precision" else f"give them as one: {name}={','.join(values)}"
            raise UsageError(f"{name} was given as {values[0]} and as {values[1]}; {do}")


def _check_streams(config: pytest.Config) -> None:
    if not config.getoption("--streams"):
        return
    for word in ("--pace", "--sustained", "--baseline", "--against", "--compile-only", "--max-noise", "--precision-target"):
        if config.getoption(word):
            raise UsageError(f"--streams with {word}: throughput is counted, not timed inference by inference; leave one of them out")


def batch_size(config: pytest.Config) -> int:
    """Images per inference, of what is measured at one size; UsageError where several were asked for."""
    sizes: tuple[int, ...] = config.getoption("--batch-size")
    if len(sizes) > 1:
        given = ",".join(map(str, sizes))
        raise UsageError(f"--batch-size={given}: only test_{{network_latency,layer_latency,throughput}}.py take several; name one of them")
    return sizes[0]


def suffix(config: pytest.Config, batch_size: int) -> str:
    """What a test's name says behind its network: whatever of the options is not as usual; empty where all is."""
    asked = config.getoption
    told = [
        asked("--precision") if asked("--precision") != "f32" else "",
        f"batch{batch_size}" if batch_size != 1 else "",
        _configuration(asked("--config")),
        asked("--input-shape") or "",
        f"{asked('--pace'):g}Hz" if asked("--pace") else "",
        f"{asked('--sustained'):g}s" if asked("--sustained") else "",
        f"mode{asked('--set-power-mode')}" if asked("--set-power-mode") else "",
    ]
    return "".join(f"-{word}" for word in told if word)


def network_ids(config: pytest.Config, networks: Sequence[str], batch_sizes: Sequence[int]) -> list[str]:
    """How networks are called, each at every batch size: with what is not as usual."""
    return [f"{name}{suffix(config, size)}" for name in networks for size in batch_sizes]


def device_ids(choices: Sequence[tuple[str, int]]) -> list[str]:
    """How devices are called: with their threads where those are not their table's."""
    return [name + ("" if _usual(name, threads) else f"-{threads}thread{'s' if threads != 1 else ''}") for name, threads in choices]


def _usual(name: str, threads: int) -> bool:
    return not threads or dict(spec.find(name).options).get("threads") == threads


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
