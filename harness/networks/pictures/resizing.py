"""One picture to one size: scaled as asked for, the centre cut out, a margin put around."""

from __future__ import annotations

from PIL import Image

from harness.networks.pictures.preparing import COVER, MARGIN

_LONGEST = 256  # times the shorter side, to be scaled whole; of anything longer no more than the middle is looked at


def of_size(image: Image.Image, height: int, width: int, resize: str = COVER, nearest: bool = False, around: int = 0) -> Image.Image:
    """``image``, ``height`` high and ``width`` wide; resize as ``preparing.Preparation`` tells it.

    nearest: values are names and cannot be mixed, as a mask's. around: the value of a margin.
    """
    shorter = min(image.size)
    if max(image.size) > _LONGEST * shorter:  # whole, it would be scaled to gigabytes that are cut off again
        image = _centre(image, *(min(length, _LONGEST * shorter) for length in image.size))
    scaled = _scaled(image.size, height, width, resize)
    if image.size != scaled:
        image = image.resize(scaled, Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR)
    if resize == MARGIN:
        framed = Image.new(image.mode, (width, height), around) if around else Image.new(image.mode, (width, height))
        framed.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return framed
    if resize == COVER:
        return image if image.size == (width, height) else _centre(image, width, height)
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)  # torchvision's CenterCrop, halves to even
    return image if image.size == (width, height) else image.crop((left, top, left + width, top + height))


def _scaled(size: tuple[int, int], height: int, width: int, resize: str) -> tuple[int, int]:
    """Width and height after scaling."""
    across, down = size
    if resize == COVER:
        scale = max(width / across, height / down)
        return max(width, round(across * scale)), max(height, round(down * scale))
    if resize == MARGIN:
        scale = min(1.0, width / across, height / down)
        return min(width, max(1, round(across * scale))), min(height, max(1, round(down * scale)))
    tall, _, wide = resize.partition("x")
    if wide:
        return int(wide), int(tall)
    side, (short, long) = int(tall), sorted(size)
    longer = int(side * long / short)  # torchvision's Resize cuts off
    return (side, longer) if across <= down else (longer, side)


def _centre(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
