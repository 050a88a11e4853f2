"""Pictures a second of whole networks where several inferences run at once; with ``--streams``, and only then."""

import pytest

from harness.records import comparability

pytestmark = pytest.mark.streams


def test_throughput(device, network, config, subject, streams, throughput):
    """The network that ``--network`` and ``--config`` name, or each ``--contender``, in so many streams."""
    found = throughput(device, subject, streams, comparability.configuration(subject.config, network.architecture))
    assert found.median_per_s > 0
