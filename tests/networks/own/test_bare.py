"""What tools wrap around a network or hang on its layers comes off, and no answer changes by it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from harness.errors import UsageError
from harness.networks import groups
from harness.networks.own.bare import bare
from harness.pruning import surgery


def network() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU())
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


def masked(model: nn.Sequential) -> nn.Module:
    prune.l1_unstructured(model[0][0], "weight", amount=0.5)
    prune.ln_structured(model[0][2], "weight", amount=0.5, n=1, dim=0)
    prune.random_unstructured(model[3], "bias", amount=1)
    return model


def inside(model: nn.Sequential, wrapped: Callable[[nn.Module], nn.Module]) -> nn.Module:
    model[0] = wrapped(model[0])
    return model


def synchronised(body: nn.Module) -> nn.Module:
    body.append(nn.SyncBatchNorm(6))  # type: ignore[operator]
    return body


def hung(model: nn.Sequential, function: Callable[[nn.Module], nn.Module]) -> nn.Module:
    function(model[0][0])
    function(model[3])
    return model


WAYS: dict[str, tuple[Callable[[nn.Sequential], nn.Module], str]] = {
    "data parallel": (nn.DataParallel, "DataParallel"),
    "data parallel within": (lambda model: inside(model, nn.DataParallel), "DataParallel"),
    "compiled": (torch.compile, "torch.compile"),
    "compiled and parallel": (lambda model: nn.DataParallel(torch.compile(model)), "DataParallel"),
    "weight_norm": (lambda model: hung(model, parametrizations.weight_norm), "weight_norm"),
    "weight_norm of old": (lambda model: hung(model, nn.utils.weight_norm), "weight_norm"),
    "spectral_norm": (lambda model: hung(model, parametrizations.spectral_norm), "spectral_norm"),
    "spectral_norm of old": (lambda model: hung(model, nn.utils.spectral_norm), "spectral_norm"),
    "orthogonal": (lambda model: hung(model, parametrizations.orthogonal), "orthogonal"),
    "masks": (masked, "masks of torch.nn.utils.prune"),
    "synchronised": (lambda model: inside(model, synchronised), "synchronisation"),
    "double": (lambda model: model.double(), "other numbers than float32"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_taken_off_changes_no_answer_and_can_be_pruned(way: str) -> None:
    wrap, said = WAYS[way]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = wrap(network()).eval()
    images = torch.randn(5, 3, 12, 12)
    plain = network() if "compiled" in way else wrapped  # compiling would take a minute
    with torch.no_grad():
        before = plain(images.double() if way == "double" else images)
    found = bare(wrapped, "mine")
    assert any(said in note for note in found.notes)
    with torch.no_grad():
        torch.testing.assert_close(found.model(images), before.float(), rtol=1e-5, atol=1e-6)
    kinds = (nn.Sequential, nn.Conv2d, nn.Linear, nn.ReLU, nn.Flatten, nn.AdaptiveAvgPool2d, nn.BatchNorm2d)
    assert all(type(module) in kinds for module in found.model.modules())
    architecture = groups.architecture_of(found.model, "mine", (3, 12, 12), 4)
    smaller = surgery.shrink(found.model, architecture, architecture.uniform(0.5))
    answer: Tensor = smaller(images)
    assert answer.shape == (5, 4)


def test_a_plain_network_stays_what_it_is() -> None:
    model = network()
    found = bare(model, "mine")
    assert found.model is model
    assert not found.notes


def test_programs_and_quantised_networks_are_refused_in_one_line() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network(), torch.zeros(1, 3, 12, 12))
        quantised = torch.ao.quantization.quantize_dynamic(network(), {nn.Linear})
    with pytest.raises(UsageError, match="network mine is a TorchScript program"):
        bare(traced, "mine")
    with pytest.raises(UsageError, match="3 of network mine is quantised"):
        bare(quantised, "mine")
