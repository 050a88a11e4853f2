"""The networks of a run of the benchmarks, built by name or read from ONNX files, and which suites leave them out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness import exported
from harness.devices.samples import Subject
from harness.devices.session import Session
from harness.errors import PruningError, UsageError
from harness.exported import Exported
from harness.networks import export, zoo
from harness.networks.datasets import Dataset
from harness.networks.foreign import idle_weights
from harness.pipeline import Network, latency_subject
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig
from harness.runner import images, int8_options, naming, options
from harness.runner.collected import Collected
from harness.runner.elsewhere import suites

KINDS = {"compiles": "--compile-only", "streams": "--streams"}  # tests with such a mark run with the option, and only then
PRUNES = "prunes"  # the mark of tests that remove channels


def names(config: pytest.Config, fixtures: Collection[str], prunes: bool = False) -> list[str]:
    """The networks of a test: those asked for; where latency alone is measured, every contender as well, as ``NAME=FILE.onnx``.

    prunes: the test removes channels. Where contenders alone are given it gets those too, to be left out in words: never the default
    network in their place.
    """
    measures = bool({"subject", "sweep"}.intersection(fixtures))
    given = config.getoption("--contender") if measures or (prunes and not images.names_a_network(config)) else []
    asked = options.network_names(config) if images.names_a_network(config) or not given else []
    return list(dict.fromkeys([*asked, *given]))


def called(config: pytest.Config) -> tuple[str, ...]:
    """What tables and limits call the networks of this run: a file by its name without ending, a contender by its own."""
    asked = [Path(name).stem if exported.is_file(name) else name for name in options.network_names(config)]
    return tuple(dict.fromkeys([*asked, *(text.partition("=")[0] for text in config.getoption("--contender"))]))


def device_choices(config: pytest.Config) -> list[tuple[str, int]]:
    """The devices of this run with the threads of each, 0 for those of its table."""
    return [(name, threads) for name in options.device_names(config) for threads in config.getoption("--threads") or (0,)]


def parametrize(metafunc: pytest.Metafunc) -> None:
    """One test per device, with the threads of each, network, batch size and number of streams, where the test takes them."""
    config, fixtures = metafunc.config, metafunc.fixturenames
    if "device" in fixtures:
        choices = device_choices(config)
        metafunc.parametrize("device", choices, indirect=True, scope="session", ids=naming.device_ids(choices))
    sizes: tuple[int, ...] = config.getoption("--batch-size")
    if "network" in fixtures:
        given = names(config, fixtures, metafunc.definition.get_closest_marker(PRUNES) is not None)
        if len(sizes) > 1 and "subject" in fixtures and "judge" not in fixtures:
            pairs, called = [(name, size) for name in given for size in sizes], naming.network_ids(config, given, sizes)
            metafunc.parametrize(("network", "batch_size"), pairs, indirect=True, scope="session", ids=called)
        else:
            metafunc.parametrize("network", given, indirect=True, scope="session", ids=naming.network_ids(config, given, sizes[:1]))
    if "streams" in fixtures:
        counts = config.getoption("--streams") or (1,)
        metafunc.parametrize("streams", counts, scope="session", ids=[f"{count}stream{'s' if count != 1 else ''}" for count in counts])


def network(request: pytest.FixtureRequest, collected: Collected, batch_size: int) -> Network | Exported:
    """The network of the request's name, built for the images or read from its file, and among what the run tells. Raises UsageError."""
    config = request.config
    made: Network | Exported | None = _read(config, request.param, batch_size)
    if made is None:
        seen: Dataset = request.getfixturevalue("dataset")
        weights = config.getoption("--weights")
        shape = images.shape(config, seen)
        try:
            made = Network.by_name(request.param, seen, weights, shape, must_fit=weights is not None)
        except PruningError as error:  # nobody may ask that here
            if config.getoption("--config"):
                raise UsageError(f"--config with --network={request.param}: {error}, or leave --config out") from error
            made = _whole(request.param, seen, weights, shape or seen.input_shape, batch_size)
    int8_options.check_in_float(config, made.architecture)
    collected.architectures.append(made.architecture)
    collected.texts.extend(made.notes)
    return made


@pytest.fixture(scope="session")
def subject(network: Network | Exported, config: PruningConfig, batch_size: int, collected: Collected) -> Subject:
    """What is measured: the network that ``--network`` and ``--config`` name, or a file as it is; weights that only cost time are told."""
    made = network.subject() if isinstance(network, Exported) else latency_subject(network, config, batch_size=batch_size)
    collected.texts.extend(idle_weights.found(made.onnx, made.node_layers).sentences(made.network))
    return made


def _whole(name: str, seen: Dataset, weights: Path | None, shape: tuple[int, int, int], batch_size: int) -> Exported:
    """A network of which no channel can be removed exactly, as a file of it is measured; which is told."""
    made = zoo.built_for_measuring(name, shape, seen.classes, seen.task)
    read = () if weights is None else zoo.load_weights(made.model, weights)
    found = Exported.of(export.export(made.model, shape, name, batch_size))
    told = f"{name} is measured as it is: none of its channels can be removed exactly"
    return replace(found, notes=(*made.notes, *read, *found.notes, told))


def _read(config: pytest.Config, name: str, batch_size: int) -> Exported | None:
    label, _, path = name.partition("=") if name in config.getoption("--contender") else ("", "", name)
    if not label and not exported.is_file(name):
        return None
    return Exported.read(Path(path), label or None, batch_size, options.input_shape(config))


def check(config: pytest.Config) -> None:
    """Refuse what cannot be done to a network that is an ONNX file."""
    files = [name for name in options.network_names(config) if exported.is_file(name)]
    for name in files:
        if not Path(name).is_file():
            raise UsageError(f"--network={name}: there is no such file; give one that exists")
        for word, why in (
            ("--weights", "has its weights inside"),
            ("--network-copy", "has no factory"),
            ("--config", "cannot be pruned"),
            ("--group", "cannot be pruned"),
        ):
            if config.getoption(word):
                raise UsageError(f"{word} with --network={name}: an ONNX file {why}; leave {word} out")
    given = config.getoption("--contender")
    if given and not images.names_a_network(config):
        for word, why in (("--network-copy", "has no factory"), ("--config", "cannot be pruned"), ("--group", "cannot be pruned")):
            if config.getoption(word):
                raise UsageError(
                    f"{word} with --contender={given[0]}: an ONNX file {why}; leave {word} out, or name the network meant by --network=NAME"
                )


def of_another_kind(config: pytest.Config, items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The benchmarks that are not of the kind asked for; UsageError where nothing is left for want of an option, or because of one."""
    asked = {mark for mark, option in KINDS.items() if config.getoption(option)}
    marks = [(item, {mark for mark in KINDS if item.get_closest_marker(mark) is not None}) for item in items]
    other = [(item, found) for item, found in marks if suites.is_own(item.path) and found != asked]
    if other and len(other) == len(items):
        path, (mark,) = other[0][0].path.name, other[0][1] - asked or asked
        do = f"leave {KINDS[mark]} out, or name bench/" if mark in asked else f"give {KINDS[mark]}"
        raise UsageError(f"{path} runs {'without' if mark in asked else 'only with'} {KINDS[mark]}; {do}")
    return [item for item, _ in other]


def leave_out_pruning(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Skip, in words, what removes channels from a network of which none can go, as a file; UsageError where nothing else was asked for."""
    left = [(item, why) for item in items if item.get_closest_marker(PRUNES) and (why := _why_whole(item, config))]
    if left and len(left) == len(items):
        raise UsageError(left[0][1])
    for item, why in left:
        item.add_marker(pytest.mark.skip(reason=why))


def _why_whole(item: pytest.Item, config: pytest.Config) -> str:
    """Why no channel of a test's network can be removed; empty where some can, or the test has none."""
    called = getattr(item, "callspec", None)
    name = None if called is None else called.params.get("network")
    if not isinstance(name, str):
        return ""
    if exported.is_file(name) or name in config.getoption("--contender"):
        return f"{name} {exported.NO_PRUNING}"
    return images.why_whole(name, config)


def check_nodes(device: Session, measurement: Measurement, layers: Collection[str] = ()) -> None:
    """UsageError, in one line, where the device's runtime told no times of nodes, or none of these layers."""
    if not measurement.layers:
        raise UsageError(
            f"device {device.info.name}: its runtime {device.info.runtime} tells no times of nodes, so its layers have none; "
            "let its model's profile(inferences) return them (CONTRIBUTING.md), or measure whole networks: bench/test_network_latency.py"
        )
    attributed = {layer for node in measurement.layers for layer in node.source_layers}
    if lost := [layer for layer in layers if layer not in attributed]:
        named = f"{', '.join(lost[:5])}{' …' if len(lost) > 5 else ''}"
        raise UsageError(
            f"device {device.info.name}: no node of {measurement.network} is credited to {named}; "
            f"let profile() of its runtime {device.info.runtime} name the ONNX nodes that each of its nodes stands for (sources)"
        )


def unattributed(file: Exported, attributed: set[str]) -> str:
    """A sentence on layers that no executed node names, because the runtime computed them otherwise; empty where there are none."""
    lost = [site.name for site in file.architecture.layers if site.name not in attributed]
    if not lost:
        return ""
    return f"{file.name}: no time of its own has {', '.join(lost[:5])}{' …' if len(lost) > 5 else ''}; the runtime runs it within others"
