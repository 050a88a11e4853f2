"""What an exported network reaches on the test split, answered by the device itself, beside the host's answers to the same images.

Every runtime answers by itself: OpenVINO on processors and the compute stick through an infer request, TensorRT by
its package in the agent, or through trtexec's ``--loadInputs`` and ``--exportOutput``: one process per batch, and therefore larger ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.devices.session import Device, Loaded, Session
from harness.devices.spec import find
from harness.errors import UsageError
from harness.networks import export, several_outputs
from harness.networks.datasets import Dataset
from harness.networks.export import Artefact
from harness.networks.tasks.task import Outputs
from harness.quantisation.answering import HOST, answered
from harness.records.accuracy import DeviceAccuracy
from harness.training.accuracy import count, right

PROCESS_PER_BATCH = {"trtexec": 32}  # runtimes that start a program for every batch, with the batch size that makes up for it

Logits = NDArray[np.float32]


def judge(
    session: Session,
    artefact: Artefact,
    network: str,
    dataset: Dataset,
    precision: str,
    host: Logits | None = None,
    batch_size: int | None = None,
) -> DeviceAccuracy:
    """Let the device answer the test split.

    host: the host's outputs for the same images, where they are known. batch_size: images per inference,
    by default the artefact's own where the runtime answers one after the other. Raises ModelRefused and the errors of a
    failing device.
    """
    export.check_picture(artefact, "accuracy on a device")
    sent, test, task = _in_batches(session, artefact, batch_size), dataset.test, dataset.task
    with _loaded(session, sent, network, precision) as loaded:
        found, effective = answered(loaded, test.images), loaded.effective_precision
    if host is not None and host.shape != found.shape:
        raise UsageError(f"the host's answers have shape {host.shape}, the device's {found.shape}; export the network again")
    each = several_outputs.shapes(artefact)
    ours, theirs = several_outputs.apart(found, each), None if host is None else several_outputs.apart(host, each)
    if wrong := task.fits(_one(ours), dataset.input_shape, dataset.classes):
        raise UsageError(f"{network} cannot be judged on {dataset.name}: it {wrong}")
    return DeviceAccuracy(
        artefact_digest=artefact.digest,
        network=network,
        device=session.info.name,
        effective_precision=effective,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        split="test",
        on_device=count(right(ours, test)),
        on_host=None if theirs is None else count(right(theirs, test)),
        agreement_ratio=None if theirs is None else task.agreement(ours, theirs),
        largest_difference=None if host is None else float(np.abs(found - host).max()),
        batch_size=sent.input_shape[0],
        metric=task.metric,
    )


def answers(session: Session, artefact: Artefact, images: Tensor, precision: str) -> Logits:
    """The device's outputs (of several, all joined) for any images (``N x C x H x W``).

    Raises ModelRefused and the errors of a failing device.
    """
    with _loaded(session, _in_batches(session, artefact), artefact.name, precision) as loaded:
        return answered(loaded, images)


def answers_in_f32(artefact: Artefact, dataset: Dataset) -> Logits:
    """The host's logits for the test split (images x classes), by the embedded runtime in f32; only answers, nothing is timed."""
    with Device(find(HOST).answering()).open() as session, _loaded(session, artefact, artefact.name, "f32") as loaded:
        return answered(loaded, dataset.test.images)


def host_answers(path: Path) -> Logits | None:
    """The host's logits stored beside an exported network, as ``NAME.logits.npy``; None where there are none."""
    beside = path.with_suffix(".logits.npy")
    if not beside.is_file():
        return None
    try:
        logits: Logits = np.load(beside, allow_pickle=False)
    except Exception as error:  # numpy raises whatever the bytes of a damaged file lead to
        told = str(error).splitlines()[0] if isinstance(error, OSError) and str(error) else "it is damaged"
        raise UsageError(f"{beside} holds no logits ({told}); delete it or export the network again") from error
    if not isinstance(logits, np.ndarray) or logits.ndim != 2 or logits.dtype.kind != "f" or not np.isfinite(logits).all():
        raise UsageError(f"{beside} holds no finite logits, one row for each image; delete it or export the network again")
    return logits


def _in_batches(session: Session, artefact: Artefact, batch_size: int | None = None) -> Artefact:
    return export.rebatched(artefact, batch_size or PROCESS_PER_BATCH.get(session.spec.runtime, artefact.input_shape[0] or 1))


@contextmanager
def _loaded(session: Session, artefact: Artefact, network: str, precision: str) -> Iterator[Loaded]:
    sent = several_outputs.as_one(artefact)
    loaded = session.load(sent.onnx, network, precision, node_layers=artefact.node_layers, batch_size=artefact.input_shape[0] or 1)
    yield loaded
    loaded.unload()


def _one(outputs: Outputs) -> Outputs:
    """What is answered to the first image."""
    return outputs[:1] if isinstance(outputs, Tensor) else tuple(part[:1] for part in outputs)
