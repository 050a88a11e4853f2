"""What would refuse a network after its training refuses it before: weights, groups, removal, export, and the device's own compiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from harness.devices import spec
from harness.devices.measure import Subject
from harness.devices.session import Device
from harness.errors import DeviceBusy, UsageError, one_line
from harness.networks.datasets import Dataset, Split
from harness.networks.drawing import draw
from harness.networks.tasks.own_task import OwnTask
from harness.networks.tasks.task import parts
from harness.pipeline import Network, latency_subject
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from harness.training import accuracy, finetune
from search.campaign.plan import layers_in_float
from search.campaign.subject import bench_of
from search.records.display import Display
from search.records.request import QUANTISED, Request
from search.space import compiling
from search.space.goals import objective_of
from search.workers.sized import network_at

REHEARSED_IMAGES = 200  # enough that a metric which needs several kinds of pictures has them
SEEN_IMAGES = 16  # for batch norm statistics of an untrained network, without which its logits may hardly differ


def look(request: Request, dataset: Dataset, display: Display, without_device: bool = False) -> Architecture:
    """Build, read ``--weights``, trace, remove half of everything, export, and load on the device where nobody else holds it.

    Where compiled cost is lowered it is compiled instead, which is kept. Returns the network's architecture.
    All but the reading again at every further size of the pictures: one that the network does not allow is named, with the reason. What
    was taken off the network or left out of its weights is said. Raises what each of these raises, in one line.
    """
    network = Network.by_name(request.network, dataset, request.weights)
    for note in network.notes:
        display.say(note)
    if request.weights is None:
        finetune.recalibrate(network.model, draw(dataset.train, SEEN_IMAGES).split.images)
    else:
        refuse_constant(network.model, draw(dataset.validation, SEEN_IMAGES).split.images, str(request.weights))
    if isinstance(dataset.task, OwnTask):
        judged = {"validation": dataset.validation, "test": dataset.test} | ({"training": dataset.train} if request.folds else {})
        rehearse(network.model, dataset.task, judged)
    architecture = network.architecture
    layers_in_float.check(request, architecture)
    each = (network, *(network_at(network, size) for size in request.sizes[1:]))
    subjects = [latency_subject(one, config) for one in each for config in (architecture.dense(), halved(architecture))]
    precisions = [one for one in request.precisions if one != QUANTISED]
    if objective_of(request).is_compiled:
        compiling.compile_all(bench_of(request), network, (architecture.dense(), halved(architecture)))
    elif not without_device:
        _load(request, [replace(one, precision=precision) for one in subjects for precision in precisions])
    return architecture


def rehearse(model: nn.Module, task: OwnTask, judged: Mapping[str, Split]) -> None:
    """UsageError for a task of the user's own that cannot be trained or judged by: found now, not when its network is trained.

    judged: the splits that the metric will be asked of, by what they are called, validation first.
    """
    few = draw(next(iter(judged.values())), REHEARSED_IMAGES).split
    found = accuracy.answers(model, few, batch_size=SEEN_IMAGES)
    led = [one.clone().requires_grad_(one.is_floating_point()) for one in ((found,) if isinstance(found, Tensor) else found)]
    task.rehearse(parts(led), few.labels)
    for name, split in judged.items():
        task.refuse_pictures(found, split.labels, name)


@torch.no_grad()
def refuse_constant(model: nn.Module, images: Tensor, origin: str) -> None:
    """UsageError for weights, from ``origin``, by which every picture and noise get the same answer: all zero, say, or not numbers.

    images: ``N x C x H x W``.
    """
    noise = torch.randn(2, *images.shape[1:], generator=torch.Generator().manual_seed(0))
    was_training = model.training
    logits = model.eval()(torch.cat([images, noise]))
    model.train(was_training)
    if not bool(torch.isfinite(logits).all()):
        raise UsageError(one_line(f"--weights={origin}: the network's answers with them are no numbers; give weights that were trained"))
    if bool((logits == logits[0]).all()):
        told = f"--weights={origin}: with them the network gives every picture the very same answer, as with weights that are all zero"
        raise UsageError(one_line(f"{told}; give weights that were trained"))


def halved(architecture: Architecture) -> PruningConfig:
    """Half of every group, whole steps of it, one at least."""
    return architecture.partial({group.name: max(1, group.channels // group.step // 2) * group.step for group in architecture.groups})


def _load(request: Request, subjects: list[Subject]) -> None:
    device = spec.find(request.device)
    try:
        session = Device(device).open(wait_s=0.0)
    except DeviceBusy:  # by another campaign that measures: training need not wait for it
        return
    with session:
        for one in subjects:
            session.load(one.onnx, one.network, one.precision or "f32", node_layers=one.node_layers).unload()
