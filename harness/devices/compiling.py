"""Compile networks for a device that is not there, where its compiler can be had without it."""

from __future__ import annotations

import ast
import datetime
from dataclasses import dataclass

from harness.devices import replies, spec
from harness.devices.attribution import source_layers
from harness.devices.bundle import bundle
from harness.devices.frames import Frame
from harness.devices.measure import Subject
from harness.devices.provenance import HostFacts, host_facts
from harness.devices.session import Session
from harness.devices.spec import DeviceSpec
from harness.records.compilation import Compilation, CompiledStage


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a schedule that was compiled and not run. sources: the ONNX nodes it belongs to."""

    name: str
    kind: str
    hardware: bool
    executed: bool
    cost: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiler's answer: its schedule, and the executable's size and SHA-256."""

    stages: tuple[Stage, ...]
    blob_bytes: int
    blob_digest: str
    compile_s: float


def has_compiler(device: DeviceSpec) -> bool:
    """Whether the device's runtime compiles networks without running them; read off its source, nothing is started."""
    runtime = ast.parse(bundle(device.runtime, device.directory).modules[-1].source)
    classes = [node for node in runtime.body if isinstance(node, ast.ClassDef) and node.name == "Runtime"]
    return any(isinstance(part, ast.FunctionDef) and part.name == "compile" for one in classes for part in one.body)


def with_compilers() -> tuple[str, ...]:
    """The devices that ``spec.find`` knows and whose runtimes have one."""
    return tuple(name for name in spec.names() if has_compiler(spec.find(name)))


def compile_network(
    session: Session, subject: Subject, precision: str = "f16", batch_size: int = 1, host: HostFacts | None = None
) -> Compilation:
    """What the device's compiler makes of a network: schedule, cost, size of the executable; nothing is run or timed.

    ModelRefused lists unsupported operations; UsageError when the device's runtime compiles nothing by itself.
    """
    wanted = {"name": subject.network, "precision": precision, "profile": False, "batch_size": batch_size}
    found = session.call("compile", compiled, {"wanted": wanted}, (subject.onnx,), session.spec.load_deadline_s)
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


def compiled(frame: Frame) -> Compiled:
    """A schedule, not yet attributed."""
    try:
        stages = tuple(
            Stage(str(one["name"]), str(one["kind"]), bool(one["hardware"]), bool(one["executed"]), int(one["cost"]), tuple(one["sources"]))
            for one in frame.header["stages"]
        )
        header = frame.header
        return Compiled(stages, int(header["blob_bytes"]), str(header["blob_digest"]), replies.duration(header["compile_s"]))
    except replies.UNREADABLE as problem:
        raise replies.garbled("compile", problem) from problem
