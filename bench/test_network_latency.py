"""Latency of whole networks, unprofiled: the figure that everything else must add up to."""


def test_network_latency(device, subject, measure, record):
    """The network that ``--network`` and ``--config`` name, or each ``--contender``, one inference after the other."""
    measurement = measure(device, subject, profile_compiles=0)
    record(measurement)
    assert measurement.latency.median_s > 0
