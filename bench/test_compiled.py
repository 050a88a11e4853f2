"""What a device's own compiler makes of a network, where it can be had without the device: schedule and cost, never a latency."""

import pytest

from harness.errors import HarnessError
from harness.latency.explanation import width_series
from harness.pages import tables
from harness.runner import images
from harness.runner.images import architecture_of
from harness.sweeps import compiled as compiled_sweep
from harness.sweeps.compiled import CompiledSweep

QUICK_WIDTHS = 4  # of the one group that is looked at when none is asked for: every width takes the compiler five seconds

pytestmark = pytest.mark.compiles


def pytest_generate_tests(metafunc):
    """One test per group whose widths are compiled: those of ``--group``, or each network's first, as every width takes seconds."""
    if "group" not in metafunc.fixturenames:
        return
    asked, groups = metafunc.config.getoption, {}
    try:
        for name in images.narrowed_names(metafunc.config) if asked("--compile-only") else ():
            architecture = architecture_of(name, metafunc.config)
            every = [first for first, *_ in width_series.twins(architecture)]
            for group in every if asked("--group") == ["all"] else asked("--group") or every[:1]:
                groups[architecture.group(group).name] = None
    except HarnessError as error:
        pytest.exit(str(error), returncode=error.exit_code)
    metafunc.parametrize("group", list(groups) or ["nothing"])


@pytest.fixture(scope="session")
def sweep(network, device, collected, pytestconfig):
    """The network on the device's compiler, with what was compiled before; at the end, where it is kept."""
    asked = pytestconfig.getoption
    made = CompiledSweep(network, device, compiled_sweep.store_path(asked("--store"), device.info.name, network.name, asked("--dataset")))
    yield made
    collected.compilations.extend(made.used)
    collected.texts.append(f"{made.compiled_now} networks compiled now; all are in {made.path}")


def test_compiled_schedule_and_cost(sweep, config, collected):
    """The schedule of the network that ``--network`` and ``--config`` name."""
    compiled = sweep.config(config)
    collected.texts.append(tables.compiled(compiled))
    assert compiled.executed_count > 0


@pytest.mark.prunes
def test_compiled_widths(sweep, group, collected, pytestconfig):
    """The compiler's cost against the channels of one group; the other groups stay whole."""
    if group not in {one.name for one in sweep.network.architecture.groups}:
        pytest.skip("another network's group")
    rows = sweep.group(group, pytestconfig.getoption("--widths") if pytestconfig.getoption("--group") else QUICK_WIDTHS)
    twins = next(names[1:] for names in width_series.twins(sweep.network.architecture) if names[0] == group or group in names)
    collected.texts.append(compiled_sweep.table(group, rows, sweep.session.info.name, [name for name in twins if name != group]))
    assert rows[0].legal
