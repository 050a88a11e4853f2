"""Networks come by name, deterministically, and a wrong request is told in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from harness.errors import HarnessError, UnknownName, UsageError
from harness.networks import zoo

IMAGE = (3, 32, 32)
FACTORY = """
from torch import nn

def small(input_shape, classes):
    return nn.Sequential(nn.Conv2d(input_shape[0], 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))

def fixed():
    return small((3, 32, 32), 10)

def swapped(num_classes, in_chans):
    return small((in_chans, 32, 32), num_classes)

def text():
    return "no network"

def broken():
    raise KeyError("width")
"""


@pytest.fixture
def factory_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FACTORY)
    return path


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2", "mobilenetv3-small", "torchvision:resnet18", "torchvision:googlenet"])
def test_a_name_gives_an_evaluating_network_of_the_right_shapes(name: str) -> None:
    model = zoo.build(name, (1, 32, 32), 7)
    assert not model.training
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_the_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(1)
    ours = zoo.build("resnet20", IMAGE, 10, seed=3)
    before = torch.get_rng_state()
    again = zoo.build("resnet20", IMAGE, 10, seed=3)
    other = zoo.build("resnet20", IMAGE, 10, seed=4)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random state was changed"
    assert torch.equal(ours.conv1.weight, again.conv1.weight)
    assert not torch.equal(ours.conv1.weight, other.conv1.weight)


def test_mobile_networks_see_small_images_at_an_eighth_not_a_thirty_second() -> None:
    for name in ("mobilenetv2", "mobilenetv3-small"):
        assert zoo.build(name, IMAGE, 10).features(torch.zeros(1, *IMAGE)).shape[-2:] == (4, 4)


@pytest.mark.parametrize("factory", ["small", "fixed", "swapped"])
def test_a_factory_in_a_file_is_a_network(factory_file: Path, factory: str) -> None:
    assert zoo.build(f"{factory_file}:{factory}", IMAGE, 10)(torch.zeros(1, *IMAGE)).shape == (1, 10)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet020", "did you mean 'resnet20'"),
        ("torchvision:resnet1", "did you mean 'resnet18'"),
        ("nowhere.py:make", "there is no file nowhere.py"),
        ("{file}:smal", "did you mean 'small'"),
        ("{file}:text", "return a torch.nn.Module"),
        ("{file}:broken", r"failed with KeyError: 'width' .mine.py, line 17: raise KeyError"),
        ("torchvision:alexnet", "cannot take 3x32x32 images"),
    ],
)
def test_a_wrong_name_is_told_in_one_line(factory_file: Path, name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as failure:
        zoo.build(name.format(file=factory_file), IMAGE, 10)
    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 500, "keys are counted, not listed"


def test_a_network_with_another_number_of_classes_is_refused(factory_file: Path) -> None:
    with pytest.raises(UsageError, match=r"answers \(1, 10\).*not \(1, 3\)"):
        zoo.build(f"{factory_file}:fixed", IMAGE, 3)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_come_from_either_kind_of_file(tmp_path: Path, suffix: str) -> None:
    given, path = zoo.build("resnet20", IMAGE, 10, seed=1), tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(given.state_dict(), path)
    else:
        safetensors.torch.save_file(given.state_dict(), path)
    model = zoo.build("resnet20", IMAGE, 10)
    zoo.load_weights(model, path)
    assert torch.equal(model.fc.weight, given.fc.weight)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(zoo.build("resnet32", IMAGE, 10).state_dict(), path)
    with pytest.raises(UsageError, match="does not fit the network") as failure:
        zoo.load_weights(zoo.build("resnet20", IMAGE, 10), path)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x80\x04code"], ids=["empty", "text", "pickle"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="weights"):
        zoo.read_weights(path)
    with pytest.raises(HarnessError, match="there are no weights"):
        zoo.read_weights(tmp_path / f"missing{suffix}")


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(zoo.build("resnet20", IMAGE, 10), path)  # a whole module: unpickling it runs code
    with pytest.raises(UsageError, match="no weights file"):
        zoo.read_weights(path)


def test_unknown_names_list_what_exists() -> None:
    with pytest.raises(UnknownName, match="resnet56.*path/to/file.py:factory"):
        zoo.build("lenet", IMAGE, 10)


@pytest.mark.parametrize("declares", [True, False], ids=["its extension is loadable", "its extension is not loadable"])
def test_torchvisions_own_declarations_come_first(tmp_path: Path, declares: bool) -> None:
    """Declared twice, an operator of a compiled extension ends the process; not declared at all, the import fails."""
    package = tmp_path / "torchvision"
    package.mkdir()
    extension = "library = torch.library.Library('torchvision', 'DEF')\n" + "".join(
        f"library.define('{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n" for name in ("nms", "qnms")
    )
    uses = "import torch\nfrom torchvision import other\nif not hasattr(torch.ops.torchvision, 'nms'): raise RuntimeError('no operator')\n"
    (package / "other.py").write_text("")
    (package / "__init__.py").write_text(f"import torch\n{extension if declares else ''}{uses}")
    code = "from harness.networks.own import torchvision_door as door; door.torchvision(); door.torchvision(); print(len(door._declared))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == ("0" if declares else "1")


def test_torchvision_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys; from harness.networks import zoo, datasets; "
        "zoo.build('resnet20', (3, 32, 32), 10); print('torchvision' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_networks_that_are_built_for_their_images_want_none_of_their_own(factory_file: Path) -> None:
    for name in ("resnet20", "torchvision:resnet18", f"{factory_file}:small"):
        assert zoo.wanted_channels(name) is None
    assert zoo.wanted_channels(f"{factory_file}:fixed") == 3


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_weights_want_the_images_that_they_were_trained_on(tmp_path: Path, name: str, channels: int) -> None:
    weights = tmp_path / "dense.safetensors"
    safetensors.torch.save_file(zoo.build(name, (channels, 32, 32), 10).state_dict(), weights)
    before = torch.get_rng_state()
    assert zoo.wanted_channels(name, weights) == channels
    assert torch.equal(torch.get_rng_state(), before)
    safetensors.torch.save_file({"other": torch.zeros(1)}, weights)
    assert zoo.wanted_channels(name, weights) is None


@pytest.mark.parametrize("name", ["model.onnx", "some/where/Model.ONNX"])
def test_an_onnx_file_has_no_code_to_train(name: str) -> None:
    with pytest.raises(UsageError, match=r"can be measured \(pytest bench/ --network=.*but not trained, pruned or searched"):
        zoo.build(name, (3, 32, 32), 10)
