"""Which channels matter: the published importance criteria, scored per group of coupled channels.

Every score says "keep" when it is high. A group's score is the sum of its member layers' scores, channel by channel, because
a coupled channel can only be removed from all of them. Statistics of activations come from a calibration split, in
evaluation mode. Sums run in float64, so equal filters have equal scores and the order of a batch does not matter much.

.. [Li2017] H. Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv 1608.08710.
.. [He2018] Y. He et al., Soft Filter Pruning for Accelerating Deep CNNs, IJCAI 2018, arXiv 1808.06866.
.. [He2019] Y. He et al., Filter Pruning via Geometric Median, CVPR 2019, arXiv 1811.00250.
.. [Hu2016] H. Hu et al., Network Trimming, 2016, arXiv 1607.03250.
.. [Molchanov2017] P. Molchanov et al., Pruning CNNs for Resource Efficient Inference, ICLR 2017, arXiv 1611.06440.
.. [Molchanov2019] P. Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv 1906.10771.
.. [Liu2017] Z. Liu et al., Learning Efficient CNNs through Network Slimming, ICCV 2017, arXiv 1708.06519.
.. [Krishnamoorthi2018] R. Krishnamoorthi, Quantizing deep convolutional networks, 2018, arXiv 1806.08342.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import PruningError, UnknownName
from harness.networks.tasks.classification import CLASSIFICATION
from harness.networks.tasks.task import Task, in_float32, parts
from harness.pruning.lineage import batch_norms, follow_activations, weight_layers
from harness.records.architecture import Architecture

CALIBRATION_BATCH = 64  # images per forward pass: bounds memory, changes no statistic but Taylor's (mean over batches)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a criterion may look at: the model in evaluation mode, the layers it scores, images, labels, a seed, and whose loss counts.

    factors: layer to one factor per filter, by which its weights are multiplied before they are ranked; absent, none.
    """

    model: nn.Module
    layers: Mapping[str, nn.Conv2d | nn.Linear | nn.Conv1d]
    images: Tensor
    labels: Tensor | None
    seed: int
    factors: Mapping[str, Tensor] = field(default_factory=dict)
    task: Task = CLASSIFICATION

    @property
    def device(self) -> torch.device:
        """Where the layers are."""
        return next(iter(self.layers.values())).weight.device

    def filters(self, layer: str) -> Tensor:
        """``out x (in*k*k)`` weights in float64."""
        weights = self.layers[layer].weight.detach().double().cpu().flatten(1)
        return weights * self.factors[layer].unsqueeze(1) if layer in self.factors else weights

    def batches(self, tensor: Tensor) -> Iterator[Tensor]:
        """Rows of ``tensor``, ``CALIBRATION_BATCH`` at a time, on the model's device."""
        for start in range(0, len(tensor), CALIBRATION_BATCH):
            yield tensor[start : start + CALIBRATION_BATCH].to(self.device)


LayerScores = Callable[[Subject], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One published criterion.

    score: from a subject to one float64 vector per layer, high = keep. needs: ``weights``, ``images`` or ``labels``.
    """

    name: str
    score: LayerScores
    needs: str
    source: str


def scores(
    name: str,
    model: nn.Module,
    architecture: Architecture,
    images: Tensor | None = None,
    labels: Tensor | None = None,
    seed: int = 0,
    task: Task = CLASSIFICATION,
) -> dict[str, Tensor]:
    """Group name to a float64 vector with one score per channel, high = keep; the model is left as it was.

    images: calibration images ``N x C x H x W`` (apoz, mean-activation, taylor, bn-scale). labels: their ``N`` classes, or the
    targets of another ``task`` (taylor). seed: of ``random``. Raises UnknownName for the criterion, PruningError for what it lacks
    or cannot score.
    """
    if name not in CRITERIA:
        raise UnknownName("criterion", name, CRITERIA, "as a function in harness/pruning/criteria.py")
    criterion = CRITERIA[name]
    members = {group.name: tuple(weight_layers(model, group.members)) for group in architecture.groups}
    layers = weight_layers(model, [layer for names in members.values() for layer in names])
    subject = Subject(model, layers, _calibration(criterion, images, labels, architecture), labels, seed, task=task)
    with _evaluating(model):
        per_layer = criterion.score(subject)
    return {group.name: _group_score(name, group.name, group.channels, members[group.name], per_layer) for group in architecture.groups}


def l1(subject: Subject) -> dict[str, Tensor]:
    """Sum of absolute weights per filter, [Li2017]_ sec. 3.1: the smallest are pruned."""
    return {name: subject.filters(name).abs().sum(1) for name in subject.layers}


def l2(subject: Subject) -> dict[str, Tensor]:
    """Euclidean norm per filter, [He2018]_ eq. 2 with p = 2."""
    return {name: subject.filters(name).square().sum(1).sqrt() for name in subject.layers}


def folded(score: LayerScores) -> LayerScores:
    """The same ranking of weights with the batch norm behind each layer folded in, W gamma / sigma, [Krishnamoorthi2018]_ eq. 20.

    What Distiller's policies call ``fold_batchnorm``; layers without a batch norm are ranked as they are.
    """

    def score_folded(subject: Subject) -> dict[str, Tensor]:
        modules = dict(subject.model.named_modules())
        norms = batch_norms(subject.model, subject.layers, subject.images[:1].to(subject.device))
        return score(replace(subject, factors={layer: _factor(norm, modules[norm]) for layer, norm in norms.items()}))

    return score_folded


def fpgm(subject: Subject) -> dict[str, Tensor]:
    """Sum of Euclidean distances to the layer's other filters, [He2019]_ sec. 3.3: the filter nearest to all is replaceable."""
    # differences, not the inner-product shortcut: equal filters must be exactly 0 apart
    exact = "donot_use_mm_for_euclid_dist"
    filters = {name: subject.filters(name) for name in subject.layers}
    return {name: torch.cdist(found, found, compute_mode=exact).sum(1) for name, found in filters.items()}


def apoz(subject: Subject) -> dict[str, Tensor]:
    """1 - APoZ, [Hu2016]_ eq. 1: the share of non-zero outputs behind the nonlinearity; the highest APoZ is pruned first."""
    return _activation_mean(subject, lambda activation: (activation != 0).double())


def mean_activation(subject: Subject) -> dict[str, Tensor]:
    """Mean output behind the nonlinearity, [Molchanov2017]_ sec. 2.2 "Activation": the lowest is pruned first."""
    return _activation_mean(subject, lambda activation: activation.double())


def taylor(subject: Subject) -> dict[str, Tensor]:
    """Squared first-order change of the loss, [Molchanov2019]_ sec. 3 with gates: (dE/dz)^2, mean over batches.

    The gate z = 1 multiplies a channel behind its batch norm (behind the layer where there is none): in front of a batch
    norm the gradient of a filter is orthogonal to the filter, and the score would be rounding noise.
    """
    if subject.labels is None:
        raise PruningError("taylor needs the labels of the calibration images; pass labels")
    modules = dict(subject.model.named_modules())
    norms = batch_norms(subject.model, subject.layers, subject.images[:1].to(subject.device))
    gates = {name: torch.ones(layer.weight.shape[0], device=subject.device, requires_grad=True) for name, layer in subject.layers.items()}
    handles = [modules[norms.get(name, name)].register_forward_hook(_gate(gate)) for name, gate in gates.items()]
    totals = {name: torch.zeros(len(gate), dtype=torch.float64) for name, gate in gates.items()}
    count = 0
    try:
        for images, labels in zip(subject.batches(subject.images), subject.batches(subject.labels), strict=True):
            loss = subject.task.loss(in_float32(parts(subject.model(images))), labels, 0.0)
            gradients = torch.autograd.grad(loss, list(gates.values()), allow_unused=True)
            for name, gradient in zip(gates, gradients, strict=True):
                if gradient is not None:
                    totals[name] += gradient.double().cpu().square()
            count += 1
    finally:
        for handle in handles:
            handle.remove()
    return {name: total / count for name, total in totals.items()}


def bn_scale(subject: Subject) -> dict[str, Tensor]:
    """Absolute scale of the batch norm behind the layer, [Liu2017]_ sec. 3; layers without one add nothing to their group."""
    modules = dict(subject.model.named_modules())
    norms = batch_norms(subject.model, subject.layers, subject.images[:1].to(subject.device))
    scales = {name: modules[norm].weight for name, norm in norms.items()}
    return {name: scale.detach().double().cpu().abs() for name, scale in scales.items() if isinstance(scale, Tensor)}


def random_scores(subject: Subject) -> dict[str, Tensor]:
    """Uniform noise from ``seed``: the control every criterion has to beat."""
    generator = torch.Generator().manual_seed(subject.seed)
    return {name: torch.rand(layer.weight.shape[0], generator=generator, dtype=torch.float64) for name, layer in subject.layers.items()}


CRITERIA: dict[str, Criterion] = {
    criterion.name: criterion
    for criterion in (
        Criterion("l1", l1, "weights", "Li 2017, sec. 3.1"),
        Criterion("l2", l2, "weights", "He 2018, eq. 2"),
        Criterion("l1-folded", folded(l1), "weights", "Li 2017, sec. 3.1, behind Krishnamoorthi 2018, eq. 20"),
        Criterion("l2-folded", folded(l2), "weights", "He 2018, eq. 2, behind Krishnamoorthi 2018, eq. 20"),
        Criterion("fpgm", fpgm, "weights", "He 2019, sec. 3.3"),
        Criterion("apoz", apoz, "images", "Hu 2016, eq. 1"),
        Criterion("mean-activation", mean_activation, "images", "Molchanov 2017, sec. 2.2"),
        Criterion("taylor", taylor, "labels", "Molchanov 2019, sec. 3"),
        Criterion("bn-scale", bn_scale, "weights", "Liu 2017, sec. 3"),
        Criterion("random", random_scores, "weights", "control"),
    )
}


def _factor(name: str, norm: Any) -> Tensor:
    """gamma / sigma per channel in float64, with the running variance."""
    variance, scale = norm.running_var, norm.weight
    if not isinstance(variance, Tensor):
        raise PruningError(f"batch norm {name} keeps no running statistics to fold; rank by l1 or l2")
    sigma: Tensor = (variance.double().cpu() + norm.eps).sqrt()
    gamma = scale.detach().double().cpu() if isinstance(scale, Tensor) else torch.ones_like(sigma)
    return gamma / sigma


def _activation_mean(subject: Subject, read: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Mean of ``read(activation)`` per channel over all images and positions, exact for unequal batches."""
    totals: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def visit(layer: str, activation: Tensor) -> None:
        statistic = read(activation.detach()).transpose(0, 1).flatten(1)
        totals[layer] = totals.get(layer, torch.zeros(len(statistic), dtype=torch.float64)) + statistic.sum(1).cpu()
        counts[layer] = counts.get(layer, 0) + statistic.shape[1]

    with torch.no_grad():
        follow_activations(subject.model, subject.layers, subject.batches(subject.images), visit)
    return {layer: total / counts[layer] for layer, total in totals.items()}


def _group_score(criterion: str, group: str, channels: int, members: tuple[str, ...], per_layer: Mapping[str, Tensor]) -> Tensor:
    found = [per_layer[layer] for layer in members if layer in per_layer]
    if not found:
        raise PruningError(f"{criterion} cannot score group {group}: no member has what it reads; choose l1 or another criterion")
    for layer, score in zip(members, found, strict=False):
        if len(score) != channels:
            raise PruningError(f"layer {layer} has {len(score)} channels, its group {group} has {channels}; make the architecture again")
    total = torch.stack(found).sum(0)
    if torch.isnan(total).any():
        raise PruningError(f"{criterion} gives NaN for group {group}, channel {int(torch.isnan(total).nonzero()[0])}; check the weights")
    return total


def _calibration(criterion: Criterion, images: Tensor | None, labels: Tensor | None, architecture: Architecture) -> Tensor:
    """The images a criterion reads; zeros where only the way through the network matters."""
    if images is None and criterion.needs == "weights":
        return torch.zeros(1, *architecture.input_shape)
    if images is None or len(images) == 0:
        raise PruningError(f"{criterion.name} needs calibration images; pass some, for example of the validation split")
    if labels is not None and len(labels) != len(images):
        raise PruningError(f"{len(images)} calibration images but {len(labels)} labels; pass one label per image")
    return images


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, every module's own mode again afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _gate(gate: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        return output * gate.view(1, -1, *[1] * (output.dim() - 2))

    return hook
