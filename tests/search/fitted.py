"""A network that loses with every channel, made in seconds and without training."""

import torch
from torch import nn

from harness.networks import datasets, zoo


def fitted_network() -> nn.Module:
    """A ResNet-20 for digits whose last layer is fitted to features that nothing else was trained for."""
    digits = datasets.load("digits", None).train
    torch.manual_seed(0)
    model = zoo.build("resnet20", (1, 32, 32), 10, seed=2)
    for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean, as recalibration takes it
    features: list[torch.Tensor] = []
    hook = model.fc.register_forward_hook(lambda _, given, __: features.append(given[0]))
    with torch.no_grad():
        model.train()(digits.images)
        model.eval()(digits.images)
        seen = torch.cat([features[-1], torch.ones(len(digits.labels), 1)], dim=1).double()
        wanted = 10 * nn.functional.one_hot(digits.labels, 10).double()
        solved = torch.linalg.solve(seen.T @ seen + 1e-3 * torch.eye(seen.shape[1], dtype=torch.double), seen.T @ wanted).T
        model.fc.weight.copy_(solved[:, :-1])
        model.fc.bias.copy_(solved[:, -1])
    hook.remove()
    return model
