"""Latency of every layer in its network, from profiled runs beside an unprofiled one."""

from harness.pipeline import latency_subject


def test_layer_latency(device, network, config, batch_size, measure, record):
    """The network that ``--network`` and ``--config`` name, each executed node credited to its layers."""
    measurement = measure(device, latency_subject(network, config, batch_size=batch_size))
    record(measurement)
    attributed = {layer for node in measurement.layers for layer in node.source_layers}
    assert attributed == set(network.architecture.shapes(config)), "every layer of the network has a time"
