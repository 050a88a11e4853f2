"""Latency against the channels of one group, in the whole network: which widths are faster, and which only look so.

Groups whose narrowing leaves the same layer shapes are measured once. Each group is stored when it is done, and read from
there by the next run: an interrupted sweep goes on where it stopped.
"""

from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.latency.explanation import width_series
from harness.pages import staircase as staircase_view
from harness.pipeline import latency_subject
from harness.runner import images
from harness.runner.images import architecture_of
from harness.sweeps.widths import LOOK, SWEEP, Sweep, store_path

pytestmark = pytest.mark.prunes


def pytest_generate_tests(metafunc):
    """One test, and so one entry of the file, per group and width of each network."""
    if "place" not in metafunc.fixturenames:
        return
    config, places = metafunc.config, {}
    try:
        for name in images.narrowed_names(config):
            architecture = architecture_of(name, config)
            for first, *_ in width_series.twins(architecture):
                group = architecture.group(first)
                widths = width_series.grid(group, config.getoption("--widths"))
                places |= {(first, width): None for width in widths if len(widths) > 1}
    except HarnessError as error:
        pytest.exit(str(error), returncode=error.exit_code)
    if not places:  # nothing but files: the plugin says why they are left out
        places = {("nothing", 0): None}
    metafunc.parametrize("place", list(places), ids=[f"{group}-{width}" for group, width in places])


@pytest.fixture(scope="session")
def sweep(device, network, batch_size, measure, measure_together, request, collected):
    """The network's widths, measured group by group; at the end, its table and its pictures."""
    asked = request.config.getoption
    dense = latency_subject(network, network.architecture.dense(), batch_size=batch_size)
    present = measure(device, dense, **{name: getattr(LOOK, name) for name in LOOK.__slots__}).conditions
    path = store_path(asked("--store"), device.info.name, network.name, asked("--dataset"), asked("--precision"))
    protocol = replace(SWEEP, rounds=asked("--rounds") or SWEEP.rounds)
    made = Sweep(network, present, path, asked("--widths"), batch_size, lambda subjects: measure_together(device, subjects, protocol))
    yield made
    if made.usable:
        show(made, collected)


def show(sweep, collected):
    classes = width_series.twins(sweep.architecture)
    series = width_series.measured_series(sweep.architecture, sweep.usable)
    staircase = width_series.fit(series)
    kinds = ", ".join(sorted({m.provenance for m in sweep.usable}))
    pictures = staircase_view.write_pictures(sweep.path.parent, sweep.path.stem, staircase, staircase.groups)
    collected.texts.append(staircase_view.table(staircase, f"widths of {sweep.network.name} ({kinds})", classes))
    collected.texts.append(
        f"{sweep.measured_now} networks measured now, {len(sweep.usable) - sweep.measured_now} taken from {sweep.path}; "
        f"{len(pictures)} pictures beside it"
    )


def test_width(sweep, place, record):
    """The network with one group at one width, measured in turns with the group's other widths and the dense network."""
    group, width = place
    if group not in {one.name for one in sweep.architecture.groups}:
        pytest.skip("another network's group")
    found = sweep.group(group)
    if width not in found:
        pytest.skip("another network's width")
    record(found[width])
