"""A network and its layers against a baseline: a slowdown fails only where it is real and beyond its limit."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.compare import comparing
from harness.compare.baseline import Counterpart
from harness.compare.limits import Limits
from harness.errors import UsageError
from harness.latency.verdict.finding import Kept
from harness.latency.verdict.judgement import Outcome
from harness.records.comparability import Differing
from harness.records.measurement import Latency, Occasion
from tests.compare.conftest import counterpart, measured

LIMITS = Limits(network=0.03, layer=0.15)


def stored(ours, before, limits=LIMITS):
    whole, *layers = comparing.stored(ours, counterpart(before), limits, same_within=0.01)
    return whole, layers


def test_a_real_slowdown_beyond_the_limit_fails() -> None:
    found, _ = stored(measured(1.05e-3), measured(1e-3))
    assert (found.outcome, found.kept) == (Outcome.SLOWER, Kept.MISSED)


def test_a_slowdown_within_the_limit_passes() -> None:
    found, _ = stored(measured(1.02e-3), measured(1e-3))
    assert (found.outcome, found.kept) == (Outcome.SLOWER, Kept.MET)


def test_noise_that_hides_a_slowdown_is_undecided_and_not_slower() -> None:
    found, _ = stored(measured(1.05e-3, spread=0.3), measured(1e-3, spread=0.3))
    assert (found.outcome, found.kept) == (Outcome.CANNOT_TELL, Kept.CANNOT_TELL)


@given(st.floats(1e-6, 1.0), st.floats(0.5, 2.0))
def test_swapping_the_two_turns_the_ratio_over(median_s: float, factor: float) -> None:
    there, _ = stored(measured(median_s * factor), measured(median_s))
    back, _ = stored(measured(median_s), measured(median_s * factor))
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert there.low == pytest.approx(1 / back.high)
    assert not (there.beyond and back.beyond)


@given(st.floats(0.002, 0.1))
def test_a_slowdown_as_large_as_the_smallest_that_would_show_does_show(spread: float) -> None:
    equal, _ = stored(measured(1e-3, spread), measured(1e-3, spread))
    slow, _ = stored(measured(1e-3 * (1 + equal.smallest), spread), measured(1e-3, spread))
    assert slow.outcome is Outcome.SLOWER
    assert f"slowdowns from {equal.smallest:.1%} would show" in equal.sentence()


def test_a_slower_layer_is_named_and_a_vanished_one_is_an_error() -> None:
    _, (layer,) = stored(measured(layer_s=2e-5), measured(layer_s=1e-5))
    assert (layer.subject, layer.kept) == ("conv1", Kept.MISSED)
    other = replace(measured(), layers=tuple(replace(one, source_layers=("conv2",)) for one in measured().layers))
    with pytest.raises(UsageError, match="layer conv1 of the baseline is not in tiny any more"):
        stored(other, measured())
    allowed = Counterpart(measured(), Differing((), (("configuration", "dense", "half"),)))
    (whole,) = comparing.stored(other, allowed, LIMITS, 0.01)  # networks that may differ share the layers that they share
    assert whole.exception == "configuration: dense against half"
    assert "allowed to differ: configuration: dense against half" in whole.sentence()


def test_nodes_of_one_layer_are_added_up() -> None:
    twice = replace(measured(), layers=measured().layers * 2)
    (layer,) = stored(twice, measured())[1]
    assert layer.ratio == pytest.approx(2.0)


def interleaved(ratio: float):
    occasions = tuple(Occasion(float(at), at // 2) for at in range(40))
    blocks = [1e-3 * (1 + 0.001 * (at % 3 - 1)) for at in range(40)]
    before = replace(measured(), latency=Latency(tuple(blocks), (1,) * 40, occasions=occasions))
    ours = replace(measured(layer_s=2e-5), latency=replace(before.latency, samples_s=tuple(ratio * one for one in blocks)))
    return comparing.interleaved(ours, before, LIMITS, 0.01)


def test_in_turns_layers_are_judged_too_and_the_smallest_effect_is_told() -> None:
    whole, layer = interleaved(1.05)
    assert (whole.outcome, whole.kept) == (Outcome.SLOWER, Kept.MISSED)
    assert 0.01 < whole.smallest < 0.02
    assert (layer.subject, layer.kept) == ("conv1", Kept.MISSED)


def confirmed(first_s, *later_s):
    left = [measured(seconds) for seconds in later_s]
    ours = comparing.confirmed(measured(first_s), counterpart(measured()), LIMITS, 0.01, lambda: left.pop(0))
    return stored(ours, measured())[0], len(later_s) - len(left)


def test_a_slowdown_of_the_network_is_there_every_time_and_one_of_the_machine_is_not() -> None:
    """What is within the limit is measured once; a machine that was slow for a while fails nobody."""
    assert confirmed(1.0e-3)[1] == 0
    slow, asked = confirmed(1.1e-3, *[1.1e-3] * comparing.AGAIN)
    assert (slow.kept, asked) == (Kept.MISSED, comparing.AGAIN)
    passing, asked = confirmed(1.5e-3, 1.4e-3, 1.0e-3, 1.0e-3)
    assert (passing.kept, asked) == (Kept.MET, 2)
