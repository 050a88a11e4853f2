"""What the command line says of INT8: how networks are quantised, and what is refused before anything is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.devices.spec import DeviceSpec
from harness.errors import UnknownName, UsageError
from harness.quantisation import calibration
from harness.quantisation.quantising import SIGNED_ONLY, Options, layers_of
from harness.records.architecture import Architecture
from harness.records.conditions import INT8


def quantisation(config: pytest.Config, runtime: str) -> Options:
    """How networks are quantised for devices of this runtime."""
    asked = config.getoption
    return Options(
        per_channel=not asked("--per-tensor"),
        symmetric=not asked("--asymmetric"),
        fast_bias_correction=not asked("--full-bias-correction"),
        in_float=in_float(config),
        signed=runtime in SIGNED_ONLY,
    )


def in_float(config: pytest.Config) -> tuple[str, ...]:
    """The layers that ``--in-float`` names, each time several by comma."""
    return layers_of(config.getoption("--in-float"))


def check_in_float(config: pytest.Config, architecture: Architecture) -> None:
    """Refuse, with UnknownName, layers to leave in float that the network does not have; of contenders only their files tell."""
    known = {site.name for site in architecture.layers}
    for layer in in_float(config):
        if layer not in known and not config.getoption("--contender"):
            raise UnknownName("layer", layer, known, "for --in-float")


def check(config: pytest.Config, devices: Sequence[DeviceSpec]) -> None:
    """Refuse what INT8 cannot be had by, or by these devices."""
    asked = config.getoption
    if not asked("--precision") or "," in asked("--precision"):
        raise UsageError(
            f"--precision={asked('--precision')}: a run measures in one precision; give f32, bf16, f16 or int8, a run for each"
        )
    words = ("--calibration", "--asymmetric", "--per-tensor", "--full-bias-correction", "--in-float", "--int8-max-drop")
    given = [word for word in words if asked(word) not in (None, False, [])]
    if asked("--precision") != INT8:
        if given:
            raise UsageError(f"{given[0]} is about INT8, but --precision is {asked('--precision')}; give --precision=int8 with it")
        return
    if asked("--compile-only"):
        raise UsageError("--compile-only with --precision=int8: the stick's compiler has no INT8; leave --precision out")
    if asked("--calibration") is not None and asked("--calibration") < 1:
        raise UsageError(f"--calibration={asked('--calibration')}: give at least 1 image, {calibration.IMAGES} as a rule")
    if asked("--int8-max-drop") is not None and not 0 <= asked("--int8-max-drop") < 100:
        raise UsageError(f"--int8-max-drop={asked('--int8-max-drop')}: give points of accuracy, e.g. 0.2")
    if asked("--int8-max-drop") is not None and asked("--weights") is None and not asked("--contender"):
        raise UsageError("--int8-max-drop is about accuracy, and random weights have none; give --weights=FILE, or a --contender")
    for device in devices:
        if device.runtime == "myriad":
            raise UsageError(f"--precision=int8: device {device.name} has no INT8; give --precision=f16 for it")
        if device.runtime in SIGNED_ONLY and asked("--asymmetric"):
            raise UsageError(f"--asymmetric: TensorRT on {device.name} takes symmetric activations only; leave it out")
