"""What a network reaches on a split of a dataset, on the host: top-1, or whatever its task judges by, picture by picture."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from harness.networks.datasets import Split
from harness.networks.tasks.sampling import interval
from harness.networks.tasks.task import Outputs, Scores, on_host, parts
from harness.records.accuracy import Accuracy
from harness.training import processor


def evaluate(model: nn.Module, split: Split, batch_size: int = 256) -> Accuracy:
    """What ``model`` reaches on every image of ``split``, in float32; the network's mode is left as it was."""
    return count(scores(model, split, batch_size))


def scores(model: nn.Module, split: Split, batch_size: int = 256, precision: str = "f32") -> Scores:
    """Every picture's part in the metric (``N``): for classification, whether it is answered rightly.

    precision: what the network computes in, ``f32`` or as a recipe names it. Raises what the task does for outputs that it cannot judge.
    """
    task, seen, start = split.task, [], 0
    for outputs in _answered(model, split, batch_size, precision):
        end = start + len(outputs if isinstance(outputs, Tensor) else outputs[0])
        seen.append(task.seen(outputs, split.labels[start:end]))
        start = end
    return task.scores(tuple(torch.cat(part) for part in zip(*seen, strict=True)))


def answers(model: nn.Module, split: Split, batch_size: int = 256, precision: str = "f32") -> Outputs:
    """All outputs for the images of ``split``, in float32 on the CPU; the network's mode and place are left as they were."""
    return joined(list(_answered(model, split, batch_size, precision)))


def right(outputs: Outputs, split: Split) -> Scores:
    """The same as ``scores`` from outputs that are there."""
    return split.task.scores(split.task.seen(outputs, split.labels))


def count(scores: Scores) -> Accuracy:
    """The metric from every picture's part in it: counted where each is right or wrong, else with the interval of resampling pictures."""
    if scores.dtype == bool:
        return Accuracy(int(scores.sum()), len(scores))
    return Accuracy(0, len(scores), float(scores.mean()), *interval(scores.astype(float)))


def joined(outputs: list[Outputs]) -> Outputs:
    """The outputs of batch after batch as those of all pictures."""
    if isinstance(outputs[0], Tensor):
        return torch.cat([one for one in outputs if isinstance(one, Tensor)])
    return tuple(torch.cat(part) for part in zip(*outputs, strict=True))


def _answered(model: nn.Module, split: Split, batch_size: int, precision: str) -> Iterator[Outputs]:
    """Batch after batch, so that only what the metric needs of large outputs is kept."""
    place = processor.device()
    training, home = model.training, next(model.parameters()).device
    model.eval().to(place)
    halved = torch.autocast(place.type, torch.bfloat16, enabled=processor.precision(precision) == "bf16")
    try:
        for images in split.batches(batch_size):
            with torch.inference_mode(), processor.whole_float32(), halved:
                outputs = on_host(parts(model(processor.laid(images).to(place))))
            yield outputs
    finally:
        model.to(home).train(training)
