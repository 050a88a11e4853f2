"""One device looked at, from its interpreter to its disk: what could be opened, who holds it, and every check of its machine."""

from __future__ import annotations

from dataclasses import dataclass

from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import DeviceSpec
from harness.doctor import facts as machine
from harness.doctor.checks import Check, Level, checks
from harness.errors import DeviceBusy, DeviceError, HarnessError

GLANCE_S = 0.3  # of computing before a run is measured: a few thousand pieces of work tell whether something shares the processor


@dataclass(frozen=True, slots=True)
class Examination:
    """A device with what was seen of it. here: whether it could be opened, or is merely held by somebody else."""

    device: str
    where: str
    what: str
    checks: tuple[Check, ...]
    here: bool = True
    simulated: bool = False

    @property
    def ready(self) -> bool:
        """Whether nothing is in the way."""
        return self.here and all(one.level is not Level.BAD for one in self.checks)


def examine(spec: DeviceSpec, spin_s: float = machine.SPIN_S) -> Examination:
    """Open a device without waiting for it, look at its machine, close it."""
    where = spec.host or "this machine"
    try:
        with Device(spec, Quarantine()).open(wait_s=0.0) as session:
            info, state = session.info, session.snapshot()
            facts = machine.examine(session, 0.0 if info.simulated else spin_s)
    except DeviceBusy as error:
        return Examination(spec.name, where, spec.runtime, (_failed("lock", error),))
    except DeviceError as error:
        return Examination(spec.name, where, spec.runtime, (_failed("reach", error),), here=False)
    return Examination(spec.name, where, f"{spec.runtime}, {info.model}", checks(facts, info, state), simulated=info.simulated)


def note_unready(session: Session, spin_s: float = GLANCE_S) -> None:
    """Look at an open device's machine and leave with the session what was in the way, for the records of what it measures."""
    if session.info.simulated:
        return
    found = checks(machine.examine(session, spin_s), session.info, session.snapshot())
    session.unready = tuple((one.name, f"{one.level}: {one.found}") for one in found if one.level in (Level.LOOK, Level.BAD))


def _failed(name: str, error: HarnessError) -> Check:
    said, _, advice = str(error).rpartition("; ")
    return Check(name, Level.BAD, said or advice, advice if said else "")
