"""Weights that a file keeps in parts, put together: magnitudes and directions, masks, spectral norms.

[Salimans2016] T. Salimans, D. P. Kingma: Weight Normalization. NIPS 2016, eq. 2.
[Miyato2018] T. Miyato et al.: Spectral Normalization for Generative Adversarial Networks. ICLR 2018, eq. 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Parts = Mapping[str, Tensor]
# what follows a tensor's name in the file, by part, and what they make; torch's newer parametrisations stand before the name as well
_KINDS: tuple[tuple[dict[str, str], str], ...] = (
    ({"g": "_g", "v": "_v"}, ""),
    ({"original": "_orig", "mask": "_mask"}, ""),
    ({"original": "_orig", "u": "_u", "v": "_v"}, ""),
    ({"g": ".original0", "v": ".original1"}, "parametrizations."),
    ({"original": ".original", "u": ".0._u", "v": ".0._v"}, "parametrizations."),
)


def folded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with every tensor that was kept in parts as one, named as the plain layer names it."""
    whole = dict(weights)
    for suffixes, prefix in _KINDS:
        first = next(iter(suffixes.values()))
        for key in [key for key in whole if key.endswith(first)]:
            stem = key.removesuffix(first)
            names = {part: stem + suffix for part, suffix in suffixes.items()}
            if prefix not in stem or not all(name in whole for name in names.values()):
                continue
            plain = "".join(stem.rsplit(prefix, 1)) if prefix else stem
            whole[plain] = _make({part: whole.pop(name) for part, name in names.items()})
    return whole


def _make(parts: Parts) -> Tensor:
    made: Callable[[Parts], Tensor] = _normalised if "g" in parts else _masked if "mask" in parts else _spectral
    return made(parts)


def _normalised(parts: Parts) -> Tensor:
    """[Salimans2016]_: ``g v / |v|``, the norm over all sides but those along which ``g`` runs."""
    magnitude, direction = parts["g"], parts["v"]
    sides = [side for side, size in enumerate(magnitude.shape) if size == 1]
    norms: Tensor = torch.linalg.vector_norm(direction, dim=sides or None, keepdim=True)
    return magnitude * direction / norms


def _masked(parts: Parts) -> Tensor:
    original = parts["original"]
    return original * parts["mask"].to(original.dtype)


def _spectral(parts: Parts) -> Tensor:
    """[Miyato2018]_: divided by ``u W v``, filters being rows."""
    weight = parts["original"]
    norm: Tensor = torch.dot(parts["u"], weight.flatten(1) @ parts["v"])
    return weight / norm
