"""What was never measured is out of the search's reach."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.space.screened_latency import OUT_OF_REACH_S, ScreenedLatency


@dataclass(frozen=True)
class OnlyNarrow:
    """Stands for a predictor that was fitted on widths up to 8."""

    def known(self, widths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.asarray((widths <= 8).all(axis=1))

    def seconds(self, widths: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        assert (widths <= 8).all(), "asked for what it does not know"
        return widths.sum(axis=1) * 1e-6


def test_unknown_configurations_are_slower_than_any_known_one_and_raise_nothing() -> None:
    latency = ScreenedLatency(OnlyNarrow())  # type: ignore[arg-type]
    found = latency.costs(np.array([[4, 4], [9, 1], [8, 8]]))
    assert found.tolist() == [8e-6, OUT_OF_REACH_S, 16e-6]
    assert latency.costs(np.array([[9, 9]])).tolist() == [OUT_OF_REACH_S]
