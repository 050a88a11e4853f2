"""How much accuracy each group of channels costs by itself, on the validation split, batch norm recalibrated."""

from pathlib import Path

import pytest

from harness.networks import zoo
from harness.pages.tables import sensitivities
from harness.pipeline import Network
from harness.progress import shown
from harness.runner import options
from harness.training import baseline, processor, recipes, stored_sensitivity
from harness.training.sensitivity import sensitivity
from harness.training.speed import probe

pytestmark = pytest.mark.prunes


@pytest.fixture(scope="session")
def trained(network, dataset, pytestconfig, request):
    """The network with the weights that were given, or trained by the standard recipe and cached.

    One that answers something else than the pictures' task wants has no accuracy: skipped where other suites run too.
    """
    if pytestconfig.getoption("--weights") is not None:
        return network
    try:
        zoo.build(network.name, dataset.input_shape, dataset.classes, task=dataset.task)
    except zoo.OtherOutputs as error:
        if all(item.path == Path(__file__) for item in request.session.items):
            raise
        pytest.skip(f"{network.name} answers {error.told}: it is measured, not judged; give its task, --dataset=task:path/to/file.py:task")
    probe.adopt(network.name, dataset, processor.processors())
    with shown(pytestconfig, f"training {network.name}") as advance:
        model = baseline.dense(network.name, dataset, recipes.dense_recipe(dataset.name), progress=advance)
    return Network(network.name, model, network.architecture)


def test_sensitivity(trained, dataset, benchmark, collected, pytestconfig):
    """Every group narrowed alone; the clock here tells how long the analysis took."""
    criterion = pytestconfig.getoption("--criterion")
    with shown(pytestconfig, "accuracy against width") as advance:
        asked = (trained.model, trained.architecture, dataset, trained.scores(criterion, dataset))
        chosen = {"progress": advance, "also": options.also_widths(pytestconfig)}
        losses = benchmark.pedantic(sensitivity, args=asked, kwargs=chosen, rounds=1, iterations=1)
    found = stored_sensitivity.records(trained.architecture, trained.model, dataset, criterion, losses)
    collected.sensitivities.extend(found)
    collected.texts.append(sensitivities(found))
    assert {one.group for one in found} == {group.name for group in trained.architecture.groups}
