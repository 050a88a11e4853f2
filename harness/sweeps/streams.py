"""Throughput of one network on an open device, by how many streams run at once."""

from __future__ import annotations

from harness.devices import replies
from harness.devices.frames import Frame
from harness.devices.measure import Protocol
from harness.devices.provenance import HostFacts, host_facts
from harness.devices.samples import Subject, conditions_of
from harness.devices.session import CALL_DEADLINE_S, SLOWDOWN_ALLOWED, Session
from harness.records.throughput import Throughput

DEFAULT = Protocol()


def measure(
    session: Session,
    subject: Subject,
    streams: int,
    configuration: str,
    protocol: Protocol = DEFAULT,
    precision: str = "f32",
    batch_size: int = 1,
    host: HostFacts | None = None,
) -> Throughput:
    """Load for ``streams``, warm up, count the inferences that end in each block.

    protocol: its rounds, seconds and blocks. configuration: of the subject, as ``comparability`` calls it. UsageError where the device runs
    one inference after the other, or other streams than these; ModelRefused as for any network.
    """
    before = session.snapshot()
    precision = subject.precision or precision
    loaded = session.load(subject.onnx, subject.network, precision, batch_size=batch_size, streams=streams)
    asked = {"rounds": protocol.block_rounds, "min_s": protocol.block_s, "blocks": protocol.blocks}
    timing = {**asked, "warmup_s": protocol.warmup_s, "warmup_rounds": protocol.warmup_rounds}
    patience_s = CALL_DEADLINE_S + SLOWDOWN_ALLOWED * (protocol.min_time_s + protocol.warmup_s + protocol.rounds * loaded.first_inference_s)
    blocks, in_flight = session.call("flow", parsed, {"model": loaded.facts.model, "timing": timing}, deadline_s=patience_s)
    loaded.unload()
    return Throughput(
        network=subject.network,
        architecture_digest=subject.architecture_digest,
        artefact_digest=subject.artefact_digest,
        configuration=configuration,
        conditions=conditions_of(session, loaded, precision, before, session.snapshot(), host or host_facts()),
        ended=tuple(count for count, _ in blocks),
        seconds=tuple(seconds for _, seconds in blocks),
        in_flight=in_flight,
    )


def parsed(frame: Frame) -> tuple[tuple[tuple[int, float], ...], int]:
    """The agent's answer: ``(inferences, seconds)`` of every block, and how many were on their way at once."""
    try:
        return tuple((int(count), replies.duration(seconds)) for count, seconds in frame.header["blocks"]), int(frame.header["in_flight"])
    except replies.UNREADABLE as problem:
        raise replies.garbled("flow", problem) from problem
