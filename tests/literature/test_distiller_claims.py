"""Distiller against the literature: on the outcomes recorded in its native environment, and live where a user gives it."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.verification.distiller import VERIFIED_COMMIT
from harness.verification.findings import FINDINGS, finding
from tests.literature.claims import CLAIMS, Claim
from tests.literature.laws.distiller_subject import if_live
from tests.literature.probes.every import MODULES  # noqa: F401  fills the table
from tests.literature.probes.experiment import PROBES, Outcome, perform, same_outcome

RECORDED = Path(__file__).with_name("recorded")

# Outcomes that today's torch changes, not the shims: the native one is kept as the record, the live one must differ.
CHANGED_BY_TORCH = {
    "e7.01": "the Bernoulli row: weights multiplied up until rounding decides",
    "e7.04": "zero_grad() sets gradients to None since torch 2.0",
}


@functools.cache
def recorded() -> dict[str, Outcome]:
    files = (RECORDED / "native.json", RECORDED / "native-examples.json")
    return {entry["id"]: entry for path in files for entry in json.loads(path.read_text())["probes"]}


@functools.cache
def live_outcome(id: str, distiller: object) -> Outcome:
    return perform(PROBES[id], distiller)


def _parameters(live: bool) -> list[pytest.param]:
    found = []
    for claim in CLAIMS:
        deviates = claim.finding and not (live and claim.recorded_only)
        reason = f"{claim.finding}: {finding(claim.finding).does}" if claim.finding else ""
        marks = [pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason)] if deviates else []
        found.append(pytest.param(claim, id=f"{claim.probe}-{claim.method}-{claim.says}".replace(" ", "-"), marks=marks))
    return found


@pytest.mark.parametrize("claim", _parameters(live=False))
def test_recorded(claim: Claim) -> None:
    claim.check(recorded()[claim.probe])


def test_live(claim: Claim, distiller) -> None:
    claim.check(live_outcome(claim.probe, distiller.module))


def test_live_equals_recorded(id: str, distiller) -> None:
    assert same_outcome(live_outcome(id, distiller.module), recorded()[id]) == (id not in CHANGED_BY_TORCH)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every claim and every probe where there is a Distiller; otherwise one test each that skips with the way to get it."""
    if metafunc.function is test_live:
        metafunc.parametrize("claim", if_live(metafunc.config, _parameters(live=True)))
    if metafunc.function is test_live_equals_recorded:
        probes = [pytest.param(id, id=f"{id}-{PROBES[id].name}") for id in sorted(PROBES)]
        metafunc.parametrize("id", if_live(metafunc.config, probes))


def test_every_recorded_probe_can_be_repeated_and_supports_a_claim() -> None:
    assert set(PROBES) == set(recorded())
    unclaimed = {id for id in recorded() if not id.startswith("e8.")} - {claim.probe for claim in CLAIMS}
    assert unclaimed == {"e7.09"}  # the negative threshold: inconclusive, kept for the comparison alone


def test_every_finding_has_evidence_and_every_deviation_a_finding() -> None:
    proven = {claim.finding for claim in CLAIMS if claim.finding}
    assert proven == {known.id for known in FINDINGS if known.probes}
    for known in FINDINGS:
        assert set(known.probes) <= set(recorded()), known.id
    assert len(FINDINGS) >= 30


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS if not claim.finding and claim.probe in recorded()], ids=lambda claim: claim.says
)
def test_an_outcome_turned_upside_down_breaks_its_claim(claim: Claim) -> None:
    """Negative control: a claim that would hold of anything says nothing."""
    assert any(_breaks(claim, spoiled) for spoiled in _spoils(recorded()[claim.probe]))


def _breaks(claim: Claim, outcome: Outcome) -> bool:
    try:
        claim.check(outcome)
    except (AssertionError, TypeError, KeyError, IndexError):
        return True
    return False


def _spoils(outcome: Outcome) -> list[Outcome]:
    """The outcome with other numbers, with zeros, with other names; a refusal becomes a result."""
    if "raises" in outcome:
        return [{"result": None}]
    count = itertools.count(1000, 7)
    return [
        {"result": _spoiled(outcome["result"], lambda number: number + next(count), str)},
        {"result": _spoiled(outcome["result"], lambda number: 0, str)},
        {"result": _spoiled(outcome["result"], lambda number: number, lambda name: f"other {name}")},
    ]


def _spoiled(value: Any, number: Callable[[float], float], name: Callable[[str], str]) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, dict):
        return {name(key): _spoiled(entry, number, name) for key, entry in value.items()}
    if isinstance(value, list):
        return [_spoiled(entry, number, name) for entry in value] or ["something"]
    return "spoiled"


def test_shipped_schedules_were_read_and_run() -> None:
    """53 schedules parse; of the 25 for CIFAR networks all but one train, and the sums of their weights are kept."""
    document = json.loads((RECORDED / "native-examples.json").read_text())
    assert len(document["parsed_ok"]) == 53
    failed = [entry["yaml"] for entry in document["probes"] if "raises" in entry]
    assert failed == ["examples/ssl/ssl_4D-removal_training.yaml"]
    assert document["distiller"] == VERIFIED_COMMIT
