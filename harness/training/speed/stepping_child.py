"""A child process that trains a network on all its threads for as many seconds as each line of its standard input says."""

from __future__ import annotations

import sys

from harness.networks import zoo
from harness.training import processor
from harness.training.processor import Way
from harness.training.recipes import Recipe
from harness.training.speed.probe import Rig


def main(network: str, channels: int, side: int, classes: int, batch: int) -> None:
    """Answer ``ready``, then a line with the seconds of each step for every line that is read."""
    shape, way = (channels, side, side), Way("f32", False, processor.processors())
    rig = Rig(zoo.build(network, shape, classes), shape, classes, Recipe(epochs=1, batch_size=batch), way)
    print("ready", flush=True)
    for line in sys.stdin:
        print(*rig.turn(float(line)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
