"""The size that pictures are brought to where nobody says it: the network's own, the pictures', or what their dataset is known at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.networks import datasets, zoo
from harness.networks.pictures import image_folder
from harness.networks.pictures.preparing import SIDE
from harness.networks.tasks import mask_folder

SMALL_SIDE = 96  # pictures that are all of one size, and no larger, keep it also in a network that was published for larger ones
LARGE_SIDE = 512  # larger pictures cost minutes an epoch: those are only taken whole where that is asked for
_OWN_SIZES = {datasets.FASHION_MNIST: (28, 28)}


@dataclass(frozen=True)
class InputSize:
    """Height and width, and why these."""

    height: int
    width: int
    because: str

    @property
    def text(self) -> str:
        """As ``--input-shape`` takes it."""
        return f"{self.height}x{self.width}"


def of(network: str, dataset: str) -> InputSize:
    """Height and width for pictures of ``dataset`` in ``network``. Raises UnknownName, UsageError and DatasetError."""
    prefix, _, path = dataset.partition(":")
    if prefix not in ("imagefolder", datasets.SEGMENTATION) or not path:
        return InputSize(*_OWN_SIZES.get(dataset, (SIDE, SIDE)), "as the set is known")
    told = zoo.told_size(network)
    if told is not None and not network.startswith(zoo.TORCHVISION_PREFIX):
        return InputSize(*told, "as the network says")
    found = image_folder.sizes(Path(path)) if prefix == "imagefolder" else mask_folder.sizes(Path(path))
    one = next(iter(found))[::-1] if len(found) == 1 else None
    if one is not None and max(one) <= SMALL_SIDE:
        return InputSize(*one, "as all of them are")
    if told is not None:
        return InputSize(*told, "as the network was published for")
    if one is not None and max(one) <= LARGE_SIDE:
        return InputSize(*one, "as all of them are")
    widths, heights = zip(*found, strict=True)
    there = f"{min(heights)} to {max(heights)} high, {min(widths)} to {max(widths)} wide"
    return InputSize(SIDE, SIDE, f"they are {there}, and nothing says which size to take; --input-shape=3x128x128 would take that")
