"""Which measurement is the baseline: the same network, cut alike, under the same conditions, or a refusal that names what differs."""

from dataclasses import replace

import pytest

from harness.compare import baseline
from harness.errors import ConditionsDiffer, HarnessError, RecordError, UsageError
from harness.records.comparability import ENFORCED
from tests.compare.conftest import ARCHITECTURE, CONDITIONS, DEVICE, MOMENT, WIDER, measured, told

DENSE = measured()
HALF = measured(5e-4, kept=4, samples=500)
THROTTLED = replace(CONDITIONS, after=replace(MOMENT, throttle_events=3))


def device(**changes):
    return replace(CONDITIONS, device=replace(DEVICE, **changes))


OTHERWISE = {
    "device": (measured(conditions=device(name="ncs2")), ARCHITECTURE),
    "model": (measured(conditions=device(model="another")), ARCHITECTURE),
    "runtime": (measured(conditions=device(runtime="trtexec")), ARCHITECTURE),
    "runtime_version": (measured(conditions=device(runtime_version="2021.4")), ARCHITECTURE),
    "settings": (measured(conditions=device(details=(("set: cuda_graph", "True"),))), ARCHITECTURE),
    "simulated": (measured(conditions=device(simulated=True)), ARCHITECTURE),
    "host": (measured(conditions=device(host="elsewhere")), ARCHITECTURE),
    "effective_precision": (measured(conditions=replace(CONDITIONS, effective_precision="bf16")), ARCHITECTURE),
    "threads": (measured(conditions=replace(CONDITIONS, threads=2)), ARCHITECTURE),
    "streams": (measured(conditions=replace(CONDITIONS, streams=2)), ARCHITECTURE),
    "batch_size": (measured(conditions=replace(CONDITIONS, batch_size=4)), ARCHITECTURE),
    "power_mode": (measured(conditions=replace(CONDITIONS, before=replace(MOMENT, power_mode="MAXN"))), ARCHITECTURE),
    "governor": (measured(conditions=replace(CONDITIONS, before=replace(MOMENT, governor="powersave"))), ARCHITECTURE),
    "usb": (measured(notes=(("usb", "480 Mbit/s"),)), ARCHITECTURE),
    "input_shape": (measured(architecture=WIDER), WIDER),
    "configuration": (HALF, ARCHITECTURE),
    "contender": (measured(notes=(("contender", "mine"),)), ARCHITECTURE),
    "pace": (measured(notes=(("pace", "60 Hz"),)), ARCHITECTURE),
    "sustained": (measured(notes=(("sustained", "10 s"),)), ARCHITECTURE),
    "throttled": (measured(conditions=THROTTLED), ARCHITECTURE),
}


def test_every_condition_has_a_case_here() -> None:
    assert set(OTHERWISE) == set(ENFORCED)


@pytest.mark.parametrize("key", ENFORCED)
def test_a_condition_that_differs_is_refused_by_its_key_and_both_values(stored, key) -> None:
    other, architecture = OTHERWISE[key]
    for there, ours, of in ((DENSE, other, architecture), (other, DENSE, ARCHITECTURE)):
        with pytest.raises(ConditionsDiffer) as refused:
            stored(there).counterpart("tiny", told(ours, of))
        assert refused.value.keys == (key,)
        assert all(f"{dict(pairs)[key]}" in str(refused.value) for pairs in (told(DENSE), told(other, architecture)))


@pytest.mark.parametrize("key", ENFORCED)
def test_an_exception_is_recorded_with_both_values(stored, key) -> None:
    other, architecture = OTHERWISE[key]
    found = stored(DENSE, allowed=frozenset({key})).counterpart("tiny", told(other, architecture))
    ours, theirs = dict(told(other, architecture))[key], dict(told(DENSE))[key]
    assert found.differing.exception() == f"{key}: {ours} against {theirs}"


def test_of_several_rows_the_one_that_is_cut_alike_is_the_baseline_whichever_has_more_samples(stored) -> None:
    file = stored(DENSE, HALF)
    assert file.counterpart("tiny", told(DENSE)).measurement == DENSE
    assert file.counterpart("tiny", told(HALF)).measurement == HALF


def test_two_throttled_runs_are_no_pair_either(stored) -> None:
    slow = measured(conditions=THROTTLED)
    with pytest.raises(ConditionsDiffer, match="throttled \\(yes against yes\\)"):
        stored(slow).counterpart("tiny", told(slow))
    with pytest.raises(HarnessError, match="throttled while it was measured; let it cool"):
        baseline.check_own(told(slow), frozenset())
    heated = measured(conditions=THROTTLED, notes=(("sustained", "10 s"),))
    assert stored(heated).counterpart("tiny", told(heated)).measurement == heated


def test_a_network_whose_code_changed_is_still_the_dense_one(stored) -> None:
    grown = replace(ARCHITECTURE, groups=(replace(ARCHITECTURE.groups[0], channels=16),))
    ours = replace(measured(), config=grown.dense(), architecture_digest=grown.digest)
    assert stored(DENSE).counterpart("tiny", told(ours, grown)).measurement == DENSE


def test_of_equal_rows_the_latest_with_layers_is_taken(stored) -> None:
    later = replace(CONDITIONS, before=replace(MOMENT, taken_at="2026-02-01T00:00:00+00:00"))
    later = replace(later, after=later.before)
    newest = replace(measured(conditions=later), layers=(), profiled=None)
    between = measured(conditions=replace(later, before=replace(MOMENT, taken_at="2026-01-02T00:00:00+00:00")))
    assert stored(newest, DENSE, between).counterpart("tiny", told(DENSE)).measurement == between


def test_rows_that_differ_in_what_was_allowed_are_not_chosen_among(stored) -> None:
    quarter = measured(kept=2)
    file = stored(HALF, quarter, allowed=frozenset({"configuration"}))
    with pytest.raises(RecordError, match="several measurements of tiny that fit equally well"):
        file.counterpart("tiny", told(DENSE))
    assert file.counterpart("tiny", told(quarter)).measurement == quarter  # one that needs no exception is clear


def test_what_is_known_before_measuring_refuses_already_then(stored) -> None:
    with pytest.raises(ConditionsDiffer, match="host \\(there against a host\\)"):
        stored(DENSE).counterpart("tiny", (("device", "cpu"), ("host", "there")))


def test_files_that_cannot_serve_are_refused_in_words(stored) -> None:
    with pytest.raises(RecordError, match="holds no measurement of other, only of tiny"):
        stored(DENSE).counterpart("other", told(DENSE))
    with pytest.raises(RecordError, match="holds no network's measurement"):
        stored(replace(DENSE, role="design"))
    with pytest.raises(UsageError, match="--allow-different=hots: no such condition; choose from device"):
        baseline.allowed_keys(["host,hots"])
