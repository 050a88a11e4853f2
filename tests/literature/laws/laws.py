"""What the papers say, as laws that can be put to any library: drawn inputs, one operation, a statement that holds or fails.

A law never names a library. ``deviations`` says which library is known to break which law, and under which finding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.literature import references
from tests.literature.laws.checks import (
    Check,
    chance_alone,
    equals_silence,
    exact_on_duplicates,
    exactly,
    filter_products,
    follows_the_cube,
    gate_products,
    grows_by_theta_then_phi,
    ignores_scale,
    keeps_the_expectation,
    lowest_norms,
    lowest_statistic,
    masks_by_chance,
    masks_exactly,
    masks_the_smallest,
    masks_the_smallest_of_all,
    masks_what_is_not_above,
    masks_within_deviations,
    moves_with_its_filters,
    nearest_the_median,
    operates_in_three_branches,
    rises_to_the_final,
    same_function_without_norm,
    shrinks_by_the_strength,
    shrinks_every_tensor,
    sums_group_norms,
    zero_costs_nothing,
)
from tests.literature.laws.inputs import (
    blocks_and_count,
    convolutions_with_norm,
    gradual_steps,
    kernels,
    kernels_and_count,
    networks_and_count,
    rnn_schedules,
    surgeries,
    vectors,
    vectors_and_count,
)
from tests.literature.laws.subjects import Operation


@dataclass(frozen=True)
class Law:
    """One claim. operation: what a library must offer. inputs: a strategy of argument tuples. cites, says: for people."""

    method: str
    operation: str
    cites: str
    says: str
    inputs: Any = field(hash=False, repr=False)
    check: Check = field(hash=False, repr=False)
    examples: int = 30

    @property
    def id(self) -> str:
        return self.says.replace(" ", "-").replace(",", "").replace("'", "")[:70]


def holds(law: Law, operation: Operation, shrink: bool = True) -> None:
    """Put the law to an operation; AssertionError, or whatever the operation raised, at the first counterexample.

    shrink: look for a smaller one, for a person to read.
    """

    @settings(
        max_examples=law.examples,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(law.inputs)
    def claim(drawn: tuple[Any, ...]) -> None:
        law.check(operation, *drawn)

    claim()


_L1, _L2 = "prune filters by L1", "prune filters by L2"
_MEDIAN, _TAYLOR, _GATES = "prune filters near the median", "prune by Taylor", "prune by Taylor behind a norm"
_REMOVAL = "[Li2017]_ sec. 3.1"

LAWS = (
    Law("magnitude", "mask below", "[Han2015]_ sec. 3", "weights at or below the threshold are masked, whatever their sign",
        st.tuples(vectors(), st.sampled_from((0.0, 0.25, 0.5, 1.0))), masks_what_is_not_above),
    Law("sensitivity", "sensitivity mask", "[Han2015]_ sec. 3", "the threshold is a multiple of the weights' standard deviation around 0",
        st.tuples(vectors(), st.sampled_from((0.1, 0.5, 1.0, 1.7))), masks_within_deviations, 200),
    Law("level", "mask the smallest", "[Zhu2017]_ sec. 3", "exactly the asked number of weights is masked, ties or not",
        vectors_and_count(), masks_exactly),
    Law("level", "mask the smallest", "[Zhu2017]_ sec. 3", "the masked weights are the smallest",
        vectors_and_count().filter(lambda drawn: drawn[1] > 0), masks_the_smallest),
    Law("level", "mask the smallest of all tensors", "[Frankle2019]_ sec. 4", "the smallest of all layers together are masked",
        networks_and_count(), masks_the_smallest_of_all),
    Law("random", "mask at random", "control", "chance alone masks, exactly as many weights as asked",
        st.tuples(st.sampled_from((torch.arange(1.0, 5), torch.arange(12.0).view(3, 4))), st.integers(0, 4)), masks_by_chance, 8),
    Law("agp", "gradual sparsity", "[Zhu2017]_ eq. 1", "sparsity follows the cubic schedule", gradual_steps(), follows_the_cube),
    Law("agp", "gradual sparsity", "[Zhu2017]_ eq. 1", "sparsity rises from the initial to exactly the final",
        gradual_steps(), rises_to_the_final),
    Law("surgery", "surgery", "[Guo2016]_ eq. 3", "connections are pruned below a, spliced back from b, left alone between",
        surgeries(), operates_in_three_branches),
    Law("rnn", "threshold over time", "[Narang2017]_ alg. 1", "the threshold grows by theta, from the ramp on by phi",
        rnn_schedules(), grows_by_theta_then_phi),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "the filters with the smallest absolute sums go",
        kernels_and_count(), lowest_norms(1, 0), 100),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "exactly m filters go by L1, ties or not", kernels_and_count(), exactly(0), 80),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "the L1 choice moves with the filters", kernels_and_count(), moves_with_its_filters),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "the L1 choice ignores the layer's scale", kernels_and_count(), ignores_scale),
    Law("l2-filters", _L2, "[He2018]_ eq. 2", "the filters with the smallest Euclidean norms go",
        kernels_and_count(), lowest_norms(2, 0), 100),
    Law("l2-filters", _L2, "[He2018]_ eq. 2", "exactly m filters go by L2, ties or not", kernels_and_count(), exactly(0), 80),
    Law("l2-filters", _L2, "[He2018]_ eq. 2", "the L2 choice moves with the filters", kernels_and_count(), moves_with_its_filters),
    Law("l1-channels", "prune channels by L1", "[Li2017]_ sec. 3.1 on inputs", "the input channels with the smallest absolute sums go",
        kernels_and_count(1), lowest_norms(1, 1), 100),
    Law("l1-channels", "prune channels by L1", "[Li2017]_ sec. 3.1 on inputs", "exactly m channels go, ties or not",
        kernels_and_count(1), exactly(1), 80),
    Law("l1-channels", "prune channels by L2", "[He2018]_ eq. 2 on inputs", "the input channels with the smallest Euclidean norms go",
        kernels_and_count(1), lowest_norms(2, 1), 100),
    Law("fpgm", _MEDIAN, "[He2019]_ sec. 3.3", "the filters nearest the geometric median go",
        kernels_and_count(), nearest_the_median, 100),
    Law("fpgm", _MEDIAN, "[He2019]_ sec. 3.3", "exactly m filters go by median, ties or not", kernels_and_count(), exactly(0), 80),
    Law("fpgm", _MEDIAN, "[He2019]_ sec. 3.3", "the median choice moves with the filters", kernels_and_count(), moves_with_its_filters),
    Law("random", "prune filters at random", "control", "chance alone chooses, exactly m, every filter in turn",
        st.tuples(kernels(filters=2), st.integers(1, 4)), chance_alone, 8),
    Law("apoz", "prune by APoZ", "[Hu2016]_ eq. 1", "the filters whose outputs are most often zero go",
        blocks_and_count(norm=True), lowest_statistic(lambda block: -references.apoz(block.activations()))),
    Law("mean-activation", "prune by mean activation", "[Molchanov2017]_ sec. 2.2", "the filters with the lowest mean output go",
        blocks_and_count(norm=True), lowest_statistic(lambda block: references.mean_activations(block.activations()))),
    Law("taylor", _TAYLOR, "[Molchanov2019]_ sec. 3", "without a norm the filters with the smallest squared sums of g w go",
        blocks_and_count(norm=False), lowest_statistic(filter_products)),
    Law("taylor", _GATES, "[Molchanov2019]_ sec. 3", "with a norm the gate stands behind it",
        blocks_and_count(norm=True), lowest_statistic(gate_products)),
    Law("bn-scale", "prune by scale", "[Liu2017]_ sec. 3", "the channels with the smallest scale factors go",
        blocks_and_count(norm=True), lowest_statistic(lambda block: references.scale_factors(block.norm))),
    Law("l1-filters-folded", "prune by L1 with the norm folded in", "[Krishnamoorthi2018]_ eq. 20", "the smallest folded filters go",
        blocks_and_count(norm=True), lowest_statistic(lambda block: references.folded_norms(*block.folding()))),
    Law("removal", "remove filters", _REMOVAL, "removal behind a norm equals silence", blocks_and_count(norm=True), equals_silence, 8),
    Law("removal", "remove filters", _REMOVAL, "removal without a norm equals silence", blocks_and_count(norm=False), equals_silence, 8),
    Law("removal", "remove filters", _REMOVAL, "norm and next layer shrink along", blocks_and_count(norm=True), shrinks_every_tensor, 5),
    Law("group-lasso", "group lasso", "[Wen2016]_ eq. 2", "the penalty is the sum of the groups' Euclidean norms",
        st.tuples(kernels()), sums_group_norms),
    Law("group-lasso", "group lasso", "[Wen2016]_ eq. 2", "an all-zero group costs nothing", st.tuples(kernels()), zero_costs_nothing),
    Law("l1-regularisation", "shrink towards zero", "[Parikh2014]_ sec. 6.5.2", "the proximal step of the L1 norm shrinks by its strength",
        st.tuples(vectors(), st.sampled_from((0.1, 0.5))), shrinks_by_the_strength),
    Law("bn-folding", "fold batch norm", "[Krishnamoorthi2018]_ eq. 20, 21", "a folded convolution computes what it did with its norm",
        convolutions_with_norm(), same_function_without_norm),
    Law("reconstruction", "reconstruct", "[He2017]_ eq. 1", "least squares restores what duplicated channels carried",
        st.tuples(st.integers(0, 10_000)), exact_on_duplicates, 10),
    Law("dropfilter", "drop filters", "[Srivastava2014]_", "the kept filters are scaled so that the expectation stays, and none left is 0",
        st.tuples(st.lists(st.booleans(), min_size=1, max_size=8)), keeps_the_expectation),
)  # fmt: skip


@dataclass(frozen=True)
class Deviation:
    """A library that is known to break a law, and the finding under which."""

    subject: str
    says: str
    finding: str
    why: str


DEVIATIONS = (
    Deviation("distiller", "exactly the asked number of weights is masked, ties or not", "D-TIES", "all that equals the k-th goes"),
    Deviation("distiller", "exactly m filters go by L1, ties or not", "D-TIES", "all that equals the k-th goes"),
    Deviation("distiller", "exactly m filters go by L2, ties or not", "D-TIES", "all that equals the k-th goes"),
    Deviation("distiller", "exactly m channels go, ties or not", "D-TIES", "all that equals the k-th goes"),
    Deviation("distiller", "an all-zero group costs nothing", "D-EPSILON", "Channels adds 1e-8 under the root"),
    Deviation("distiller", "the proximal step of the L1 norm shrinks by its strength", "D-SOFT", "the threshold is hard"),
    Deviation("distiller", "the kept filters are scaled so that the expectation stays, and none left is 0", "D-BERN", "none kept is NaN"),
    Deviation("torch-pruning", "the filters nearest the geometric median go", "T-FPGM", "distances of |w|^2, not of w"),
)


def deviation(subject: str, law: Law) -> Deviation | None:
    """What is known about this library and this law."""
    return next((known for known in DEVIATIONS if known.subject == subject and known.says == law.says), None)
