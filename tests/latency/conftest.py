"""A small residual network as data, a machine with a staircase on which it runs, and records of what that machine took."""

from __future__ import annotations

import numpy as np
import pytest

from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, Measurement


@pytest.fixture(scope="session")
def residual_network():
    """Builds a network of ``stages`` (channels of each) with ``blocks`` residual blocks of two convolutions each.

    ``all_removable``: the blocks that begin a stage can lose their branch, too, and keep the strided shortcut.
    """

    def build(stages: tuple[int, ...] = (16, 32), blocks: int = 2, size: int = 16, all_removable: bool = False) -> Architecture:
        groups, layers = [], [LayerSite("stem", "conv", (), "stem", 3, stages[0], (3, 3), (1, 1), (1, 1), input_size=(size, size))]
        members = {"stem": ["stem"]}
        width, residual = stages[0], "stem"
        for number, channels in enumerate(stages, start=1):
            for block in range(blocks):
                down = number > 1 and block == 0
                name, stride, source = f"layer{number}.{block}", (2, 2) if down else (1, 1), residual
                if down:
                    residual = f"{name}.conv2"
                    members[residual] = []
                inner, out_size = f"{name}.conv1", size // stride[0]
                branch = None if down and not all_removable else inner
                layers.append(
                    LayerSite(
                        inner, "conv", (source,), inner, width, channels, (3, 3), stride, (1, 1), input_size=(size, size), branch=branch
                    )
                )
                layers.append(
                    LayerSite(
                        f"{name}.conv2", "conv", (inner,), residual, channels, channels, (3, 3), (1, 1), (1, 1),
                        input_size=(out_size, out_size), branch=branch,
                    )
                )  # fmt: skip
                members[residual].append(f"{name}.conv2")
                if down:
                    layers.append(
                        LayerSite(f"{name}.down", "conv", (source,), residual, width, channels, stride=(2, 2), input_size=(size, size))
                    )
                    members[residual].append(f"{name}.down")
                groups.append(ChannelGroup(inner, channels, (inner,), branch is not None, f"layer{number}"))
                size, width = out_size, channels
        widths = {"stem": stages[0], **{name: next(s.out_channels for s in layers if s.name == name) for name in members if name != "stem"}}
        groups += [ChannelGroup(name, widths[name], tuple(found), False, name.partition(".")[0]) for name, found in members.items()]
        layers.append(LayerSite("fc", "linear", (residual,), None, width, 10))
        return Architecture("residual", (3, layers[0].input_size[0], layers[0].input_size[1]), 10, tuple(groups), tuple(layers))

    return build


@pytest.fixture(scope="session")
def network(residual_network):
    """The small residual network that most tests use."""
    return residual_network()


@pytest.fixture(scope="session")
def machine():
    """True seconds of a configuration on a machine whose arithmetic rounds channels up to vectors of eight."""

    def seconds(architecture, config) -> float:
        total = 20e-6
        for name, shape in architecture.shapes(config).items():
            if name == "fc":
                total += 1e-6
                continue
            height, width = shape.output_size
            rounded = -(-shape.out_channels // 8) * 8 * (-(-shape.in_channels // 4) * 4)
            total += 2e-6 + height * width * shape.kernel_size[0] ** 2 * rounded / 60e9 + shape.traffic_bytes() / 40e9
        removed = sum(1 for group, kept in config.channels if kept == 0)
        return total + 0.5e-6 * removed

    return seconds


@pytest.fixture(scope="session")
def conditions():
    """Builds conditions; keywords replace parts of the device or of the conditions."""

    def build(
        name: str = "cpu", precision: str = "f32", taken_at: str = "2026-11-23T18:00:00+00:00", simulated: bool = False
    ) -> Conditions:
        device = DeviceInfo(name, "openvino", "2026.4.1", "a processor", "a host", "3.11", simulated)
        state = Snapshot(taken_at)
        return Conditions(device, precision, precision, 1, 1, 1, state, state, (), "abc")

    return build


@pytest.fixture(scope="session")
def measured(conditions):
    """Builds a measurement of ``seconds`` with ``noise`` between blocks, reproducible per configuration."""

    def build(architecture, config, seconds, role="design", noise=0.0, where=None, seed=0, blocks=5) -> Measurement:
        rng = np.random.default_rng([int(config.digest, 16) % 2**32, seed])
        level = seconds * np.exp(noise * rng.standard_normal())
        samples = tuple(float(level * (1 + 1e-4 * share)) for share in rng.random(4 * blocks))
        return Measurement(
            network=architecture.network,
            architecture_digest=architecture.digest,
            config=config,
            artefact_digest=config.digest,
            artefact_bytes=1,
            latency=Latency(samples, (4,) * blocks),
            conditions=where or conditions(),
            load_s=0.1,
            first_inference_s=0.01,
            role=role,
        )

    return build
