"""What a teacher answers to every training image, asked once and not at every step: half the price of tuning a small network.

The answers are those to the unshifted image, also as its mirror image where training mirrors; a shift by a pixel or two changes
them little. [Hinton2015] G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge in a Neural Network. arXiv:1503.02531, sec. 2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from harness.networks.datasets import Dataset, Split
from harness.records.stored_files import replace
from harness.training import processor

BATCH = 256
_KEY = "logits"


@dataclass(frozen=True, eq=False)
class Guidance:
    """A teacher's answers. logits: ``1 x N x classes``, or ``2 x N x classes`` with those to the mirrored images second."""

    logits: Tensor

    def to(self, images: Tensor, flips: Tensor) -> Tensor:
        """Logits ``B x classes`` to the training images numbered ``images`` (``B``), mirrored where ``flips`` (``B``, bool) says so."""
        return self.logits[flips.long() if len(self.logits) > 1 else torch.zeros_like(images), images]


def answers(teacher: nn.Module, dataset: Dataset, mirrored: bool, cache_dir: Path | None = None) -> Guidance:
    """The answers of ``teacher`` (``N x C x H x W`` to logits) to the dataset's training images, from ``cache_dir`` where they lie there.

    A damaged file there is made anew.
    """
    path = None if cache_dir is None else cache_dir / "guidance" / f"{_digest(teacher, dataset, mirrored)}.safetensors"
    if path is not None and path.is_file():
        try:
            return Guidance(safetensors.torch.load_file(path)[_KEY])
        except (safetensors.SafetensorError, KeyError, OSError):
            path.unlink(missing_ok=True)
    train = dataset.train
    logits = torch.stack([_ask(teacher, train), _ask(teacher, train, mirror=True)] if mirrored else [_ask(teacher, train)])
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, safetensors.torch.save({_KEY: logits}))
    return Guidance(logits)


@torch.no_grad()
def _ask(teacher: nn.Module, split: Split, mirror: bool = False) -> Tensor:
    place = processor.device()
    was_training, home = teacher.training, next(iter(teacher.parameters()), split.labels).device
    teacher.eval().to(place)
    found = []
    for batch in split.batches(BATCH):
        shown = processor.laid(batch.flip(3) if mirror else batch).to(place)
        with torch.autocast(place.type, torch.bfloat16, enabled=processor.precision("auto") == "bf16"):
            found.append(teacher(shown).float().cpu())
    teacher.train(was_training).to(home)
    return torch.cat(found)


def _digest(teacher: nn.Module, dataset: Dataset, mirrored: bool) -> str:
    told = hashlib.sha256(f"{dataset.digest} {mirrored} {processor.precision('auto')}".encode())
    told.update(repr(teacher).encode())
    for name, tensor in teacher.state_dict().items():
        told.update(name.encode())
        told.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return told.hexdigest()[:24]
