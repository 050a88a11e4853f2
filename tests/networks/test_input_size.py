"""Where nobody says a size, the network's, then the pictures' is taken, and else it is told that nothing says one."""

import re
from pathlib import Path

import pytest
from PIL import Image

from harness.networks import input_size, zoo
from harness.networks.pictures.preparing import parsed_shape

NETWORKS = """
from torch import nn

class Net(nn.Sequential):
    pass

def silent(input_shape, classes):
    return Net(nn.Conv2d(input_shape[0], 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))

def as_timm(input_shape, classes):
    net = silent(input_shape, classes)
    net.default_cfg = {"input_size": (3, 48, 40)}
    return net

def by_attribute(input_shape, classes):
    net = silent(input_shape, classes)
    net.input_shape = (1, 20, 24)
    return net

def broken(input_shape, classes):
    raise RuntimeError("only at 128 x 128")
"""


def pictures(folder: Path, *sizes: tuple[int, int]) -> str:
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", sizes[number % len(sizes)], (number, 9, 9)).save(folder / name / f"{number}.png")
    return f"imagefolder:{folder}"


@pytest.mark.parametrize(
    ("network", "sizes", "expected", "told"),
    [
        ("file.py:as_timm", [(64, 64)], "48x40", "the network says"),
        ("file.py:by_attribute", [(64, 64)], "20x24", "the network says"),
        ("file.py:silent", [(64, 48)], "48x64", "all of them are"),
        ("file.py:broken", [(128, 128)], "128x128", "all of them are"),
        ("resnet20", [(128, 128)], "128x128", "all of them are"),
        ("torchvision:resnet18", [(32, 32)], "32x32", "all of them are"),
        ("torchvision:resnet18", [(300, 200), (120, 90)], "224x224", "published"),
        ("torchvision:inception_v3", [(640, 480)], "299x299", "published"),
        ("resnet20", [(300, 200), (120, 90)], "32x32", "they are 90 to 200 high, 120 to 300 wide.*--input-shape"),
        ("resnet20", [(3000, 2000)], "32x32", "--input-shape"),
    ],
)
def test_the_size_is_the_networks_or_the_pictures(
    tmp_path: Path, network: str, sizes: list[tuple[int, int]], expected: str, told: str
) -> None:
    (tmp_path / "file.py").write_text(NETWORKS)
    found = input_size.of(network.replace("file.py", str(tmp_path / "file.py")), pictures(tmp_path / "pictures", *sizes))
    assert found.text == expected
    assert re.search(told, found.because)
    assert parsed_shape(found.text) == (None, found.height, found.width)


def test_built_in_sets_are_known() -> None:
    assert [input_size.of("resnet20", name).text for name in ("digits", "fashion-mnist", "cifar10")] == ["32x32", "28x28", "32x32"]


def test_our_own_networks_say_nothing() -> None:
    assert all(zoo.told_size(name) is None for name in zoo.NETWORKS)
