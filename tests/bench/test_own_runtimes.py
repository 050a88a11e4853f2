"""A runtime of one's own that tells less than ours still measures, and what it does not tell is said in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.devices.conformance import QUICK
from harness.devices.measure import Subject, measure
from harness.devices.probe import probe
from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import find
from harness.errors import UsageError
from harness.runner import subjects

ROOT = Path(__file__).parent.parent.parent
RUNTIME = """
import timed_loop

class Runtime:
    def __init__(self, options):
        self.tells = options.get("tells", "")

    def describe(self):
        return {"runtime_version": "1", "model": "a processor of somebody's own", "details": []}

    def load(self, onnx, wanted):
        return {"": Model, "nothing": Silent, "no sources": Nameless}[self.tells]()

class Model:
    def first_inference(self):
        return timed_loop.time_once(self.once)

    def facts(self):
        return {"effective_precision": "f32", "threads": 1, "streams": 1, "batch_size": 1}

    def infer(self, timing):
        return timed_loop.run(self.once, timing, witness=True)

    def unload(self):
        pass

    def once(self):
        sum(range(100))

class Silent(Model):
    def profile(self, inferences):
        return None

class Nameless(Model):
    def profile(self, inferences):
        return [{"node": "everything", "kind": "Net", "seconds": 1e-6, "sources": []}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with three devices of one's own, by what they tell of nodes."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_runtime.py").write_text(RUNTIME)
    tables = [("mute", ""), ("silent", "nothing"), ("nameless", "no sources")]
    text = 'runtime = "own_runtime.py"\nresource = "test-own-{pid}-{name}"\noptions = {{ tells = "{tells}" }}\n'
    (folder / "pyproject.toml").write_text(
        "".join(f"[tool.espalier.devices.{name}]\n{text.format(name=name, pid=os.getpid(), tells=tells)}" for name, tells in tables)
    )
    return folder


@pytest.fixture(params=["mute", "silent", "nameless"])
def session(request: pytest.FixtureRequest, folder: Path) -> Iterator[Session]:
    with Device(find(request.param, folder / "pyproject.toml"), Quarantine()).open() as opened:
        yield opened


def test_whole_networks_are_measured_and_layers_are_missed_in_words(session: Session) -> None:
    """Without ``profile``, with one that returns nothing, and with nodes that stand for no layer."""
    network = probe(width=4, side=8)
    layers = [layer for _, layer in network.node_layers]
    subject = Subject("probe", "0" * 16, None, network.onnx, "0" * 64, network.node_layers)
    measurement = measure(session, subject, QUICK)
    assert measurement.latency.samples_s
    named = session.info.name == "nameless"
    assert bool(measurement.layers) == named == (measurement.profiled is not None)
    told = "no node of probe is credited to conv1, " if named else "own_runtime.py tells no times of nodes, so its layers have none; let"
    with pytest.raises(UsageError, match=f"device {session.info.name}: .*{told}"):
        subjects.check_nodes(session, measurement, layers)


def test_a_runtime_that_answers_no_images_says_so(session: Session) -> None:
    loaded = session.load(probe(width=4, side=8).onnx, "probe")
    with pytest.raises(UsageError, match="answers no images, it only times them; judge accuracy on the host"):
        loaded.outputs(np.zeros((1, 3, 8, 8), np.float32))


def test_the_suite_of_layers_fails_in_one_line(folder: Path) -> None:
    suite = str(ROOT / "bench" / "test_layer_latency.py")
    words = ["-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--device=mute", "--rounds=5", "--min-time=0", "-q", suite]
    ended = subprocess.run([sys.executable, "-m", "pytest", *words], capture_output=True, text=True, cwd=folder, timeout=240)
    assert ended.returncode == 2, ended.stdout
    assert "device mute: its runtime own_runtime.py tells no times of nodes" in " ".join(ended.stdout.split())
    assert "Traceback" not in ended.stdout
    assert "AssertionError" not in ended.stdout
