"""Every law of the literature against every library that offers the operation, and controls that show each law can fail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.literature import references
from tests.literature.laws.controls import BROKEN, Broken
from tests.literature.laws.distiller_subject import OFFERED, distiller_subject, if_live
from tests.literature.laws.laws import DEVIATIONS, LAWS, Law, deviation, holds
from tests.literature.laws.reference_subject import COMPUTING
from tests.literature.laws.subjects import Subject


def _cases(subject: Subject) -> list[pytest.param]:
    return [
        pytest.param(law, subject, id=f"{subject.name}-{law.method}-{law.id}", marks=_marks(subject.name, law))
        for law in LAWS
        if law.operation in subject.offers
    ]


def _marks(subject: str, law: Law) -> list[pytest.MarkDecorator]:
    known = deviation(subject, law)
    return [] if known is None else [pytest.mark.xfail(strict=True, reason=f"{known.finding}: {known.why}")]


@pytest.mark.parametrize(("law", "subject"), [case for subject in COMPUTING for case in _cases(subject)])
def test_the_law_holds(law: Law, subject: Subject) -> None:
    holds(law, subject.offers[law.operation], shrink=deviation(subject.name, law) is None)


def test_the_law_holds_for_a_live_distiller(law: Law, distiller) -> None:
    holds(law, distiller_subject(distiller.module).offers[law.operation], shrink=deviation("distiller", law) is None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every law that Distiller offers, where there is one; otherwise one test that skips with the way to get it."""
    if metafunc.function is test_the_law_holds_for_a_live_distiller:
        offered = [
            pytest.param(law, id=f"distiller-{law.method}-{law.id}", marks=_marks("distiller", law))
            for law in LAWS
            if law.operation in OFFERED
        ]
        metafunc.parametrize("law", if_live(metafunc.config, offered))


@pytest.mark.parametrize("broken", [pytest.param(entry, id=f"{entry.operation}: {entry.name}") for entry in BROKEN])
def test_a_broken_implementation_breaks_a_law(broken: Broken) -> None:
    laws = [law for law in LAWS if law.operation == broken.operation]
    assert any(_fails(law, broken) for law in laws), f"no law notices: {broken.name}"


def _fails(law: Law, broken: Broken) -> bool:
    try:
        holds(law, broken.run, shrink=False)
    except (AssertionError, IndexError):
        return True
    return False


def test_every_operation_has_a_broken_control_and_a_reference() -> None:
    operations = {law.operation for law in LAWS}
    assert {entry.operation for entry in BROKEN} == operations
    assert operations == set(COMPUTING[-1].offers)


def test_known_deviations_name_laws_that_exist() -> None:
    assert {known.says for known in DEVIATIONS} <= {law.says for law in LAWS}


# Known answers, so that the references themselves are not circular.


def test_agp_at_the_papers_usual_start() -> None:
    """[Zhu2017]_ eq. 1 from 0 to 0.8: after a quarter of the steps 46 percent, after half 70 percent."""
    assert references.agp_sparsity(0.0, 0.8, 1, 4) == pytest.approx(0.4625)
    assert references.agp_sparsity(0.0, 0.8, 2, 4) == pytest.approx(0.7)


def test_rnn_threshold_of_the_formula_by_hand() -> None:
    """[Narang2017]_ eq. 1: q 0.1, 4 epochs to the ramp, 16 behind it, theta = 0.2 / 56."""
    assert references.rnn_threshold(3, 0, 4, 20, 0.1, 1, 1.5) == pytest.approx(4 * 0.2 / 56)
    assert references.rnn_threshold(4, 0, 4, 20, 0.1, 1, 1.5) == pytest.approx(5 * 0.2 / 56 + 1.5 * 0.2 / 56)


def test_sensitivity_on_a_gaussian_is_the_error_function() -> None:
    """Half a standard deviation of a Gaussian holds 38.3 percent of it."""
    torch.manual_seed(0)
    weight = torch.randn(200_000)
    masked = ~references.magnitude_mask(weight, references.sensitivity_threshold(weight, 0.5))
    assert float(masked.float().mean()) == pytest.approx(0.38292, abs=0.004)


def test_median_distance_on_a_line() -> None:
    """[He2019]_ fig. 2's situation: the middle of five points on a line has the smallest distance to all."""
    points: Tensor = torch.tensor([1.0, 2.0, 9.0, 16.0, 17.0]).view(5, 1, 1, 1)
    assert references.median_distances(points).tolist() == [40.0, 37.0, 30.0, 37.0, 40.0]


def test_apoz_by_hand() -> None:
    """[Hu2016]_ eq. 1: three of four outputs of the first channel are zero."""
    activations = torch.tensor([[[[0.0, 0.0]], [[1.0, 2.0]]], [[[0.0, 3.0]], [[0.0, 1.0]]]])
    assert references.apoz(activations).tolist() == [0.75, 0.25]


def test_group_lasso_by_hand() -> None:
    """[Wen2016]_ eq. 2: rows (3, 4) and (0, 0) cost 5, columns cost 3 + 4."""
    weight = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert references.group_lasso(weight, "Rows") == 5.0
    assert references.group_lasso(weight, "Cols") == 7.0
