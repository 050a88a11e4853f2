"""Probes of Distiller's own example schedules: the first and the last scheduled epoch of each, trained for two steps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tests.literature.probes.experiment import images, probe

# id, schedule below examples/, network: all of the 53 shipped schedules that name one of Distiller's own CIFAR networks.
EXAMPLES = (
    ("e8.01", "agp-pruning/resnet20_filters.bn_fold.schedule_agp.yaml", "resnet20_cifar"),
    ("e8.02", "agp-pruning/resnet20_filters.schedule_agp.yaml", "resnet20_cifar"),
    ("e8.03", "agp-pruning/resnet20_filters.schedule_agp_2.yaml", "resnet20_cifar"),
    ("e8.04", "agp-pruning/resnet20_filters.schedule_agp_3.yaml", "resnet20_cifar"),
    ("e8.05", "agp-pruning/resnet20_filters.schedule_agp_4.yaml", "resnet20_cifar"),
    ("e8.06", "drop_filter/plain20_cifar_dropfilter_training.yaml", "plain20_cifar"),
    ("e8.07", "drop_filter/plain20_cifar_dropfilter_training_regularization.yaml", "plain20_cifar"),
    ("e8.08", "drop_filter/resnet20_cifar_randomlevel_training.yaml", "resnet20_cifar"),
    ("e8.09", "network_slimming/resnet20_slimming.yaml", "resnet20_cifar"),
    ("e8.10", "network_surgery/resnet20.network_surgery.yaml", "resnet20_cifar"),
    ("e8.11", "network_trimming/resnet56_cifar_activation_apoz.yaml", "resnet56_cifar"),
    ("e8.12", "network_trimming/resnet56_cifar_activation_apoz_v2.yaml", "resnet56_cifar"),
    ("e8.13", "pruning_filters_for_efficient_convnets/resnet56_cifar_baseline_training.yaml", "resnet56_cifar"),
    ("e8.14", "pruning_filters_for_efficient_convnets/resnet56_cifar_channel_rank.yaml", "resnet56_cifar"),
    ("e8.15", "pruning_filters_for_efficient_convnets/resnet56_cifar_filter_rank.yaml", "resnet56_cifar"),
    ("e8.16", "pruning_filters_for_efficient_convnets/resnet56_cifar_filter_rank_v2.yaml", "resnet56_cifar"),
    ("e8.17", "ssl/resnet20_cifar_baseline_training.yaml", "resnet20_cifar"),
    ("e8.18", "ssl/ssl_4D-removal_finetuning.yaml", "resnet20_cifar"),
    ("e8.19", "ssl/ssl_4D-removal_training.yaml", "resnet20_cifar"),
    ("e8.20", "ssl/ssl_channels-removal_finetuning.yaml", "resnet20_cifar"),
    ("e8.21", "ssl/ssl_channels-removal_finetuning_x1.8.yaml", "resnet20_cifar"),
    ("e8.22", "ssl/ssl_channels-removal_training.yaml", "resnet20_cifar"),
    ("e8.23", "ssl/ssl_channels-removal_training_x1.8.yaml", "resnet20_cifar"),
    ("e8.24", "ssl/ssl_filter-removal_training.yaml", "resnet20_cifar"),
    ("e8.25", "ssl/vgg16_cifar_ssl_channels_training.yaml", "vgg16_cifar"),
)


def _examples(d: Any) -> Path:
    return Path(d.__file__).parents[1]


def _parallel(d: Any, arch: str) -> nn.DataParallel:
    torch.manual_seed(0)
    model = nn.DataParallel(d.models.create_model(False, "cifar10", arch, parallel=False))
    model.src_device_obj = torch.device("cpu")
    model.input_shape = (1, 3, 32, 32)
    return model


def _run_epoch(d: Any, scheduler: Any, model: nn.Module, optimiser: torch.optim.Optimizer, epoch: int) -> None:
    scheduler.on_epoch_begin(epoch, optimiser)
    for step in range(2):
        x, y = images(2)
        scheduler.on_minibatch_begin(epoch, step, 2, optimiser)
        loss = F.cross_entropy(model(x), y)
        loss = scheduler.before_backward_pass(epoch, step, 2, loss, optimiser)
        optimiser.zero_grad()
        loss.backward()
        scheduler.before_parameter_optimization(epoch, step, 2, optimiser)
        optimiser.step()
        scheduler.on_minibatch_end(epoch, step, 2, optimiser)
        del loss, x, y
    scheduler.on_epoch_end(epoch, optimiser, metrics={"min": 1.0, "max": 1.0})


def run_example(d: Any, yaml: str, arch: str) -> dict[str, Any]:
    """The trained model's sparsity, parameter count and sum of |p| after the schedule's first and last epoch."""
    model = _parallel(d, arch)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    collectors = sys.modules["distiller.data_loggers"]
    collector = collectors.SummaryActivationStatsCollector(model, "apoz_channels", d.utils.activation_channels_apoz)
    with collectors.collector_context(collector), torch.no_grad():
        model(torch.randn(2, 3, 32, 32))
    scheduler = d.file_config(model, optimiser, str(_examples(d) / yaml))
    epochs = sorted({min(scheduler.policies), max(scheduler.policies)})
    for epoch in epochs:
        _run_epoch(d, scheduler, model, optimiser, epoch)
    weights = [parameter.detach() for parameter in model.parameters()]
    return {
        "epochs_run": epochs,
        "model_sparsity_pct": round(float(d.model_sparsity(model)), 2),
        "params": sum(weight.numel() for weight in weights),
        "abs_sum": round(sum(float(weight.double().abs().sum()) for weight in weights), 2),
    }


def _register(id: str, yaml: str, arch: str) -> None:
    probe(id, yaml)(lambda d: run_example(d, yaml, arch))


for _id, _yaml, _arch in EXAMPLES:
    _register(_id, "examples/" + _yaml, _arch)
