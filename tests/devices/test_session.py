"""A session takes a device for one user, names every failure, and does not try a failed device again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.probe import Probe
from harness.devices.session import Device, Quarantine
from harness.errors import (
    DeviceBusy,
    DeviceCrashed,
    DeviceError,
    DeviceQuarantined,
    DeviceTimeout,
    DeviceUnavailable,
    HarnessError,
    ModelRefused,
    UnknownName,
    UsageError,
)

Simulated = Callable[..., Device]


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("hang", DeviceTimeout, "did not answer infer"),
        ("spin", DeviceTimeout, "did not answer infer"),
        ("crash", DeviceCrashed, "SIGKILL"),
        ("segfault", DeviceCrashed, "SIGSEGV"),
        ("exit", DeviceCrashed, "exit code 3"),
        ("garbage", DeviceCrashed, "no frame"),
        ("usb-drop", DeviceUnavailable, "left the USB bus"),
        ("disk-full", DeviceError, "No space left"),
        ("out-of-memory", DeviceError, "MemoryError"),
    ],
)
def test_a_failure_has_a_name_and_ends_the_devices_run(
    simulated: Simulated, network: Probe, fault: str, error: type[HarnessError], told: str
) -> None:
    device = simulated(fault=fault)
    session = device.open()
    loaded = session.load(network.onnx, "probe")
    with pytest.raises(error, match=told):
        loaded.infer(10, deadline_s=0.3)
    with pytest.raises(DeviceQuarantined, match=told):
        session.snapshot()
    with pytest.raises(DeviceQuarantined, match=told):
        device.open()


def test_what_a_library_prints_on_stdout_does_no_harm(simulated: Simulated, network: Probe) -> None:
    with simulated(fault="noise-on-stdout").open() as session:
        assert len(session.load(network.onnx, "probe").infer(10).wall_ns) == 10


def test_a_refused_model_does_not_end_the_run(simulated: Simulated, network: Probe) -> None:
    with simulated().open() as session:
        with pytest.raises(ModelRefused, match="not an ONNX model"):
            session.load(b"nonsense", "x")
        assert session.load(network.onnx, "probe").facts.effective_precision == "f16"


def test_a_closed_session_does_nothing_and_blames_nobody(simulated: Simulated, network: Probe) -> None:
    device = simulated()
    with device.open() as session:
        loaded = session.load(network.onnx, "probe")
    session.close()
    with pytest.raises(UsageError, match="is closed, it cannot infer; open the device again"):
        loaded.infer(1)
    device.open().close()


def test_a_runtimes_refusal_of_its_options_is_the_users_to_mend(simulated: Simulated) -> None:
    with pytest.raises(UsageError, match="no option 'nois'"):
        simulated(nois=1).open()


def test_an_unknown_runtime_is_told_before_anything_starts(tmp_path: Path) -> None:
    from harness.devices.spec import parse

    with pytest.raises(UnknownName, match="runtime"):
        Device(parse("x", {"runtime": "tensorflow"}, tmp_path / "pyproject.toml"), Quarantine()).open()


def test_a_second_session_of_the_same_program_is_refused_at_once(simulated: Simulated) -> None:
    device = simulated()
    with device.open():
        begin = time.monotonic()
        with pytest.raises(DeviceBusy, match="close its session first"):
            device.open(wait_s=20.0)
        assert time.monotonic() - begin < 10
    device.open().close()


def test_another_program_is_waited_for_then_named(simulated: Simulated) -> None:
    device = simulated()
    who = {"pid": 1, "user": "ada", "host": "lab", "command": "pytest bench/"}
    hold = (
        f"import sys, time; sys.path.insert(0, {str(AGENT_DIRECTORY)!r}); import device_lock\n"
        f"lock, holder = device_lock.take({device.spec.resource!r}, {who!r}); print('held', flush=True); time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(DeviceBusy, match=r"process 1 of ada on lab since .* \(pytest bench/\); wait for it"):
        device.open(wait_s=0.3)
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    device.open(wait_s=0.0).close()  # the killed holder's file is still there: stale


def test_the_quarantine_is_of_one_device_only(simulated: Simulated, network: Probe) -> None:
    quarantine = Quarantine()
    quarantine.add("x on this machine", "it broke")
    with pytest.raises(DeviceQuarantined, match="it broke"):
        quarantine.check("x on this machine")
    quarantine.check("y on this machine")


def test_the_same_seed_gives_the_same_samples(simulated: Simulated, network: Probe) -> None:
    runs = []
    for _ in range(2):
        with simulated(seed=7, noise=0.05).open() as session:
            runs.append(session.load(network.onnx, "probe").infer(50).wall_ns)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 40
