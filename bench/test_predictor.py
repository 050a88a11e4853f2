"""What every group's width costs in context: designed whole networks to fit on, random ones to judge the fit by.

Networks are measured in instalments until the predictor is good enough; those that were not needed are skipped.
"""

import pytest

from harness.latency.explanation import predicted_widths, width_series
from harness.latency.model import instalments, proxies
from harness.latency.model.predictor import HELD_OUT, LatencyPredictor
from harness.pages import staircase as staircase_view
from harness.pipeline import latency_subject
from harness.progress import shown

SEED = 0

pytestmark = pytest.mark.prunes


def pytest_generate_tests(metafunc):
    """One test, and so one entry of the file, per network."""
    if "place" in metafunc.fixturenames:
        designs, held_out = metafunc.config.getoption("--designs"), metafunc.config.getoption("--held-out")
        places = [(instalments.DESIGN, i) for i in range(designs)] + [(HELD_OUT, i) for i in range(held_out)]
        metafunc.parametrize("place", places, ids=[f"{role}-{i:03d}" for role, i in places])


@pytest.fixture(scope="session")
def told_before(network, collected, request):
    """What ``--learn-from`` gives of this network under other conditions, as predictors; kept in the file, for whoever fits on it."""
    words = request.config.getoption("--learn-from")
    collected.learnt_from += proxies.read(words, network.architecture) if words else ()
    return proxies.fitted(network.architecture, collected.learnt_from)


@pytest.fixture(scope="session")
def taken(device, network, measure_visits, told_before, request):
    """Designed networks, as many as it takes, and the held-out ones, measured together."""
    asked = request.config.getoption
    visits = measure_visits(device, latency_subject(network, network.architecture.dense()))

    def measure(chosen):
        subjects = []
        with shown(request.config, "exporting designed networks") as advance:
            for role, config in chosen:
                subjects.append(latency_subject(network, config, role))
                advance(len(subjects), len(chosen))
        return visits(subjects)

    persistence = instalments.Persistence(asked("--max-predictor-error"), asked("--measure-on"))
    counts = (asked("--designs"), asked("--held-out"), SEED)
    return instalments.take(network.architecture, *counts, asked("--good-enough"), measure, persistence, told_before)


def test_designed_network(taken, place, record):
    """One network of the design, or one that the fit never sees."""
    role, index = place
    found = taken.held_out if role == HELD_OUT else taken.designed
    if index >= len(found):
        why = "not measured" if taken.lost else "not needed"
        pytest.skip(f"{why}: {taken.decision.reason}" if role != HELD_OUT else "the network has fewer distinct configurations")
    record(found[index])


def test_held_out_error(taken, told_before, network, collected, request):
    """Fit on the design, judge on the networks that it never saw, and say how far off it is."""
    predictor = LatencyPredictor.fit(network.architecture, (*taken.designed, *taken.held_out), told_before)
    judged = predictor.held_out
    collected.texts += [predictor.learnt_sentence] if told_before else []
    collected.texts.append("predictor: nothing held out" if judged is None else f"predictor: {judged.sentence()}")
    collected.texts.append(f"designed networks: {taken.decision.reason}")
    if judged is not None and (doubt := judged.doubt(request.config.getoption("--max-predictor-error"))):
        collected.texts.append(doubt)
    if taken.lost:
        pytest.fail(f"{network.name}: {taken.decision.reason}", pytrace=False)  # what was measured is in the file all the same


def test_legal_widths(taken, told_before, network, collected):
    """What the predictor knows of every group's staircase; twins once."""
    classes = width_series.twins(network.architecture)
    predictor = LatencyPredictor.fit(network.architecture, (*taken.designed, *taken.held_out), told_before)
    told = predicted_widths.predicted(predictor, groups=[names[0] for names in classes])
    collected.texts.append(staircase_view.table(told, f"widths of {network.name} (predicted)", classes))
    assert all(told.legal_widths(group)[0] == network.architecture.group(group).channels for group in told.groups)
