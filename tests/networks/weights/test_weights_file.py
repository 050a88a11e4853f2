"""Weights are found in whatever a trainer left, said, or refused in one line; nothing in the file is ever run."""

from __future__ import annotations

import argparse
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from harness.errors import UsageError
from harness.networks import zoo
from harness.networks.weights import fitting, weights_file

Weights = dict[str, Tensor]


def network(classes: int = 4, channels: int = 1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(channels, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, classes))
    return nn.Sequential(OrderedDict(features=body, head=head)).eval()


def prefixed(weights: Weights, *prefixes: str) -> Weights:
    return {prefix + name: tensor for prefix in prefixes for name, tensor in weights.items()}


class Loose:
    """An object of a class that nobody knows elsewhere."""

    def __init__(self) -> None:
        self.path, self.rate = Path("x"), np.float32(0.1)


LEFT: dict[str, Callable[[Weights], Any]] = {
    "plain": lambda w: w,
    "model": lambda w: {"model": w, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}, "epoch": 3},
    "net": lambda w: {"net": w, "acc": 93.1},
    "model_state_dict": lambda w: {"model_state_dict": w, "loss": torch.zeros(())},
    "any one name": lambda w: {"best": w, "epoch": 1},
    "with a mean": lambda w: {"model": w, "model_ema": {name: tensor * 0 for name, tensor in w.items()}},
    "only a mean": lambda w: {"model_ema": w, "step": 1},
    "deep": lambda w: {"state_dict": prefixed(w, "module.model.")},
    "module": lambda w: prefixed(w, "module."),
    "compiled": lambda w: prefixed(w, "_orig_mod."),
    "compiled within": lambda w: {name.replace("features.", "features._orig_mod."): tensor for name, tensor in w.items()},
    "parallel within": lambda w: {"state_dict": {name.replace("features.", "features.module."): tensor for name, tensor in w.items()}},
    "lightning": lambda w: {"state_dict": {**prefixed(w, "model."), "criterion.weight": torch.ones(4)}, "pytorch-lightning_version": "2"},
    "student and mean": lambda w: {"state_dict": {**prefixed(w, "student."), **prefixed({k: t * 0 for k, t in w.items()}, "ema_student.")}},
    "numpy scalar": lambda w: {"state_dict": w, "best": np.float64(93.2), "curve": np.arange(3)},
    "namespace": lambda w: {"state_dict": w, "args": argparse.Namespace(lr=0.1, path=Path("x"))},
    "unknown object": lambda w: {"model": w, "config": Loose()},
    "auxiliary head": lambda w: {**w, "aux.fc.weight": torch.zeros(5, 4)},
    "a count beside": lambda w: {**w, "epoch": 3},
    "counted by thop": lambda w: {**w, "features.0.total_ops": torch.zeros(1), "total_params": torch.zeros(1)},
    "no batches counted": lambda w: {name: tensor for name, tensor in w.items() if "num_batches" not in name},
    "half": lambda w: {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in w.items()},
}


@pytest.mark.parametrize("left", LEFT)
def test_weights_are_found_in_what_trainers_leave(tmp_path: Path, left: str) -> None:
    given, path = network(seed=1), tmp_path / "weights.pth"
    torch.save(LEFT[left](given.state_dict()), path)
    model = network(seed=2)
    weights_file.load(model, path)
    for name, tensor in given.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=1e-3, atol=1e-3)


def test_the_choice_is_said_and_the_other_can_be_asked_for(tmp_path: Path) -> None:
    given, mean, path = network(seed=1), network(seed=5), tmp_path / "weights.pth"
    torch.save({"model": given.state_dict(), "model_ema": prefixed(mean.state_dict(), "module.")}, path)
    model = network()
    (note,) = weights_file.load(model, path)
    assert "'model'" in note
    assert f"{path}#model_ema" in note
    assert weights_file.load(model, Path(f"{path}#model_ema")) == ()
    assert torch.equal(model.state_dict()["head.2.weight"], mean.state_dict()["head.2.weight"])
    with pytest.raises(UsageError, match="no weights called 'mean'.*'model', 'model_ema'"):
        weights_file.load(model, Path(f"{path}#mean"))


def test_one_of_two_networks_under_one_roof_can_be_asked_for(tmp_path: Path) -> None:
    student, teacher, path = network(seed=1), network(seed=5), tmp_path / "weights.pth"
    torch.save({"state_dict": {**prefixed(student.state_dict(), "student."), **prefixed(teacher.state_dict(), "teacher.")}}, path)
    model = network()
    weights_file.load(model, Path(f"{path}#teacher"))
    assert torch.equal(model.state_dict()["head.2.weight"], teacher.state_dict()["head.2.weight"])


def test_a_file_whose_name_has_a_hash_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run#3.safetensors"
    safetensors.torch.save_file(network(seed=1).state_dict(), path)
    assert weights_file.load(network(), path) == ()


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({**network().state_dict(), "aux.fc.weight": torch.zeros(5, 4)}, path)
    (note,) = weights_file.load(network(), path)
    assert "aux.fc.weight" in note
    assert "left out" in note


def nan(weights: Weights) -> Weights:
    return {**weights, "features.0.weight": weights["features.0.weight"] * float("nan")}


REFUSED: dict[str, tuple[Callable[[nn.Module], Any], str]] = {
    "classes": (lambda _: network(1000).state_dict(), "head.2.weight answers 1000 classes, the pictures have 4"),
    "channels": (lambda _: network(channels=3).state_dict(), "features.0.weight reads 3 channels, the pictures have 1; give --channels=3"),
    "not a number": (lambda model: nan(model.state_dict()), "features.0.weight holds numbers that are none"),
    "a whole network": (lambda model: model, "no weights file .it holds a whole network"),
    "a whole network in a table": (lambda model: {"model": model, "epoch": 1}, r"model \(torch.nn.modules.container.Sequential\), epoch"),
    "deeper": (lambda model: {"checkpoint": {"inner": model.state_dict()}}, "#checkpoint.inner"),
    "a list": (lambda model: list(model.state_dict().values()), "a list"),
    "nothing": (lambda _: {}, "nothing; save"),
    "another network": (lambda _: zoo.build("resnet20", (1, 32, 32), 4).state_dict(), "does not fit the network"),
    "a larger one": (lambda model: {**model.state_dict(), "features.4.weight": torch.zeros(2)}, "features.4.weight not in the network"),
    "a part": (lambda model: model.get_submodule("features").state_dict(), "head.2.weight, head.2.bias missing"),
    "ansi": (lambda _: {"\x1b[31mred": 1}, r"\\x1b\[31mred"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    content, told = REFUSED[case]
    path = tmp_path / "weights.pth"
    torch.save(content(network()), path)
    with pytest.raises(UsageError, match=told) as failure:
        weights_file.load(network(), path)
    _is_one_safe_line(str(failure.value))


def _is_one_safe_line(message: str) -> None:
    assert message.isprintable(), "one line, no escapes of a terminal"
    assert len(message) < 600
    for advice in ("weights_only", "safe_globals", "trust"):
        assert advice not in message, "nobody is told to switch the safety off"


class Running:
    """Unpickled for real, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class Evaluating:
    """The same by evaluating Python."""

    def __init__(self, path: Path) -> None:
        self.code = f"open({str(path)!r}, 'w')"

    def __reduce__(self) -> Any:
        return (eval, (self.code,))


class Shell:
    """The same by a shell."""

    def __init__(self, path: Path) -> None:
        self.code = f"touch {path}"

    def __reduce__(self) -> Any:
        import os

        return (os.system, (self.code,))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", [Running, Evaluating, Shell])
def test_nothing_in_a_file_is_run(tmp_path: Path, kind: Callable[[Path], object], legacy: bool) -> None:
    path, trace = tmp_path / "weights.pth", tmp_path / "was-run"
    content = {"model": network(seed=1).state_dict(), "beside": kind(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    try:
        weights_file.load(network(), path)
    except UsageError as failure:
        _is_one_safe_line(str(failure))
    assert not trace.exists()
    pickle.loads(pickle.dumps(content["beside"]))
    assert trace.exists(), "the trap itself works"


@given(st.binary(max_size=300), st.sampled_from([".pt", ".safetensors", ".ckpt"]))
def test_any_bytes_are_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(UsageError) as failure:
        weights_file.load(network(), path)
    _is_one_safe_line(str(failure.value))


def test_a_torn_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(network().state_dict(), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(UsageError) as failure:
            weights_file.load(network(), path)
        _is_one_safe_line(str(failure.value))


@pytest.mark.parametrize(
    "hang",
    [
        parametrizations.weight_norm,
        nn.utils.weight_norm,
        parametrizations.spectral_norm,
        nn.utils.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", amount=0.4),
    ],
    ids=["weight_norm", "old weight_norm", "spectral_norm", "old spectral_norm", "masks"],
)
@pytest.mark.filterwarnings("ignore")
def test_weights_kept_in_parts_are_put_together(tmp_path: Path, hang: Callable[[nn.Module], nn.Module]) -> None:
    given, path, images = network(seed=1), tmp_path / "weights.pth", torch.randn(3, 1, 9, 9)
    for layer in (given.get_submodule("features.0"), given.get_submodule("head.2")):
        hang(layer)
    given.eval()
    with torch.no_grad():
        given(images)
        torch.save(given.state_dict(), path)
        model = network()
        weights_file.load(model, path)
        torch.testing.assert_close(model(images), given(images), rtol=1e-4, atol=1e-5)


@given(
    st.lists(st.sampled_from(["model", "module", "_orig_mod", "net", "backbone", "ema"]), max_size=3),
    st.booleans(),
)
def test_any_prefix_comes_off(parts: list[str], extra: bool) -> None:
    weights = network().state_dict()
    prefix = "".join(f"{part}." for part in parts)
    found = prefixed(weights, prefix) | ({"loss.weight": torch.ones(2)} if extra else {})
    fitted, _ = fitting.fitted(found, weights, "file")
    assert all(fitted[name] is tensor for name, tensor in weights.items())


def test_weights_of_the_network_within_a_users_wrapper_fit() -> None:
    outer = nn.Sequential(OrderedDict(net=network(seed=1)))
    fitted, notes = fitting.fitted(network(seed=2).state_dict(), outer.state_dict(), "file")
    assert list(fitted) == list(outer.state_dict())
    assert not notes


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_modules_that_ask_for_their_version_get_it(tmp_path: Path, suffix: str) -> None:
    given = zoo.build("torchvision:mnasnet0_5", (3, 32, 32), 4, seed=1)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(given.state_dict(), path)
    else:
        safetensors.torch.save_file(given.state_dict(), path)
    model = zoo.build("torchvision:mnasnet0_5", (3, 32, 32), 4, seed=2)
    weights_file.load(model, path)
    assert all(torch.equal(tensor, given.state_dict()[name]) for name, tensor in model.state_dict().items())
