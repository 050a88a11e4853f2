"""``python -m harness.training.speed``: every way in which a network can be trained here, side by side, and the chosen one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.training.speed import waiting
from harness.training.speed.waiting import Waiting

CHECK_S = 4.0  # of each on its own: many times its turns


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; with ``--check``, what each reaches when it is timed longer, on its own. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.training.speed", description=__doc__)
    parser.add_argument("--network", default="resnet20", help="as for python -m search")
    parser.add_argument("--dataset", default="digits", help="whose pictures decide the size, and whose recipe the batch")
    parser.add_argument("--data", type=Path, help="where the dataset lies, if it is not installed")
    parser.add_argument("--fresh", action="store_true", help="try again, whatever this machine remembers")
    parser.add_argument("--check", action="store_true", help=f"then time each on its own for {CHECK_S:g} s")
    asked = parser.parse_args(words)
    try:
        _print(asked, waiting.settle(asked.fresh))  # before torch is loaded, which reads it once
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _print(asked: argparse.Namespace, waits: Waiting) -> None:
    from harness.networks import datasets, zoo
    from harness.training import processor, recipes
    from harness.training.speed import probe

    dataset = datasets.load(asked.dataset, asked.data, channels=zoo.wanted_channels(asked.network, None))
    model, recipe = zoo.build(asked.network, dataset.input_shape, dataset.classes), recipes.tuning_recipe(asked.dataset, 1.0)
    speed = probe.settle(model, dataset.input_shape, dataset.classes, recipe, processor.processors(), asked.fresh)
    for note in filter(None, (waits.note, speed.note)):
        print(note)
    print(f"{asked.network}, pictures of {'x'.join(map(str, dataset.input_shape))}, batches of {recipe.batch_size}")
    print(speed.sentence)
    ways = tuple(one.way for one in speed.tried)
    longer = probe.attempt(model, dataset.input_shape, dataset.classes, recipe, ways, CHECK_S) if asked.check else None
    print(f"{'way':34}{'images/s':>10}{'of chosen':>11}" + (f"{'on its own':>12}{'of chosen':>11}" if longer else ""))
    alone = {one.way: one.images_per_s for one in longer or ()}
    for one in speed.tried:
        told = f"{one.images_per_s:10.0f}{one.images_per_s / speed.images_per_s:11.2f}" if not one.failure else f"  {one.failure[:60]}"
        if longer and not one.failure:
            told += f"{alone[one.way]:12.0f}{alone[one.way] / alone[speed.chosen]:11.2f}"
        print(f"{one.way.words:34}{told}{'  chosen' if one.way == speed.chosen else ''}")
    if longer:
        fastest = max(rate for rate in alone.values() if rate > 0)
        print(f"timed on its own, the chosen way reaches {alone[speed.chosen] / fastest:.1%} of the fastest")
    _print_waiting(waits, (asked.network, *dataset.input_shape[:2], dataset.classes, recipe.batch_size), asked.check)


def _print_waiting(waits: Waiting, subject: Sequence[object], check: bool) -> None:
    if waits.chosen is None:
        print(f"waiting threads: not tried, {waiting.told() or 'one thread waits for nobody'}")
        return
    if not waits.seen:
        print(f"{waits.chosen.words}: not tried, for other programs hold this machine (--fresh tries)")
        return
    longer = {one.policy: one.alone for one in waiting.attempt(subject, tuple(one.policy for one in waits.seen), CHECK_S)} if check else {}
    print(
        f"{'waiting threads (f32, resnet20)':52}{'alone':>8}{'beside a busy program':>23}"
        + (f"{'this network, on its own':>26}" if check else "")
    )
    for one in waits.seen:
        told = f"{one.alone:8.0f}{one.beside:23.0f}" + (f"{longer[one.policy]:26.0f}" if one.policy in longer else "")
        print(f"{one.policy.words:52}{told}{'  chosen' if one.policy == waits.chosen else ''}")


if __name__ == "__main__":
    sys.exit(main())
