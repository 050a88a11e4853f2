"""Latency of every layer in its network, from profiled runs beside an unprofiled one."""

from harness.exported import Exported
from harness.runner import subjects


def test_layer_latency(device, network, config, subject, measure, record, collected):
    """The network that ``--network`` and ``--config`` name, or each ``--contender``, each executed node credited to its layers."""
    measurement = measure(device, subject)
    record(measurement)
    attributed = {layer for node in measurement.layers for layer in node.source_layers}
    if isinstance(network, Exported):
        collected.texts.extend(filter(None, [subjects.unattributed(network, attributed)]))
        return
    assert attributed == set(network.architecture.shapes(config)), "every layer of the network has a time"
