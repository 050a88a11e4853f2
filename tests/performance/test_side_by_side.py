"""What several workers cost the search: short and full trials side by side, in virtual time.

``pytest tests/performance/test_side_by_side.py --benchmark-only -s`` prints the table (SIMULATED); else one campaign is played.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from search.optimizer import fidelity
from search.race import virtual_time

INSTANCES, LIMITS = 5, {1: 1.35, 2: 1.35, 5: 1.45}  # of the choice's latency, as a multiple of the near-optimum


@pytest.mark.parametrize("workers", LIMITS)
@pytest.mark.parametrize("name", ["r56", "r56c"])
def test_choice_of_short_and_full_trials(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, name: str, workers: int, judged: bool
) -> None:
    if not judged and (name, workers) != ("r56", 5):
        pytest.skip("only with --benchmark-only")
    instances = range(INSTANCES if judged else 1)

    def over(random: bool = False) -> float:
        return sum(virtual_time.play(name, one, workers, random=random).over for one in instances) / len(instances)

    ours = benchmark.pedantic(over, rounds=1, iterations=1)
    drawn = over(random=True)
    monkeypatch.setattr(fidelity, "HOPED_POINTS", 0.0)
    print(
        f"\n{name}, {workers} workers, SIMULATED, multiples of the near-optimum: chosen {ours:.2f}, "
        f"without experience of what full length brings back {over():.2f}, by random search {drawn:.2f}"
    )
    assert ours < drawn
    if judged and name == "r56":
        assert ours <= LIMITS[workers]
