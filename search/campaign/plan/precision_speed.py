"""What the precisions that a campaign was asked for gain or cost on its device, said before anything long is begun."""

from __future__ import annotations

from dataclasses import replace

from harness.devices import spec
from harness.devices.session import Device
from harness.errors import UnknownName, UsageError
from harness.networks.datasets import Dataset
from harness.pipeline import Network, in_int8, latency_subject
from harness.sweeps import precisions
from search.records.display import Display
from search.records.request import PRECISIONS, QUANTISED, Request


def check(request: Request) -> None:
    """UnknownName for a precision that there is not."""
    for one in request.precisions:
        if one not in PRECISIONS:
            raise UnknownName("precision", one, PRECISIONS)


def look(request: Request, dataset: Dataset, display: Display) -> Request:
    """One line on the dense network in each precision beside f32; nothing where only f32 was asked for.

    The request without those that are slower than f32, unless that says ``keep_slow`` or asks for one only. UsageError where the device
    does not run a precision.
    """
    asked = [one for one in request.precisions if one != precisions.REFERENCE]
    if not asked:
        return request
    network = Network.by_name(request.network, dataset)  # untrained: latency ignores the weights
    subject = latency_subject(network, network.architecture.dense())
    subjects = {precisions.REFERENCE: subject, **{one: in_int8(subject, None) if one == QUANTISED else subject for one in asked}}
    with Device(spec.find(request.device)).open() as session:
        _, *found = precisions.compare(session, subjects)
        for one in found:
            if one.refused:
                raise UsageError(f"--precision={request.precision}: {one.sentence(session.info)}")
            display.say(one.sentence(session.info))
    slow = [one.precision for one in found if one.is_slower]
    if not slow or request.keep_slow or len(request.precisions) == 1:
        return request
    left = [one for one in request.precisions if one not in slow]
    display.say(f"left out of the search: {', '.join(slow)}, slower than {precisions.REFERENCE} here (--keep-slow keeps it)")
    return replace(request, precision=",".join(left))
