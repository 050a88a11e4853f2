"""What several workers cost the search: short and full trials side by side, in virtual time.

``pytest tests/performance/test_side_by_side.py --benchmark-only -s`` prints the table (SIMULATED); else one campaign is played.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from search import virtual_time
from search.virtual_time import Played

INSTANCES, LIMITS = 5, {1: 1.35, 2: 1.35, 5: 1.45}  # of the choice's latency, as a multiple of the near-optimum


@pytest.fixture
def full_size(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("benchmark_only"))


@pytest.mark.parametrize("workers", LIMITS)
@pytest.mark.parametrize("name", ["r56", "r56c"])
def test_choice_of_short_and_full_trials(benchmark: BenchmarkFixture, name: str, workers: int, full_size: bool) -> None:
    if not full_size and (name, workers) != ("r56", 5):
        pytest.skip("only with --benchmark-only")

    def race() -> tuple[list[Played], list[Played]]:
        instances = range(INSTANCES if full_size else 1)
        return [virtual_time.play(name, one, workers) for one in instances], [
            virtual_time.play(name, one, workers, random=True) for one in instances
        ]

    ours, random = benchmark.pedantic(race, rounds=1, iterations=1)
    told = [sum(one.over for one in played) / len(played) for played in (ours, random)]
    print(
        f"\n{name}, {workers} workers, SIMULATED: the choice is {told[0]:.2f} x the near-optimum, random search's {told[1]:.2f} x, "
        f"in {sum(one.hours for one in ours) / len(ours):.0f} and {sum(one.hours for one in random) / len(random):.0f} virtual epochs"
    )
    assert told[0] < told[1]
    if full_size and name == "r56":
        assert told[0] <= LIMITS[workers]
