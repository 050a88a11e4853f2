"""Named experiments on Distiller with fixed inputs, whose outcomes are recorded and repeated.

A probe gets the imported ``distiller`` package and answers plain data. It is run with the same seeds everywhere, so that its
outcome under another Python, torch or Distiller can be compared value by value. The inputs follow the description that
comes with the recording (``recorded/README.md``). The probes are also shipped to Distiller's native interpreter, so they are
written for Python 3.7 and torch 1.3.1 too.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict  # noqa: UP035  Python 3.7 has no dict[...]

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Outcome = Dict[str, Any]  # noqa: UP006  {"result": ...} or {"raises": {"type", "at"}}


@dataclass(frozen=True)
class Probe:
    """One experiment. run: takes the distiller package, returns plain data."""

    id: str
    name: str
    run: Callable[[Any], Any]


PROBES: dict[str, Probe] = {}


def probe(id: str, name: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Put a function into the table under ``id``."""

    def register(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        PROBES[id] = Probe(id, name, run)
        return run

    return register


def perform(found: Probe, distiller: Any) -> Outcome:
    """Run one probe from fresh seeds; an exception is an outcome too, with Distiller's innermost line."""
    reseed(0)
    with contextlib.redirect_stdout(io.StringIO()), _quiet_logging():
        try:
            return {"result": plain(found.run(distiller))}
        except Exception as error:  # what a method does with an input is the finding, whatever it is
            return {"raises": {"type": type(error).__name__, "message": str(error), "at": _innermost(error)}}


def reseed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def plain(value: Any) -> Any:
    """JSON's types; NaN as the word."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, torch.Size)):
        return [plain(entry) for entry in value]
    if isinstance(value, (Tensor, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def same(found: Any, recorded: Any, key: str = "") -> bool:
    """Equal outcomes: exact for masks, counts, shapes and names; floats to 1e-3, and rounding noise only by its size."""
    if isinstance(recorded, bool) or isinstance(found, bool):
        return found is recorded
    if isinstance(recorded, dict):
        keys = set(recorded) - {"sec"}
        return isinstance(found, dict) and keys == set(found) - {"sec"} and all(same(found[k], recorded[k], k) for k in keys)
    if isinstance(recorded, list):
        return isinstance(found, list) and len(found) == len(recorded) and all(map(same, found, recorded, [key] * len(found)))
    if key == "final_w_sparsity":  # 120 training steps on another processor may move one weight of 720 across a threshold
        return math.isclose(found, recorded, abs_tol=2 / 720)
    if isinstance(recorded, float) and isinstance(found, (int, float)):
        return (abs(recorded) < 1e-5 and abs(found) < 1e-4) or math.isclose(found, recorded, rel_tol=1e-3, abs_tol=1e-5)
    return found == recorded


def same_outcome(found: Outcome, recorded: Outcome) -> bool:
    """As ``same``; of exceptions the type and the place count, not the words."""
    if "raises" in recorded:
        ours, theirs = found.get("raises"), recorded["raises"]
        return ours is not None and ours["type"] == theirs["type"] and (theirs["at"] is None or _near(ours["at"], theirs["at"]))
    return "result" in found and same(found["result"], recorded["result"])


class SmallCNN(nn.Module):
    """conv1-bn1-relu1-conv2-bn2-relu2-pool-fc on 3 x 32 x 32 images, built in this order."""

    def __init__(self, bias: bool = True, bn: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=bias)
        self.bn1 = nn.BatchNorm2d(8) if bn else nn.Identity()
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 10, 3, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(10) if bn else nn.Identity()
        self.relu2 = nn.ReLU()
        self.pool = nn.MaxPool2d(4)
        self.fc = nn.Linear(640, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        x = self.pool(x)
        return self.fc(x.view(x.size(0), -1))


class Nested(nn.Module):
    """A SmallCNN as attribute ``net``, as Distiller's activation pruners want it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = SmallCNN()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def images(count: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 3, 32, 32), torch.randint(0, 10, (count,))


def x_fixed() -> Tensor:
    """Four images that are the same in every probe; leaves the random state as it was."""
    state = torch.get_rng_state()
    torch.manual_seed(7)
    x = torch.randn(4, 3, 32, 32)
    torch.set_rng_state(state)
    return x


def meta(model: nn.Module | None = None, epoch: int = 0, **changed: Any) -> dict[str, Any]:
    return {"starting_epoch": 0, "current_epoch": epoch, "ending_epoch": 10, "frequency": 1, "model": model, **changed}


def mask_of(distiller: Any, pruner: Any, weight: Any, name: str = "w", model: nn.Module | None = None, **changed: Any) -> Any:
    """The mask that one direct call of a pruner makes, or None."""
    maskers = {name: distiller.ParameterMasker(name)}
    pruner.set_param_mask(weight, name, maskers, meta(model, **changed))
    return maskers[name].mask


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape))


def sparsity(tensor: Tensor, digits: int = 4) -> float:
    return round(1 - float((tensor != 0).sum()) / tensor.numel(), digits)


def zero_filters(tensor: Any) -> Any:
    """Indices of all-zero slices along dimension 0; None for no mask."""
    return None if tensor is None else [i for i in range(tensor.shape[0]) if float(tensor[i].abs().sum()) == 0]


def zero_channels(tensor: Tensor) -> list[int]:
    return [i for i in range(tensor.shape[1]) if float(tensor[:, i].abs().sum()) == 0]


def lowest(values: Tensor, count: int) -> list[int]:
    return sorted(torch.argsort(values)[:count].tolist())


def scheduler_of(distiller: Any, model: nn.Module, *policies: tuple[Any, dict[str, Any]]) -> Any:
    scheduler = distiller.CompressionScheduler(model)
    for policy, when in policies:
        scheduler.add_policy(policy, **when)
    return scheduler


def train(
    scheduler: Any, model: nn.Module, optimiser: torch.optim.Optimizer, epochs: int, steps: int = 2, size: int = 4, keep_graph: bool = False
) -> Iterator[int]:
    """Train, and yield after each epoch."""
    for epoch in range(epochs):
        scheduler.on_epoch_begin(epoch, optimiser)
        for step in range(steps):
            x, y = images(size)
            scheduler.on_minibatch_begin(epoch, step, steps, optimiser)
            output = model(x)
            loss = F.cross_entropy(output, y)
            loss = scheduler.before_backward_pass(epoch, step, steps, loss, optimiser)
            optimiser.zero_grad()
            loss.backward()
            scheduler.before_parameter_optimization(epoch, step, steps, optimiser)
            optimiser.step()
            scheduler.on_minibatch_end(epoch, step, steps, optimiser)
            if not keep_graph:
                del loss, output, x, y
        scheduler.on_epoch_end(epoch, optimiser, metrics={"min": 1.0, "max": 1.0})
        yield epoch


def sgd(model: nn.Module, lr: float, momentum: float = 0.9) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)


def resnet20(distiller: Any) -> nn.Module:
    return distiller.models.create_model(False, "cifar10", "resnet20_cifar", parallel=False)


def with_lively_norms(distiller: Any, arch: str) -> nn.Module:
    """A ResNet for CIFAR whose batch norms are far from the identity, in evaluation mode."""
    torch.manual_seed(0)
    model = distiller.models.create_model(False, "cifar10", arch, parallel=False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def _innermost(error: BaseException) -> str | None:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/distiller/" in frame.filename and "/harness/" not in frame.filename
    ]
    if not frames:
        return None
    path = Path(frames[-1].filename)
    parts = path.parts[len(path.parts) - path.parts[::-1].index("distiller") - 1 :]
    return f"{'/'.join(parts)}:{frames[-1].lineno}"


def _near(found: str | None, recorded: str) -> bool:
    """The same file and, for statements of several lines, whose first or last line Pythons report differently, the same place."""
    if found is None:
        return False
    (file, line), (file_recorded, line_recorded) = found.rsplit(":", 1), recorded.rsplit(":", 1)
    return file == file_recorded and abs(int(line) - int(line_recorded)) <= 7


@contextlib.contextmanager
def _quiet_logging() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
