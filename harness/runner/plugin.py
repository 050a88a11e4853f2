"""pytest options, fixtures and hooks of the harness: they translate between pytest and the rooms, and decide nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import progress
from harness.compare.gate import append_summary
from harness.devices import session as device_session
from harness.devices.measure import Protocol, Subject, measure_interleaved
from harness.devices.measure import measure as measure_subject
from harness.devices.visits import Visiting, Visits
from harness.doctor import examination
from harness.errors import HarnessError, NoisyMeasurement
from harness.exported import Exported
from harness.networks import datasets
from harness.pages import ci_summary, tables
from harness.pages import throughput as throughput_table
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig
from harness.runner import device_clock, gate_plugin, images, naming, options, other_plugins, precision_line, subjects
from harness.runner.collected import Collected
from harness.runner.elsewhere import suites
from harness.runner.quantised import Quantising
from harness.runner.streaming import throughput as throughput
from harness.runner.subjects import subject as subject
from harness.verification import distiller_line

HIDDEN_ROLES = ("design", "held-out", "staircase")  # measured by the hundred: in the file, not in the terminal's table


COLLECTED = pytest.StashKey[Collected]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the harness's options, and the gate."""
    options.add(parser)
    for module in (gate_plugin, other_plugins):
        pluginmanager.register(module, module.__name__)


def pytest_configure(config: pytest.Config) -> None:
    """Check what the options name before anything runs; one line and exit code 2 when it does not exist."""
    config.stash[COLLECTED] = Collected()
    config.addinivalue_line("markers", "measures: the test records device samples through pytest-benchmark")
    config.addinivalue_line("markers", "prunes: the test needs a network whose channels can be removed, so no ONNX file")
    config.addinivalue_line("markers", "compiles: the test runs with --compile-only, and only then")
    config.addinivalue_line("markers", "streams: the test runs with --streams, and only then")
    with _mistakes_end_the_run():
        other_plugins.check(config)
        for name in options.device_names(config):
            options.device_spec(config, name)
        options.check(config)
        subjects.check(config)


@contextmanager
def _mistakes_end_the_run() -> Iterator[None]:
    try:
        yield
    except HarnessError as error:
        gate_plugin.end(error)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per device and network that the options name; suites of latency alone measure the contenders as well."""
    if suites.is_own(metafunc.definition.path):
        subjects.parametrize(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another kind of run was asked for than; give tests that record device samples the clock that the device moves."""
    with _mistakes_end_the_run():
        if other := subjects.of_another_kind(config, items):
            config.hook.pytest_deselected(items=other)
            items[:] = [item for item in items if item not in other]
        subjects.leave_out_pruning(config, items)
    for item in items:
        if "record" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=device_clock.CLOCK))


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> Iterator[device_session.Session]:
    """A session on the device that ``--device`` names."""
    with _mistakes_end_the_run():
        opened = device_session.Device(options.device_spec(request.config, *request.param)).open()
    with opened as session:
        examination.note_unready(session)
        yield session


@pytest.fixture(scope="session")
def dataset(request: pytest.FixtureRequest) -> datasets.Dataset:
    """The images that ``--dataset`` names, grey or RGB where the networks can take nothing else."""
    asked = request.config.getoption
    with _mistakes_end_the_run():
        prepared = images.preparation(request.config, request.session.items)
        return datasets.load(asked("--dataset"), asked("--data"), validation_from=asked("--validation-from"), asked=prepared)


@pytest.fixture(scope="session")
def network(request: pytest.FixtureRequest, batch_size: int) -> Network | Exported:
    """The dense network that ``--network`` names, with its channel groups; or the ONNX file, which has layers alone."""
    with _mistakes_end_the_run():
        return subjects.network(request, request.config.stash[COLLECTED], batch_size)


@pytest.fixture(scope="session")
def config(request: pytest.FixtureRequest, network: Network | Exported) -> PruningConfig:
    """The pruning configuration that ``--config`` names, or the dense one."""
    path = request.config.getoption("--config")
    if path is None or isinstance(network, Exported):
        return network.architecture.dense()
    with _mistakes_end_the_run():
        chosen = PruningConfig.read(path)
        network.architecture.check(chosen)
    return chosen


@pytest.fixture(scope="session")
def batch_size(request: pytest.FixtureRequest) -> int:
    """Images per inference."""
    with _mistakes_end_the_run():
        return int(getattr(request, "param", 0) or naming.batch_size(request.config))


@pytest.fixture(scope="session")
def contenders(request: pytest.FixtureRequest) -> list[tuple[str, Path]]:
    """Exported networks to compare, as ``(name, file)``."""
    return options.contenders(request.config)


@pytest.fixture(scope="session")
def quantising(request: pytest.FixtureRequest) -> Quantising:
    """What ``--precision=int8`` makes of networks before they are loaded."""
    return Quantising(request.config, lambda: request.getfixturevalue("dataset"))


@pytest.fixture(scope="session")
def measure(request: pytest.FixtureRequest, quantising: Quantising, batch_size: int) -> Callable[..., Measurement]:
    """Function: measure one subject on a session as the options say, with changes to the protocol by name."""

    def measure_as_asked(session: device_session.Session, subject: Subject, **changes: Any) -> Measurement:
        chosen = options.unless_disabled(request.config, replace(options.protocol(request.config), **changes))
        asked = request.config.getoption
        precision_line.say_once(request.config, session, subject, batch_size)
        wanted = quantising.one(session, subject)
        return measure_subject(session, wanted, chosen, precision=asked("--precision"), batch_size=batch_size)

    return measure_as_asked


@pytest.fixture(scope="session")
def measure_together(request: pytest.FixtureRequest, quantising: Quantising, batch_size: int) -> Callable[..., tuple[Measurement, ...]]:
    """Function: measure several subjects on a session, interleaved."""

    def measure_as_asked(session: device_session.Session, subjects: Sequence[Subject], chosen: Protocol) -> tuple[Measurement, ...]:
        asked = request.config.getoption
        precision_line.say_once(request.config, session, subjects[0], batch_size)
        wanted = quantising.each(session, subjects)
        with progress.shown(request.config, "measuring") as advance:
            return measure_interleaved(
                session,
                wanted,
                options.unless_disabled(request.config, chosen),
                precision=asked("--precision"),
                batch_size=batch_size,
                progress=advance,
            )

    return measure_as_asked


@pytest.fixture(scope="session")
def measure_visits(
    request: pytest.FixtureRequest, quantising: Quantising, batch_size: int
) -> Callable[[device_session.Session, Subject], Callable[..., tuple[Measurement, ...]]]:
    """Function: given a session and the canary, a function that measures designed sets of networks, one after the other."""

    def begin(session: device_session.Session, canary: Subject) -> Callable[..., tuple[Measurement, ...]]:
        asked = request.config.getoption
        precision_line.say_once(request.config, session, canary, batch_size)
        visiting = Visiting.of_rounds(asked("--rounds")) if asked("--rounds") else Visiting()
        visits = Visits(session, quantising.one(session, canary, latency_alone=True), visiting, asked("--precision"), batch_size)

        def measure_as_asked(subjects: Sequence[Subject]) -> tuple[Measurement, ...]:
            wanted = quantising.each(session, subjects, latency_alone=True)
            with progress.shown(request.config, "measuring") as advance:
                return visits.measure(wanted, advance)

        return measure_as_asked

    return begin


@pytest.fixture
def record(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[Measurement], None]:
    """Function: put a measurement into pytest-benchmark's results and into the run's summary."""

    def keep(measurement: Measurement) -> None:
        device_clock.replay(benchmark, measurement)
        device_clock.add_layers(benchmark, measurement)
        request.config.stash[COLLECTED].measurements.append(measurement)
        most, spread = request.config.getoption("--max-noise"), measurement.latency.block_spread_ratio
        if most is not None and spread > most:
            raise NoisyMeasurement(
                f"{measurement.network}: blocks differ by {spread:.1%}, --max-noise allows {most:.1%}; "
                "close other programs, pin the process to a processor (taskset), or raise its priority (nice -n -10)"
            )

    return keep


@pytest.fixture(scope="session")
def collected(request: pytest.FixtureRequest) -> Collected:
    """What this run measured so far."""
    return request.config.stash[COLLECTED]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show a user's or a device's mistake as its one line, without a traceback."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, HarnessError) and _shows_lines(item):
        report.longrepr = str(call.excinfo.value)
    return report


def _shows_lines(item: pytest.Item) -> bool:
    return suites.is_own(item.path) and item.config.getoption("tbstyle") != "long"


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Name the devices, so that files of different devices are told apart."""
    machine_info["devices"] = options.device_names(config)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the schema number, the architectures and the accuracies to pytest-benchmark's file."""
    found = config.stash[COLLECTED]
    ours = (found.architectures, found.accuracies, found.sensitivities, found.compilations, found.learnt_from, found.throughputs)
    output_json.update(benchmark_json.top_level(*ours))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Any:
    """Write the file of ``--benchmark-json`` also where nothing was timed, and where a test was stopped before it timed anything.

    pytest-benchmark warns in the first case and writes nothing, and fails in the second.
    """
    benchmarks, found = getattr(session.config, "_benchmarksession", None), session.config.stash[COLLECTED]
    if benchmarks:
        benchmarks.benchmarks = [one for one in benchmarks.benchmarks if one]  # true where it holds samples
    if benchmarks and benchmarks.json and not benchmarks.benchmarks and (found.compilations or found.accuracies or found.throughputs):
        benchmark_json.write(Path(benchmarks.json), found.file())
        benchmarks.json = None
    return (yield)


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_benchmark_group_stats(benchmarks: list[dict[str, Any]], group_by: str) -> Any:
    """Leave networks measured by the hundred out of the terminal's table; layers too, unless they are grouped by (``param:layer``)."""
    hidden = [entry for entry in benchmarks if entry["extra_info"].get("espalier", {}).get("role") in HIDDEN_ROLES]
    hidden += [entry for entry in benchmarks if device_clock.LAYER in entry["extra_info"] and "layer" not in group_by]
    benchmarks[:] = [entry for entry in benchmarks if entry not in hidden]
    return (yield)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print our tables behind pytest-benchmark's, and what was verified of Distiller where that was asked."""
    for line in distiller_line.lines(terminalreporter.stats):
        terminalreporter.write_line(line)
    found = config.stash[COLLECTED]
    shown = [measurement for measurement in found.measurements if measurement.role not in HIDDEN_ROLES]
    if shown and (warning := append_summary(os.environ, ci_summary.markdown(shown))):
        terminalreporter.write_line(warning)
    detailed = [tables.layers(measurement, found.architectures) for measurement in shown if measurement.layers]
    detailed += [tables.sustained(measurement) for measurement in shown if tables.is_sustained(measurement)]
    kinds = [[measurement for measurement in shown if measurement.provenance == kind] for kind in ("measured", "SIMULATED")]
    told = [*(tables.networks(alike) for alike in kinds if alike), *throughput_table.told(found.throughputs), *detailed, *found.texts]
    if told:
        terminalreporter.write(tables.text(told, max(tables.LEAST_COLUMNS, shutil.get_terminal_size().columns)))
