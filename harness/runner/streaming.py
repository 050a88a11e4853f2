"""The fixture that counts throughput: what several streams of a device end, into the run's file and summary."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.devices.samples import Subject
from harness.devices.session import Session
from harness.records.throughput import Throughput
from harness.runner import options
from harness.runner.collected import Collected
from harness.runner.quantised import Quantising
from harness.sweeps import streams


@pytest.fixture(scope="session")
def throughput(
    request: pytest.FixtureRequest, quantising: Quantising, batch_size: int, collected: Collected
) -> Callable[[Session, Subject, int, str], Throughput]:
    """Function: what so many streams of a session end of one subject; its configuration as ``comparability`` calls it."""

    def count_as_asked(session: Session, subject: Subject, count: int, configuration: str) -> Throughput:
        chosen = options.unless_disabled(request.config, options.protocol(request.config))
        wanted = quantising.one(session, subject)
        found = streams.measure(session, wanted, count, configuration, chosen, request.config.getoption("--precision"), batch_size)
        collected.throughputs.append(found)
        return found

    return count_as_asked
