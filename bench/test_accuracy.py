"""Accuracy of exported networks, answered by the device itself: the artefact that was timed is the one that is judged."""

from harness.networks import export
from harness.training import device_accuracy


def pytest_generate_tests(metafunc):
    """One test per contender; without any there is nothing to judge."""
    if "contender" in metafunc.fixturenames:
        names = [text.partition("=")[0] for text in metafunc.config.getoption("--contender")]
        metafunc.parametrize("contender", names)


def test_accuracy_on_the_device(device, network, dataset, contenders, contender, collected, pytestconfig):
    """Let the device answer every image of the test split."""
    path = dict(contenders)[contender]
    artefact, host = export.read(path, contender), device_accuracy.host_answers(path)
    judged = device_accuracy.judge(device, artefact, network.name, dataset, pytestconfig.getoption("--precision"), host)
    collected.accuracies.append(judged)
    assert judged.on_device.total == len(dataset.test)
