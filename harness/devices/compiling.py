"""Compile networks for a device that is not there, where its compiler can be had without it."""

from __future__ import annotations

import datetime

from harness.devices import replies
from harness.devices.attribution import source_layers
from harness.devices.measure import Subject
from harness.devices.provenance import HostFacts, host_facts
from harness.devices.session import Session
from harness.records.compilation import Compilation, CompiledStage


def compile_network(
    session: Session, subject: Subject, precision: str = "f16", batch_size: int = 1, host: HostFacts | None = None
) -> Compilation:
    """What the device's compiler makes of a network: schedule, cost, size of the executable; nothing is run or timed.

    ModelRefused lists unsupported operations; UsageError when the device's runtime compiles nothing by itself.
    """
    wanted = {"name": subject.network, "precision": precision, "profile": False, "batch_size": batch_size}
    found = session.call("compile", replies.compiled, {"wanted": wanted}, (subject.onnx,), session.spec.load_deadline_s)
    facts = host or host_facts()
    stages = (
        CompiledStage(one.name, one.kind, one.hardware, one.executed, one.cost, source_layers(one.sources, subject.node_layers))
        for one in found.stages
    )
    return Compilation(
        network=subject.network,
        architecture_digest=subject.architecture_digest,
        config=subject.config,
        artefact_digest=subject.artefact_digest,
        artefact_bytes=len(subject.onnx),
        device=session.info,
        stages=tuple(stages),
        blob_bytes=found.blob_bytes,
        blob_digest=found.blob_digest,
        compile_s=found.compile_s,
        versions=facts.versions,
        git_commit=facts.git_commit,
        taken_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    )
