"""A whole file of every kind, small, to be broken."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.attacks import breaking

CORPUS = Path(__file__).parent / "corpus"

RECIPE = {"epochs": 4, "learning_rate": 0.1, "seed": 1}
DEVICES = """
[tool.espalier.devices.one]
runtime = "simulated"
resource = "stick"
lock_wait_s = 3.5
options = { kind = "ncs2", noise = 0.01, seed = 3 }
[tool.espalier.limits]
network = 0.03
[tool.espalier.limits.tiny]
layer = 0.05
layers = { conv1 = 0.1 }
"""


def corpus(name: str) -> Callable[[], bytes]:
    """A file of a small campaign, cut from one of ours."""
    return (CORPUS / "campaign" / name).read_bytes


def document(whole: object) -> Callable[[], bytes]:
    """It as JSON."""
    return lambda: json.dumps(whole, indent=1).encode()


def tensors() -> dict[str, torch.Tensor]:
    """A state dict."""
    return {"conv.weight": torch.ones(2, 1, 3, 3), "bn.running_mean": torch.zeros(2), "fc.bias": torch.arange(4.0)}


def saved(document: object) -> bytes:
    """It as torch saves it."""
    stream = io.BytesIO()
    torch.save(document, stream)
    return stream.getvalue()


class _Hostile:
    """What a pickle may hold: a command for whoever loads it carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {os.environ.get('ATTACK_WITNESS', '/nowhere/witness')}",))


def hostile_pickle(seed: bytes, chance: random.Random) -> bytes:
    """A pickle that runs a command, as it is or as torch would have saved it, perhaps damaged further."""
    content = pickle.dumps({"state_dict": _Hostile()}, protocol=chance.randrange(6)) if chance.randrange(2) else saved({"a": _Hostile()})
    return breaking.broken_bytes(content, chance) if chance.randrange(3) == 0 else content


def onnx() -> bytes:
    """An exported network."""
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(72, 3))
    stream = io.BytesIO()
    torch.onnx.export(model.eval(), (torch.zeros(1, 1, 8, 8),), stream, dynamo=False)
    return stream.getvalue()


def npy() -> bytes:
    """Logits as numpy saves them."""
    stream = io.BytesIO()
    np.save(stream, np.ones((4, 3), np.float32))
    return stream.getvalue()


def picture() -> bytes:
    """A grey PNG."""
    stream = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(stream, format="png")
    return stream.getvalue()


REPLIES = {
    "device": {"runtime_version": "1", "model": "chip", "simulated": True, "details": [["kind", "x"]]},
    "snapshot": {"clocks_mhz": [["core", 1.5]], "temperatures_c": [], "power_w": [], "governor": None, "load_average": 0.5},
    "error": {"kind": "ModelRefused", "type": "Refused", "text": "no", "traceback": ""},
    "holder": {"pid": 3, "user": "ada", "host": "lab", "since": "noon", "command": "pytest"},
    "nodes": [{"node": "n", "kind": "Conv", "seconds": 0.1, "sources": ["a"]}],
    "model": 1,
    "load_s": 0.1,
    "first_inference_s": 0.1,
    "effective_precision": "f32",
    "threads": 1,
    "streams": 1,
    "batch_size": 1,
    "warmup_s": 0.1,
    "warmup_inferences": 3,
    "steady": True,
    "notes": [["a", "b"]],
    "shape": [1, 2],
}


DESCRIPTION = {
    "schema": 1,
    "dataset_digest": "d" * 16,
    "recipe": json.dumps(RECIPE),
    "network": "resnet20",
    "sha256": "a" * 64,
    "validation": {"correct": 5, "total": 9},
    "test": {"correct": 5, "total": 9},
}
COMPARISON = {"number": 0, "planted": 1.0, "outcome": "same", "ratio": 1.0, "seconds": 0.5}
RUN = {
    "problem": "r56",
    "instance": 0,
    "method": "random",
    "seed": 0,
    "latencies": [0.5, None],
    "drops": [0.1, None],
    "truths": [0.1, 0.2],
    "choices": [],
    "near_optimum": None,
    "reached": None,
    "seconds_per_trial": 0.1,
    "limit_points": 1.0,
}
PREPROCESSING = {
    "input_shape": [1, 8, 8],
    "resize": "cover",
    "white": 255.0,
    "mean": [0.5],
    "std": [0.5],
    "standard": "data",
    "classes": ["a", "b"],
}
CONFIG = {"network": "resnet20", "channels": {"conv1": 16}, "schema": 1, "input_shape": [1, 8, 8], "classes": 3, "espalier": 1}
ACCURACY = {"correct": 5, "total": 9}
DROP = {"points": 0.5, "low": 0.1, "high": 0.9}
RECORD = {
    "schema": 1,
    "recipe": RECIPE,
    "untouched": ACCURACY,
    "source": "probed",
    "tried": [{"recipe": RECIPE, "unpruned": ACCURACY, "pruned": ACCURACY, "harm": DROP}],
    "seconds": 1.5,
    "references": [{"epochs": 4.0, "validation": ACCURACY, "harm": {"total": 1.0, "squares": 1.0, "images": 9}}],
    "splits": [["train", ACCURACY]],
    "path": [["laid", DROP]],
    "drawn": [["calibration", "9"]],
}
