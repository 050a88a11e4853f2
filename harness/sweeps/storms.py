"""Simulated loud machines on which the verdict is calibrated: how much of the time they are slow, by how much, for how long at a time.

Networks are not slowed quite alike (``slow_spread``), so that where a comparison met nothing but slow states, what it sees is not what is
true in the fast one. The protocol was chosen on ``TUNING_SEED``; what is reported is of other seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.devices import spec
from harness.devices.spec import DeviceSpec

DEVICE = "simulated-loud"
TUNING_SEED = 0
LOAD_S = 0.05  # as these networks take on a CPU


@dataclass(frozen=True, slots=True)
class Storm:
    """One kind of disturbance; the numbers are options of the simulated device, see ``harness/devices/agent/disturbance.py``.

    blind: whether slow states may outlast a whole comparison, which then cannot know that there is a fast one; only false verdicts count.
    """

    name: str
    slow_share: float = 0.0
    slow_ratio: float = 1.5
    slow_least_s: float = 0.05
    slow_most_s: float = 5.0
    preempted_per_s: float = 0.0
    wander: float = 0.0
    load_spread: float = 0.0
    blind: bool = False

    def device(self, seed: int) -> DeviceSpec:
        """The simulated device on which it blows."""
        found = spec.find(DEVICE).with_options(
            slow_share=self.slow_share,
            slow_ratio=self.slow_ratio,
            slow_least_s=self.slow_least_s,
            slow_most_s=self.slow_most_s,
            preempted_per_s=self.preempted_per_s,
            wander=self.wander,
            load_spread=self.load_spread,
            load_s=LOAD_S,
            seed=seed,
        )
        return replace(found, exclusive=False)  # what is not there excludes nobody


STORMS = (
    Storm("quiet"),
    Storm("unequal loads", load_spread=0.01),
    Storm("drift", slow_share=0.3, wander=0.05),
    Storm("seldom", slow_share=0.1),
    Storm("short gusts", slow_share=0.3, slow_ratio=1.3, slow_most_s=0.5, preempted_per_s=5.0),
    Storm("deep", slow_share=0.4, slow_ratio=1.8, preempted_per_s=5.0),
    Storm("long", slow_share=0.5, slow_least_s=1.0, slow_most_s=10.0, blind=True),
    Storm("loud", slow_share=0.6, preempted_per_s=2.0, wander=0.01),
    Storm("loud, unequal loads", slow_share=0.6, preempted_per_s=2.0, wander=0.01, load_spread=0.01),
    Storm("mostly slow", slow_share=0.8, slow_ratio=1.3),
    Storm("mostly slow, deep", slow_share=0.8, slow_ratio=1.8, slow_most_s=2.0, preempted_per_s=2.0),
    Storm("mostly slow, long", slow_share=0.8, slow_ratio=1.8, slow_least_s=1.0, slow_most_s=10.0, blind=True),
)
