"""Latency of every layer in its network, from profiled runs beside an unprofiled one."""

from harness.exported import Exported
from harness.runner import subjects


def test_layer_latency(device, network, config, subject, measure, record, collected):
    """The network that ``--network`` and ``--config`` name, or each ``--contender``, each executed node credited to its layers."""
    measurement = measure(device, subject)
    record(measurement)
    if isinstance(network, Exported):
        subjects.check_nodes(device, measurement)
        attributed = {layer for node in measurement.layers for layer in node.source_layers}
        collected.texts.extend(filter(None, [subjects.unattributed(network, attributed)]))
        return
    subjects.check_nodes(device, measurement, network.architecture.shapes(config))
