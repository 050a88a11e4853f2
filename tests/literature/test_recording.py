"""A new recording of Distiller's outcomes, written only when asked for: ``--record-distiller``."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from harness.errors import HarnessError
from harness.verification import distiller as door
from harness.verification.distiller_elsewhere import Environment, Interpreter
from tests.literature.probes.every import MODULES
from tests.literature.probes.experiment import PROBES, Outcome, perform, same_outcome

SCHEMA = "espalier-distiller-recording/1"
FOLDER = Path(__file__).with_name("recorded")


def here(found: door.Distiller) -> Environment:
    """This interpreter, as an environment that a recording names."""
    return Environment(platform.python_version(), torch.__version__, numpy.__version__, found.root, found.commit)


def recording(where: Environment, outcome: Callable[[str], Outcome], ids: list[str]) -> dict[str, Any]:
    """Environment, date and the outcome of every probe, as the files in ``recorded`` hold them; without shims, the caller's to add."""
    return {
        "schema": SCHEMA,
        "distiller": where.commit,
        "python": where.python,
        "torch": where.torch,
        "numpy": where.numpy,
        "device": "cpu, one torch thread",
        "date": datetime.date.today().isoformat(),
        "kind": "native" if where.native else "live",
        "probes": [{"id": id, "name": PROBES[id].name, **outcome(id)} for id in ids],
    }


def record_elsewhere(python: str, checkout: str | None, ids: list[str]) -> dict[str, Any]:
    """A recording made in another interpreter, over the link."""
    with Interpreter(python, Path(checkout) if checkout else None, MODULES) as interpreter:
        found = recording(interpreter.environment, interpreter.perform, ids)
        return found | {"shims": list(interpreter.shims)}


def record_here(distiller: door.Distiller, ids: list[str]) -> dict[str, Any]:
    """A recording made in this interpreter."""
    found = recording(here(distiller), lambda id: perform(PROBES[id], distiller.module), ids)
    return found | {"shims": list(distiller.shims)}


def native_outcomes() -> dict[str, Outcome]:
    files = (FOLDER / "native.json", FOLDER / "native-examples.json")
    return {entry["id"]: entry for path in files for entry in json.loads(path.read_text())["probes"]}


def unlike_native(found: dict[str, Any]) -> list[str]:
    """Ids of the outcomes that differ from those recorded in Distiller's native environment."""
    native = native_outcomes()
    return [entry["id"] for entry in found["probes"] if not same_outcome(entry, native[entry["id"]])]


def checkout_given(pytestconfig: pytest.Config) -> str | None:
    return pytestconfig.getoption("--distiller", None) or os.environ.get("DISTILLER_HOME")


@pytest.mark.timeout(3600)
def test_a_recording_is_written_when_asked_for(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> None:
    if not pytestconfig.getoption("--record-distiller", None):
        pytest.skip("records only with --record-distiller")
    python = pytestconfig.getoption("--distiller-python", None)
    try:
        if python:
            found = record_elsewhere(python, checkout_given(pytestconfig), sorted(PROBES))
        else:
            found = record_here(request.getfixturevalue("distiller"), sorted(PROBES))
    except HarnessError as error:
        pytest.exit(str(error), returncode=error.exit_code)
    found["unlike_native"] = unlike_native(found)
    version = ".".join(found["python"].split(".")[:2])
    path = FOLDER / f"{found['kind']}-python{version}-torch{found['torch'].split('+')[0]}.json"
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
    found = json.loads(json.dumps(record_here(distiller, ["e1.01", "e1.17", "e2.32"])))
    assert [("result" in entry, "raises" in entry) for entry in found["probes"]] == [(True, False), (False, True), (True, False)]
    assert found["probes"][2]["result"] == ["nan", "nan"]
