"""A compilation read back is what was written; a stage that is none is refused in one line, before anything is summed."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import RecordError
from harness.records import compilation
from harness.records.compilation import Compilation, CompiledStage
from harness.records.conditions import DeviceInfo
from harness.records.pruning_config import PruningConfig

STAGES = (CompiledStage("conv1", "Conv", True, True, 9, ("conv1",)), CompiledStage("out", "Copy", False, True, 0, ()))
DEVICE = DeviceInfo("ncs2", "myriad", "1", "compiler", "host", "3.8")
MADE = Compilation("toy", "a", PruningConfig.of("toy", {"conv1": 8}), "d", 1, DEVICE, STAGES, 1, "b", 5.0, (("numpy", "1"),), "c", "t")


def written() -> dict[str, Any]:
    document = compilation.to_json(MADE)
    stages = [{**stage, "source_layers": list(stage["source_layers"])} for stage in document["stages"]]
    return {**document, "stages": stages, "versions": [list(one) for one in document["versions"]]}


def test_what_was_written_is_read() -> None:
    assert compilation.from_json(written(), "file.json") == MADE


@pytest.mark.parametrize(
    ("field", "spoilt"),
    [
        ("cost", -1),
        ("cost", 10**30),
        ("cost", 1.5),
        ("cost", True),
        ("cost", None),
        ("hardware", {"a": 1}),
        ("executed", None),
        ("source_layers", "conv1"),
        ("source_layers", [[]]),
    ],
    ids=str,
)
def test_a_stage_that_is_none_is_refused_in_one_line(field: str, spoilt: object) -> None:
    document = written()
    document["stages"][0][field] = spoilt
    with pytest.raises(RecordError, match="file.json lacks or garbles a part of a compilation") as refused:
        compilation.from_json(document, "file.json")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("field", ["name", "kind", "hardware", "executed", "cost", "source_layers"])
def test_a_stage_that_lacks_a_part_is_refused(field: str) -> None:
    document = written()
    del document["stages"][1][field]
    with pytest.raises(RecordError, match="lacks or garbles"):
        compilation.from_json(document, "file.json")
