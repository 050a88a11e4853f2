"""The short trials that are tuned in full before it is said that nothing keeps the limit: few, new, and all of the front."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.records.pruning_config import PruningConfig
from search.campaign.campaign import CampaignSettings
from search.optimizer import fidelity
from search.race.synthetic import FULL_EPOCHS, SyntheticEvaluate
from search.records.trial import MODEL, Trial, TrialOutcome, TrialRequest, TuningChoice
from search.space.goals import Goal

SETTINGS = CampaignSettings("c", trials=8, seeds=5, budget_epochs=FULL_EPOCHS, goal=Goal(1.0), finalists=2, repeats=1)
SHORT = replace(SETTINGS, trials=14, short_epochs=6.0)
EVALUATE = SyntheticEvaluate("vgg", 0)


DENSE = PruningConfig.of("toy", {"conv1": 16})


def short_trial(number: int, latency_s: float, drop: float, channels: int = 8, ok: bool = True) -> Trial:
    request = TrialRequest(number, MODEL, "", PruningConfig.of("toy", {"conv1": channels}), TuningChoice(), 0.25, 0)
    return Trial(request, TrialOutcome(0.9, 0.89, 0.91, drop) if ok else TrialOutcome.crashed("no"), latency_s)


drawn = st.lists(st.tuples(st.integers(1, 12), st.integers(-1, 12), st.sampled_from([8, 16]), st.booleans(), st.booleans()), max_size=14)


@given(drawn, st.integers(0, 5), st.randoms())
def test_the_least_harmed_are_few_new_and_all_of_the_short_front(
    rows: list[tuple[int, int, int, bool, bool]], count: int, order: object
) -> None:
    short = [short_trial(place, latency / 10, drop, channels, ok) for place, (latency, drop, channels, ok, _) in enumerate(rows)]
    taken = {place for place, row in enumerate(rows) if row[4]}
    found = fidelity.least_harmed(short, taken, DENSE, 1.0, count)
    able = [one for one in short if one.outcome.ok and one.request.config != DENSE and one.cost < 1.0]
    assert len(found) == len(set(found)) <= count
    for one in found:
        assert one in able
        assert one.number not in taken
        for other in able:
            better = other.cost <= one.cost and other.outcome.drop_points <= one.outcome.drop_points
            assert not better or (other.cost, other.outcome.drop_points) == (one.cost, one.outcome.drop_points)
    if able and count:
        least = min(able, key=lambda one: (one.outcome.drop_points, one.cost, one.number))
        assert least.number in taken or found[0] == least
    mixed = list(short)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    assert fidelity.least_harmed(mixed, taken, DENSE, 1.0, count) == found


def test_the_least_harmed_differ_in_latency_where_they_can() -> None:
    short = [short_trial(place, latency, drop) for place, (latency, drop) in enumerate([(0.9, 1.0), (0.89, 1.1), (0.88, 1.2), (0.5, 9.0)])]
    assert [one.number for one in fidelity.least_harmed(short, set(), DENSE, 1.0, 2)] == [0, 3]
    assert [one.number for one in fidelity.least_harmed(short, set(), DENSE, 1.0, 3)] == [0, 3, 1]
    whole = [one.number for one in fidelity.least_harmed(short, set(), DENSE, 1.0, 4)]
    for done in range(5):  # a campaign that was killed after so many of them goes on with the others
        left = fidelity.least_harmed(short, set(whole[:done]), DENSE, 1.0, 4 - done)
        assert [one.number for one in left] == whole[done:]
