"""A long training on disk, half-way: everything that the next step depends on, so that a killed run goes on as if it never stopped."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.records.stored_files import replace

SCHEMA = 1
EVERY_S = 60.0


@dataclass(frozen=True)
class Point:
    """Where a training stands. step: optimiser steps taken; order: training images of this pass still to come; losses: one per step.

    generator: state of the generator that draws batches and augmentation; global_state: torch's own, from which dropout draws.
    """

    step: int
    order: Tensor
    losses: list[float]
    generator: Tensor
    global_state: Tensor


@dataclass
class Checkpoint:
    """A file that holds one training's latest point, written whole at most every ``every_s`` seconds.

    identity: whatever decides the training's course; a file of another identity, or a damaged one, is as good as none.
    """

    path: Path
    identity: str
    every_s: float = EVERY_S
    _written: float = field(default_factory=time.monotonic)

    def restore(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> Point | None:
        """Bring model and optimiser, in place, to the stored point, and return it; None when there is nothing to go on from."""
        stored = self._read()
        if stored is None:
            return None
        model.load_state_dict(stored["model"])
        optimiser.load_state_dict(stored["optimiser"])
        return Point(stored["step"], stored["order"], stored["losses"], stored["generator"], stored["global_state"])

    def offer(self, point: Point, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Write the point if the last one is old enough."""
        if time.monotonic() - self._written < self.every_s:
            return
        content = {
            "schema": SCHEMA,
            "identity": self.identity,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": point.step,
            "order": point.order.clone(),
            "losses": point.losses,
            "generator": point.generator,
            "global_state": point.global_state,
        }
        stream = io.BytesIO()
        torch.save(content, stream)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace(self.path, stream.getvalue())
        self._written = time.monotonic()

    def discard(self) -> None:
        """Remove the file; the training's result is safe elsewhere."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any] | None:
        if not self.path.is_file():
            return None
        try:
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception:  # torch raises anything at all for half a file: train from the start
            return None
        if not isinstance(stored, dict) or (stored.get("schema"), stored.get("identity")) != (SCHEMA, self.identity):
            return None
        return stored
