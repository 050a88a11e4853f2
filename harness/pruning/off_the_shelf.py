"""Published pruning configurations as data: what one gets without searching.

The published schedules are the files in ``schedules``, read by ``schedule.off_the_shelf``; this adds what a network without any
is compared with. Steps of a schedule that zero single weights are left out: they shrink no tensor.

.. [Howard2017] A. Howard et al., MobileNets, 2017, arXiv 1704.04861: width multipliers.
"""

from __future__ import annotations

from harness.pruning.schedule import NamedConfig, off_the_shelf
from harness.records.architecture import Architecture

WIDTH_MULTIPLIERS = (0.75, 0.5)  # [Howard2017]_ table 6, without the smallest


def named_configs(architecture: Architecture) -> tuple[NamedConfig, ...]:
    """The published configurations for this network; for one without any, MobileNet's uniform width multipliers."""
    return off_the_shelf(architecture) or tuple(
        NamedConfig(f"uniform_{ratio:g}", architecture.uniform(ratio), f"Howard et al. 2017, width multiplier {ratio:g}")
        for ratio in WIDTH_MULTIPLIERS
    )
