"""A look at precisions tells the slower ones from the faster ones, refuses nothing quietly, and is taken once for a device."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.probe import probe
from harness.devices.samples import Subject
from harness.devices.session import Device, Loaded, Quarantine, Session
from harness.devices.spec import OptionValue, parse
from harness.errors import UsageError
from harness.records.conditions import DeviceInfo
from harness.sweeps import precisions
from harness.sweeps.precisions import PrecisionSpeed

CPU = DeviceInfo("cpu", "openvino", "2026.4", "AMD EPYC", "here", "3.11")


def subject_of(hidden: str = "probe") -> Subject:
    found = probe()
    return Subject(hidden, "a" * 16, None, found.onnx, "d" * 64, found.node_layers)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Device]:
    """A device of a table of this test's own, which nobody else holds, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(runtime: str, name: str = "mine", **options: OptionValue) -> Device:
        table: dict[str, object] = {"runtime": runtime, "options": options, "resource": f"test-{os.getpid()}-{tmp_path.name}"}
        return Device(parse(name, table, tmp_path / "pyproject.toml"), Quarantine())

    return make


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The precisions of all networks that were loaded."""
    seen: list[str] = []
    load = Session.load

    def counted(self: Session, onnx: bytes, name: str, precision: str = "f32", *rest: object, **more: object) -> Loaded:
        seen.append(precision)
        return load(self, onnx, name, precision, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "load", counted)
    return seen


def test_equal_precisions_are_not_told_apart(device: Callable[..., Device]) -> None:
    subject = subject_of()
    with device("simulated", kind="ncs2", noise=0.02).open() as session:
        reference, half = precisions.compare(session, {"f32": subject, "f16": subject})
    assert (reference.ratio, reference.low, reference.high) == (1.0, 1.0, 1.0)
    assert half.low <= 1.0 <= half.high
    assert not half.is_slower
    assert not half.is_faster
    assert half.effective == "f16"
    assert precisions.worth_searching((reference, half)) == ("f32", "f16")


def test_an_artefact_of_its_own_is_what_runs_in_its_precision(device: Callable[..., Device]) -> None:
    """The simulated device is slow in proportion to what it computes: the wider artefact must be told slower, the other way faster."""
    from harness.networks import export, zoo

    def exported(name: str) -> Subject:
        artefact = export.export(zoo.build(name, (1, 32, 32), 10), (1, 32, 32), name)
        return Subject(name, "a" * 16, None, artefact.onnx, artefact.digest)

    small, large = exported("resnet20"), exported("resnet56")
    with device("simulated", kind="jetson", noise=0.02).open() as session:
        _, slower = precisions.compare(session, {"f32": small, "f16": large})
        _, faster = precisions.compare(session, {"f32": large, "f16": small})
        info = session.info
    assert slower.is_slower
    assert faster.is_faster
    assert slower.ratio == pytest.approx(1 / faster.ratio, rel=0.1)
    assert slower.low <= slower.ratio <= slower.high
    assert precisions.worth_searching((slower,)) == ()
    assert "SIMULATED" in slower.sentence(info)


def test_what_the_device_refuses_is_told_and_is_looked_for_again(device: Callable[..., Device], looked: list[str]) -> None:
    subject = subject_of()
    with device("simulated").open() as session:
        for _ in range(2):
            reference, refused = precisions.compare(session, {"f32": subject, "bf16": subject})
            assert "no precision 'bf16'" in refused.refused
            assert "does not run bf16" in refused.sentence(session.info)
            assert precisions.worth_searching((reference, refused)) == ("f32",)
    assert looked == ["f32", "bf16"] * 2


def test_a_device_is_looked_at_once_and_another_network_or_device_anew(device: Callable[..., Device], looked: list[str]) -> None:
    subject = subject_of()
    with device("simulated").open() as session:
        first = precisions.compare(session, {"f32": subject, "f16": subject})
        assert precisions.compare(session, {"f32": subject, "f16": subject}) == first
        assert len(looked) == 2
        precisions.compare(session, {"f32": subject, "f16": subject}, fresh=True)
        assert len(looked) == 4
        precisions.compare(session, {"f32": subject, "f16": replace(subject, artefact_digest="e" * 64)})
        assert len(looked) == 6
    with device("simulated", "other").open() as session:
        precisions.compare(session, {"f32": subject, "f16": subject})
    assert len(looked) == 8


def test_without_f32_nothing_is_compared(device: Callable[..., Device]) -> None:
    with device("simulated").open() as session, pytest.raises(UsageError, match="give the network in f32 too"):
        precisions.compare(session, {"f16": subject_of()})


def test_this_processor_says_what_bf16_is_worth(device: Callable[..., Device]) -> None:
    """On a lock of its own: nothing is asserted of the time."""
    subject = subject_of()
    with device("openvino", "cpu", device="CPU", threads=1, nice=-15).open() as session:
        reference, other = precisions.compare(session, {"f32": subject, "bf16": subject})
        told = other.sentence(session.info)
    assert reference.effective == "f32"
    assert other.refused or other.low <= other.ratio <= other.high
    assert "this processor (" in told
    assert "\n" not in told


@given(st.lists(st.floats(1e-5, 1e-2), min_size=24, max_size=24), st.floats(1.05, 4.0))
def test_whatever_disturbs_whole_rounds_cancels(rounds_s: list[float], ratio: float) -> None:
    found = precisions._speed("bf16", "bf16", [ratio * one for one in rounds_s], rounds_s)
    assert found.ratio == pytest.approx(ratio)
    assert found.is_slower
    back = precisions._speed("f32", "f32", rounds_s, [ratio * one for one in rounds_s])
    assert back.is_faster


@given(st.lists(st.floats(1e-4, 2e-4), min_size=24, max_size=24), st.sets(st.integers(0, 23), max_size=6), st.floats(2.0, 100.0))
def test_a_quarter_of_disturbed_turns_decides_nothing(turns_s: list[float], places: set[int], factor: float) -> None:
    disturbed = [one * factor if number in places else one for number, one in enumerate(turns_s)]
    found = precisions._speed("bf16", "bf16", disturbed, turns_s)
    assert (found.low, found.high) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("speed", "said"),
    [
        (PrecisionSpeed("bf16", "bf16", 1e-3, 1.68, 1.6, 1.8), "bf16 is 1.7 times slower than f32 on this processor (AMD EPYC)"),
        (
            PrecisionSpeed("f16", "bf16", 1e-3, 2.0, 1.9, 2.1),
            "f16 (computed in bf16) is 2 times slower than f32 on this processor (AMD EPYC)",
        ),
        (PrecisionSpeed("int8", "int8", 1e-3, 0.4, 0.39, 0.42), "int8 is 2.5 times faster than f32 on this processor (AMD EPYC)"),
        (
            PrecisionSpeed("f16", "f16", 1e-3, 1.0, 0.97, 1.02),
            "f16 takes 0.97 to 1.02 of f32's time on this processor (AMD EPYC): no difference",
        ),
        (
            PrecisionSpeed("f16", "f16", 1e-3, 1.0, 0.5, 1.3),
            "f16 takes 0.50 to 1.30 of f32's time on this processor (AMD EPYC): too loud a machine to tell them apart at a look",
        ),
    ],
    ids=["slower", "other", "faster", "alike", "loud"],
)
def test_the_line_says_it_as_a_person_would(speed: PrecisionSpeed, said: str) -> None:
    assert speed.sentence(CPU) == said
