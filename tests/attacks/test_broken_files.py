"""No broken file ends in a traceback, hangs, runs anything or writes anywhere; and no reader is forgotten.

``python -m tests.attacks.run`` gives thousands.
"""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attacks import attack, breaking
from tests.attacks.reader import Reader
from tests.attacks.registry import READERS
from tests.attacks.seeds import CORPUS
from tests.attacks.ways import ROOT

EACH = 4  # files of a seed, for each reader
PARSERS = {
    "json_text": ("read", "parse"),
    "json": ("loads", "load"),
    "toml_text": ("table",),
    "tomllib": ("loads", "load"),
    "yaml": ("safe_load", "load", "parse"),
    "torch": ("load",),
    "safetensors.torch": ("load", "load_file"),
    "np": ("load",),
    "Image": ("open",),
    "onnx": ("load", "load_model_from_string"),
    "pickle": ("load", "loads"),
    "gzip": ("decompress", "open", "GzipFile"),
    "whole_file": ("read",),
    "marshal": ("loads", "load"),
}
WALLS = {"json": {"harness.files.json_text", "harness.verification.distiller"}, "tomllib": {"harness.files.toml_text"}}

# Modules that parse, and what they parse that nobody else can have written.
EXEMPT = {
    "harness.files.json_text": "where JSON is parsed for all of them",
    "harness.verification.distiller": "a schedule that schedule_text has read; the metadata of an installed package",
    "harness.training.guidance": "this user's own cache, named by the digest of what is in it, and made anew where it cannot be read",
    "harness.training.speed.answers": "this user's own cache, sealed by a digest",
    "harness.training.speed.probe": "texts of speed.answers, sealed by a digest",
    "harness.training.speed.waiting": "texts of speed.answers, sealed by a digest",
    "harness.sweeps.precisions": "texts of speed.answers, sealed by a digest",
    "harness.history.index": "its own index beside the files, of which each line that cannot be read is made anew",
    "harness.networks.foreign.idle_weights": "bytes that networks.export has read",
    "harness.pipeline": "a network that this very process has pickled",
    "search.workers.trial_process": "the pipe between a campaign and the children that it started",
    "harness.networks.onnx_graph": "an artefact that export has read or written",
    "harness.pruning.graph_surgery": "an artefact that export has read or written",
    "harness.pruning.shape_exports": "an artefact that export has read or written",
    "harness.networks.onnx_macs": "an artefact that export has read or written",
}


def parsed(path: Path) -> set[str]:
    """Names of the parsers that a module calls."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if node.func.attr in PARSERS.get(owner, ()):
                found.add(owner)
    return found


def product() -> dict[str, set[str]]:
    """The modules that parse, by name, and by what."""
    paths = [path for room in ("harness", "search") for path in (ROOT / room).rglob("*.py") if "agent" not in path.parts]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): used for path in paths if (used := parsed(path))}


def test_every_module_that_parses_has_a_reader_that_is_attacked() -> None:
    known = {module for reader in READERS for module in reader.modules} | set(EXEMPT)
    assert not set(product()) - known, "give it a Reader in tests/attacks/registry.py, or say in EXEMPT why nobody else can write its files"


@pytest.mark.parametrize("parser", WALLS)
def test_one_module_alone_parses(parser: str) -> None:
    assert {module for module, used in product().items() if parser in used} <= WALLS[parser], "use harness.files"


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_whole_file_is_taken(reader: Reader, tmp_path: Path) -> None:
    if reader.name in ("saved network", "limit calibration"):
        pytest.skip("its seed is a part only")
    assert attack.give(reader, reader.seed(), tmp_path, attack.Tally()).kind == attack.TAKEN


@settings(max_examples=EACH)
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_broken_files_are_taken_or_refused_in_one_line(reader: Reader, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    tally = attack.Tally()
    attack.give(reader, attack.broken(reader, random.Random(seed)), tmp_path_factory.mktemp("broken"), tally)
    assert not tally.defects
    assert not tally.executed + tally.overwritten


@pytest.mark.parametrize("what", breaking.INSTEAD)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_what_lies_in_a_files_place_is_refused(reader: Reader, what: str, tmp_path: Path) -> None:
    tally = attack.Tally()
    attack.give_instead(reader, what, tmp_path, tally)
    assert not tally.defects
    assert not tally.executed + tally.overwritten


def found() -> list[Path]:
    return sorted((CORPUS / "found").glob("*")) if (CORPUS / "found").is_dir() else []


@pytest.mark.parametrize("path", found(), ids=lambda path: path.name)
def test_what_was_found_once_stays_mended(path: Path, tmp_path: Path) -> None:
    """A file's name begins with its reader's."""
    reader = max((one for one in READERS if path.name.startswith(one.name.replace(" ", "-"))), key=lambda one: len(one.name))
    tally = attack.Tally()
    attack.give(reader, path.read_bytes(), tmp_path, tally)
    assert not tally.defects
