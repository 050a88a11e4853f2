"""Latency of whole networks, unprofiled: the figure that everything else must add up to."""

from harness.pipeline import latency_subject


def test_network_latency(device, network, config, batch_size, measure, record):
    """The network that ``--network`` and ``--config`` name, one inference after the other."""
    measurement = measure(device, latency_subject(network, config, batch_size=batch_size), profile_compiles=0)
    record(measurement)
    assert measurement.latency.median_s > 0
