"""Sensitivities as records: what they were found on, so that they are used again only for the same weights and images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.records.accuracy import Accuracy, WidthAccuracy
from harness.records.architecture import Architecture
from harness.training.sensitivity import WidthLoss


def _dense(loss: WidthLoss) -> Accuracy:
    """What the dense network reached on the same pictures."""
    ours, lost = loss.accuracy, loss.points_lost / 100
    if ours.is_counted:
        return Accuracy(round(ours.correct + lost * ours.total), ours.total)
    low, high = ours.interval_ratio
    return Accuracy(0, ours.total, ours.top1_ratio + lost, low + lost, high + lost)


def weights_digest(model: nn.Module) -> str:
    """First 16 hexadecimal digits of the SHA-256 of every tensor of the state, with its name."""
    return _digest(model.state_dict())


def stored_weights_digest(path: Path) -> str:
    """The digest of the network that these weights fill; UsageError when they cannot be read."""
    return _digest(zoo.read_weights(path))


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def records(
    architecture: Architecture, model: nn.Module, dataset: Dataset, criterion: str, losses: Iterable[WidthLoss]
) -> tuple[WidthAccuracy, ...]:
    """The losses of an analysis of ``model`` with ``dataset``, ready to be stored."""
    weights = weights_digest(model)
    return tuple(
        WidthAccuracy(
            architecture_digest=architecture.digest,
            weights_digest=weights,
            dataset=dataset.name,
            dataset_digest=dataset.digest,
            criterion=criterion,
            group=loss.group,
            channels=loss.channels,
            accuracy=loss.accuracy,
            dense=_dense(loss),
        )
        for loss in losses
    )
