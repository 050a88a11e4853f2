"""The synthetic problem has the answers that were known before it was written here."""

from dataclasses import dataclass

import numpy as np
import pytest

from harness.errors import UnknownName
from search.race import near_optimum
from search.race.synthetic import NEAR_OPTIMUM, REACHED_BY_STRATEGIES, TUNED, SyntheticEvaluate, SyntheticProblem, problem
from search.records.trial import TrialRequest, TuningChoice

OFF_THE_SHELF = TuningChoice("l1", "one-shot", 0.01, 5e-4, 0.0)


@dataclass(frozen=True)
class Known:
    """Latency ratios and drops at uniform keep ratios 0.9, 0.7 and 0.5; the latter also tuned, and after 6 epochs."""

    name: str
    instance: int
    dense_us: float
    latencies: tuple[float, float, float]
    drops: tuple[float, float, float]
    tuned: float
    short: float


KNOWN = (
    Known("r56", 0, 22690.645, (1.0719, 0.7347, 0.3135), (0.1520, 1.7297, 4.2841), 2.5915, 7.4054),
    Known("r56", 1, 23544.223, (1.0612, 0.7382, 0.3122), (0.0245, 1.2356, 3.5408), 2.0727, 6.1621),
    Known("r56", 2, 23857.163, (1.0649, 0.7336, 0.3088), (0.0301, 1.1940, 3.3886), 2.2551, 5.9065),
    Known("r56c", 0, 22690.645, (1.0719, 0.7347, 0.3135), (-0.0857, 0.5732, 7.6555), 5.0066, 12.9359),
    Known("r56c", 1, 23544.223, (1.0612, 0.7382, 0.3122), (-0.0861, 0.5748, 8.2822), 5.4356, 13.9443),
    Known("r56c", 2, 23857.163, (1.0649, 0.7336, 0.3088), (0.6691, 2.9045, 7.9725), 5.2235, 13.4468),
    Known("vgg", 0, 84531.500, (0.9054, 0.5528, 0.2591), (0.0994, 1.4999, 3.8750), 2.4402, 6.7222),
    Known("vgg", 1, 92477.144, (0.9044, 0.5526, 0.2545), (0.0733, 1.4527, 3.8797), 2.4403, 6.7299),
    Known("vgg", 2, 91878.349, (0.8797, 0.5399, 0.2503), (-0.0134, 1.1306, 3.4245), 2.1652, 5.9667),
)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"{known.name}-{known.instance}")
def test_known_answers(known: Known) -> None:
    found = problem(known.name, known.instance)
    assert found.dense_us == pytest.approx(known.dense_us, abs=5e-4)
    for keep, latency, drop in zip((0.9, 0.7, 0.5), known.latencies, known.drops, strict=True):
        widths = np.maximum(1, np.rint(keep * found.channels)).astype(int)[None]
        assert found.microseconds(widths)[0] / found.dense_us == pytest.approx(latency, abs=5e-5)
        assert found.drop(np.full(len(found.channels), keep), OFF_THE_SHELF) == pytest.approx(drop, abs=5e-5)
    half = np.full(len(found.channels), 0.5)
    assert found.drop(half, TUNED) == pytest.approx(known.tuned, abs=5e-5)
    assert found.drop(half, OFF_THE_SHELF, epochs=6) == pytest.approx(known.short, abs=5e-5)


def test_cutting_to_nine_tenths_of_resnet56_is_slower_than_dense() -> None:
    """14, 29 and 58 channels miss the steps of 8: a cut that saves multiply-accumulates and costs time."""
    found = problem("r56", 0)
    assert found.microseconds(np.maximum(1, np.rint(0.9 * found.channels)).astype(int)[None])[0] > found.dense_us


def test_observations_scatter_around_the_truth_and_repeat(vgg: SyntheticProblem) -> None:
    evaluate = SyntheticEvaluate("vgg", 0)
    requests = [TrialRequest(number, "model", "", vgg.architecture.uniform(0.75), TuningChoice(), 27.0, 0) for number in range(300)]
    drops = np.array([evaluate(one, lambda phase, share: None).drop_points for one in requests])
    truth = vgg.true_drop(vgg.architecture.uniform(0.75), TuningChoice())
    assert drops.mean() == pytest.approx(truth, abs=0.03)
    assert drops.std() == pytest.approx(0.15, rel=0.15)
    assert evaluate(requests[5], lambda phase, share: None).drop_points == drops[5]


def test_an_unknown_problem_is_refused() -> None:
    with pytest.raises(UnknownName, match="synthetic problem 'r18'"):
        SyntheticProblem("r18", 0)


def test_near_optima_keep_the_limit_and_get_no_worse_with_time() -> None:
    """The same strategies, twice as long, see all that they saw before; neither search gets below what was found in long runs."""
    found = problem("vgg", 0)
    short, longer = (near_optimum.by_strategies(found, steps=steps) for steps in (200, 400))
    assert NEAR_OPTIMUM["vgg", 0] <= longer <= short < 1.0
    assert NEAR_OPTIMUM["vgg", 0] <= near_optimum.by_population(found, calls=1) < 1.0
    assert near_optimum.by_population(found, limit=0.0, calls=1) > near_optimum.by_population(found, limit=2.0, calls=1)


def test_the_stricter_near_optimum_is_never_the_larger() -> None:
    assert REACHED_BY_STRATEGIES
    assert all(NEAR_OPTIMUM[key] < reached for key, reached in REACHED_BY_STRATEGIES.items())
