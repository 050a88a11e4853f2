"""What the precision that a campaign was asked for gains or costs on its device, said before anything long is begun."""

from __future__ import annotations

from harness.devices import spec
from harness.devices.session import Device
from harness.errors import UsageError
from harness.networks.datasets import Dataset
from harness.pipeline import Network, latency_subject
from harness.sweeps import precisions
from search.records.display import Display
from search.records.request import Request

OWN_ARTEFACT = ("int8", "i8")  # quantised first: what runs in f32 says nothing of them


def look(request: Request, dataset: Dataset, display: Display) -> None:
    """One line on the dense network in ``request.precision`` beside f32; nothing where f32 was asked for.

    UsageError where the device does not run that precision.
    """
    asked = request.precision
    if asked == precisions.REFERENCE or asked in OWN_ARTEFACT:
        return
    network = Network.by_name(request.network, dataset)  # untrained: latency ignores the weights
    subject = latency_subject(network, network.architecture.dense())
    with Device(spec.find(request.device)).open() as session:
        _, found = precisions.compare(session, {precisions.REFERENCE: subject, asked: subject})
        told = found.sentence(session.info)
    if found.refused:
        raise UsageError(f"--precision={asked}: {told}")
    display.say(told)
