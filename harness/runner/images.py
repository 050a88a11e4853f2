"""What a bench run brings its images to: as asked for, and else as a campaign would; at their own size where nobody looks at them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness import exported
from harness.errors import HarnessError, PruningError, UsageError
from harness.exported import Exported
from harness.networks import datasets, export, input_size, zoo
from harness.networks.datasets import Dataset
from harness.networks.export import Artefact
from harness.networks.pictures import preparing
from harness.networks.pictures.preparing import Preparation
from harness.pipeline import Network
from harness.records.architecture import Architecture
from harness.records.conditions import INT8
from harness.runner import options
from harness.training import stored_baseline

JUDGING = ("test_accuracy", "test_sensitivity")  # suites that need the images themselves


def preparation(config: pytest.Config, items: Sequence[pytest.Item] = ()) -> Preparation:
    """Size and standardisation. items: what is run; latency alone needs no image of a built-in set in the size that is measured."""
    asked = config.getoption
    shape, dataset = asked("--input-shape"), asked("--dataset")
    if dataset.startswith(datasets.OWN):
        return preparing.of_words()  # its pictures come as the task's file has them
    known = dataset in datasets.DATASETS
    varies = not known or dataset == datasets.FASHION_MNIST
    if varies if shape is None else known and not _are_judged(config, items):
        shape = _own_size(config)
    found = preparing.of_words(shape, asked("--channels"), asked("--resize"), asked("--mean"), asked("--std"))
    built = [name for name in options.network_names(config) if not exported.is_file(name)]
    wanted = {zoo.wanted_channels(name, asked("--weights")) for name in built} - {None}
    return replace(found, channels=found.channels or (wanted.pop() if len(wanted) == 1 else None))


def shape(config: pytest.Config, dataset: Dataset) -> tuple[int, int, int]:
    """Channels x height x width that networks are measured at."""
    channels, height, width = options.input_shape(config) or dataset.input_shape
    return channels or dataset.input_shape[0], height, width


def read_contender(path: Path, name: str, config: pytest.Config, batch_size: int | None = None) -> Artefact:
    """An exported network to compare, at its own size, which may be another one than the run's; at ``--input-shape`` where that is open.

    Raises UsageError as ``export.read`` does.
    """
    try:
        return export.read(path, name, batch_size)
    except UsageError:
        return export.read(path, name, batch_size, options.input_shape(config))


def dataset_for(artefact: Artefact, dataset: Dataset, config: pytest.Config, items: Sequence[pytest.Item]) -> Dataset:
    """The run's images at the size that an exported network takes, which may be another one than the run's."""
    if len(artefact.input_shape) != 4:
        return dataset
    _, channels, height, width = artefact.input_shape
    if (channels, height, width) == dataset.input_shape or channels != dataset.input_shape[0]:
        return dataset
    asked, prepared = config.getoption, preparation(config, items)
    return datasets.at_size(dataset, prepared, f"{height}x{width}", asked("--data"), asked("--validation-from"))


def architecture_for(artefact: Artefact, network: Network | Exported) -> Architecture:
    """The run's network at the size that an exported one takes; as it is where that is not the same network."""
    channels, *size = artefact.input_shape[1:] or (0,)
    if isinstance(network, Exported) or (channels, *size) == network.architecture.input_shape or len(size) != 2:
        return network.architecture
    try:
        return network.at((channels, size[0], size[1])).architecture
    except HarnessError:
        return network.architecture


def narrowed_names(config: pytest.Config) -> list[str]:
    """The networks whose channels can be removed: none where contenders alone are given. Raises the harness's errors."""
    if config.getoption("--contender") and not names_a_network(config):
        return []
    return [name for name in options.network_names(config) if not exported.is_file(name) and not why_whole(name, config)]


def names_a_network(config: pytest.Config) -> bool:
    """Whether a network was asked for beside any contenders; weights alone are the default network's."""
    return bool(config.getoption("--network") or config.getoption("--weights"))


@functools.cache
def architecture_of(name: str, config: pytest.Config) -> Architecture:
    """The groups and layers of a network at the size that is measured, before anything is."""
    asked = config.getoption
    dataset = datasets.load(asked("--dataset"), asked("--data"), asked=preparation(config))
    return Network.by_name(name, dataset, None, shape(config, dataset), must_fit=False).architecture


@functools.cache
def why_whole(name: str, config: pytest.Config) -> str:
    """Why no channel of a network can be removed exactly, so that it is measured as it is; empty where some can."""
    try:
        architecture_of(name, config)
    except PruningError as error:
        return str(error)
    return ""


def _own_size(config: pytest.Config) -> str:
    asked = config.getoption
    files = [path for _, path in options.contenders(config)]
    files += [Path(name) for name in options.network_names(config) if exported.is_file(name)]
    if files:  # they say themselves
        sizes = export.read(files[0], files[0].stem, image=options.input_shape(config)).input_shape
        return "x".join(map(str, sizes[2:])) if len(sizes) == 4 else f"{preparing.SIDE}x{preparing.SIDE}"
    found = input_size.of(options.network_names(config)[0], asked("--dataset")).text
    if asked("--dataset") != datasets.FASHION_MNIST:
        return found
    before = f"{preparing.SIDE}x{preparing.SIDE}"  # of baselines that were trained when it was padded
    return stored_baseline.size_of(asked("--weights"), asked("--dataset"), asked("--data"), (found, before)) or found


def _are_judged(config: pytest.Config, items: Sequence[pytest.Item]) -> bool:
    asked = config.getoption
    given = asked("--weights") is not None or asked("--contender") or asked("--precision") == INT8
    return bool(given) or any(item.path.stem in JUDGING for item in items)
