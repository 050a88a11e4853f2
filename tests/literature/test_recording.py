"""A new recording of Distiller's outcomes, written only when asked for: ``--record-distiller``."""

from __future__ import annotations

import datetime
import json
import platform
from pathlib import Path

import numpy
import pytest
import torch

from harness.pruning import distiller as door
from tests.literature import probes_elementwise, probes_examples, probes_policy, probes_structured, probes_thinning  # noqa: F401
from tests.literature.probes import PROBES, perform

SCHEMA = "espalier-distiller-recording/1"


def recording(found: door.Distiller, ids: list[str]) -> dict[str, object]:
    """Environment, date and the outcome of every probe, as the files in ``recorded`` hold them."""
    return {
        "schema": SCHEMA,
        "distiller": found.commit,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "device": f"cpu, {torch.get_num_threads()} torch threads",
        "date": datetime.date.today().isoformat(),
        "kind": "live" if found.shims else "native",
        "shims": list(found.shims),
        "probes": [{"id": id, "name": PROBES[id].name, **perform(PROBES[id], found.module)} for id in ids],
    }


def test_a_recording_is_written_when_asked_for(pytestconfig: pytest.Config, distiller) -> None:
    if not pytestconfig.getoption("--record-distiller", None):
        pytest.skip("records only with --record-distiller")
    found = recording(distiller, sorted(PROBES))
    python, version = ".".join(platform.python_version_tuple()[:2]), torch.__version__.split("+")[0]
    name = f"{found['kind']}-python{python}-torch{version}.json"
    path = Path(__file__).with_name("recorded") / name
    path.write_text(json.dumps(found, indent=1) + "\n")
    assert json.loads(path.read_text())["schema"] == SCHEMA


def test_recordings_name_what_they_were_taken_with() -> None:
    for path in Path(__file__).with_name("recorded").glob("*.json"):
        document = json.loads(path.read_text())
        assert document["schema"] == SCHEMA
        assert {"distiller", "python", "torch", "date", "kind"} <= set(document)
        ids = [entry["id"] for entry in document["probes"]]
        assert len(ids) == len(set(ids))
        assert all(("result" in entry) != ("raises" in entry) for entry in document["probes"])


def test_live_recording_of_a_few_probes_can_be_read_back(distiller) -> None:
    found = json.loads(json.dumps(recording(distiller, ["e1.01", "e1.17", "e2.32"])))
    assert [("result" in entry, "raises" in entry) for entry in found["probes"]] == [(True, False), (False, True), (True, False)]
    assert found["probes"][2]["result"] == ["nan", "nan"]
