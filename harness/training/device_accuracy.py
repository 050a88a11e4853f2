"""Top-1 accuracy of an exported network, answered by the device itself, beside the host's answers to the same images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.devices.session import Session
from harness.errors import UsageError
from harness.networks.datasets import Dataset
from harness.networks.export import Artefact
from harness.records.accuracy import Accuracy, DeviceAccuracy

IMAGES_PER_CALL = 256  # keeps one request's frame around a megabyte for small images

Logits = NDArray[np.float32]


def judge(
    session: Session, artefact: Artefact, network: str, dataset: Dataset, precision: str, host: Logits | None = None
) -> DeviceAccuracy:
    """Let the device answer the test split.

    host: the host's logits (images x classes) for the same images, where they are known. Raises ModelRefused and the
    errors of a failing device.
    """
    images = dataset.test.images.numpy()
    labels = dataset.test.labels.numpy()
    loaded = session.load(artefact.onnx, network, precision, node_layers=artefact.node_layers)
    answers = np.concatenate([loaded.outputs(images[at : at + IMAGES_PER_CALL]) for at in range(0, len(images), IMAGES_PER_CALL)])
    effective = loaded.effective_precision
    loaded.unload()
    if host is not None and host.shape != answers.shape:
        raise UsageError(f"the host's answers have shape {host.shape}, the device's {answers.shape}; export the network again")
    return DeviceAccuracy(
        artefact_digest=artefact.digest,
        network=network,
        device=session.info.name,
        effective_precision=effective,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        split="test",
        on_device=_top1(answers, labels),
        on_host=None if host is None else _top1(host, labels),
        agreement_ratio=None if host is None else float(np.mean(answers.argmax(1) == host.argmax(1))),
        largest_difference=None if host is None else float(np.abs(answers - host).max()),
    )


def host_answers(path: Path) -> Logits | None:
    """The host's logits stored beside an exported network, as ``NAME.logits.npy``; None where there are none."""
    beside = path.with_suffix(".logits.npy")
    if not beside.is_file():
        return None
    try:
        logits: Logits = np.load(beside, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{beside} holds no logits ({error}); delete it or export the network again") from error
    return logits


def _top1(answers: Logits, labels: NDArray[np.int64]) -> Accuracy:
    return Accuracy(int((answers.argmax(1) == labels).sum()), len(labels))
