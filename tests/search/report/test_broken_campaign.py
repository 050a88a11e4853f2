"""A campaign's folder that is broken, or lacks a file, is refused in one line that says what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CampaignError
from search.report import summary


@dataclass(frozen=True)
class Broken:
    name: str
    file: str
    change: Callable[[Any], object]
    said: str


def drop_one(document: Any) -> None:
    document["benchmarks"].pop()


def warm_up(document: Any) -> None:
    document["benchmarks"][2]["extra_info"]["espalier"]["conditions"]["threads"] = 2


def forget_architecture(document: Any) -> None:
    document["benchmarks"][3]["extra_info"]["espalier"]["architecture_digest"] = "0" * 16


def few_blocks(document: Any) -> None:
    document["benchmarks"][1]["extra_info"]["espalier"]["latency"]["block_sizes"] = [300, 300]


BROKEN = (
    Broken("a contender without measurement", "proof.json", drop_one, "no measurement of optimised-3"),
    Broken("another number of threads", "proof.json", warm_up, "threads (1 against 2)"),
    Broken("an unknown architecture", "proof.json", forget_architecture, "architecture"),
    Broken("blocks that do not pair", "proof.json", few_blocks, "do not pair"),
    Broken("a foreign benchmark file", "measurements.json", lambda document: document.pop("espalier"), "not written by"),
    Broken("no dense network", "contenders.json", lambda document: document["contenders"].pop(0), "no dense network"),
    Broken("a newer schema", "contenders.json", lambda document: document.update(schema=99), "another schema"),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_campaign_is_refused_in_one_line(broken: Broken, spoilt: Callable[[str, Callable[[Any], object]], Path]) -> None:
    with pytest.raises(CampaignError) as caught:
        summary.load(spoilt(broken.file, broken.change))
    assert broken.said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["contenders.json", "proof.json", "measurements.json", "journal.jsonl"])
def test_a_missing_file_is_named_with_what_to_do(name: str, spoilt: Callable[[str, Callable[[Any], object]], Path]) -> None:
    copy = spoilt("contenders.json", lambda document: None)
    (copy / name).unlink()
    with pytest.raises(CampaignError, match="python -m search"):
        summary.load(copy)


@pytest.mark.parametrize("name", ["contenders.json", "proof.json", "measurements.json"])
def test_a_truncated_file_is_named_with_what_to_do(name: str, spoilt: Callable[[str, Callable[[Any], object]], Path]) -> None:
    copy = spoilt("contenders.json", lambda document: None)
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CampaignError, match=r"(?s)^[^\n]*python -m search[^\n]*$"):
        summary.load(copy)
