"""Accuracy answered by the device itself, and what is lost against f32 on the host: the timed artefact is the one that is judged."""

import pytest

from harness.errors import UsageError
from harness.exported import beside
from harness.networks import export, onnx_graph
from harness.quantisation.quantising import is_quantised
from harness.runner import naming
from harness.runner.images import architecture_for, dataset_for, read_contender
from harness.training import device_accuracy

GIVEN = "given weights"


def pytest_generate_tests(metafunc):
    """One test per contender, and one for the network of ``--weights``; without any there is nothing to judge."""
    if "judged" in metafunc.fixturenames:
        names = [text.partition("=")[0] for text in metafunc.config.getoption("--contender")]
        metafunc.parametrize("judged", names + [GIVEN] * (metafunc.config.getoption("--weights") is not None))


@pytest.fixture
def artefact(judged, network, contenders, pytestconfig):
    """The exported network, and the file it is from, None for one that is exported now."""
    if judged != GIVEN:
        path = dict(contenders)[judged]
        return read_contender(path, judged, pytestconfig), path
    if pytestconfig.getoption("--config") is not None:
        raise UsageError("--config prunes without fine-tuning; give the tuned network as --contender NAME=FILE.onnx")
    return export.export(network.model, network.architecture.input_shape, network.name), None


@pytest.mark.gates
def test_accuracy_on_the_device(device, network, dataset, artefact, quantising, collected, gating, pytestconfig, request):
    """Let the device answer every image of the test split, at the size that the network takes; fail where it guesses or loses too much."""
    exported, path = artefact
    dataset = dataset_for(exported, dataset, pytestconfig, request.session.items)
    called = beside(architecture_for(exported, network), exported)[0].network if path else network.name  # a foreign file by its own name
    host = device_accuracy.host_answers(path) if path else None
    if host is None and not is_quantised(exported):
        host = device_accuracy.answers_in_f32(exported, dataset)
    exported = quantising.for_accuracy(device, exported, collected)
    size = naming.batch_size(pytestconfig)
    precision = onnx_graph.runs_in(exported) or pytestconfig.getoption("--precision")
    found = device_accuracy.judge(device, exported, called, dataset, precision, host, size if size > 1 else None)
    collected.accuracies.append(found)
    collected.texts.append(f"{exported.name}: {found.sentence()}")
    assert found.on_device.total == len(dataset.test)
    gating.judge(f"{found.network} on {found.device}, {found.effective_precision}", gating.answers(found, dataset.classes))
