"""What the papers say, as laws that can be put to any library: drawn inputs, one operation, a statement that holds or fails.

A law never names a library. ``deviations`` says which library is known to break which law, and under which finding.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.literature import references
from tests.literature.subjects import Block, Operation, is_close

Check = Callable[..., None]


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


# ---- inputs ------------------------------------------------------------------------------------------------------------


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@st.composite
def vectors(draw: st.DrawFn) -> Tensor:
    """1 to 40 weights: noise, or quarters between -1 and 1, so that equal magnitudes and zeros are common."""
    size = draw(st.integers(2, 40))
    if draw(st.booleans()):
        return noise(draw(st.integers(0, 10_000)), size)
    return torch.tensor(draw(st.lists(st.integers(-4, 4), min_size=size, max_size=size))) / 4


@st.composite
def kernels(draw: st.DrawFn, filters: int = 1, channels: int = 1) -> Tensor:
    """Convolution weights of 1 to 8 filters, sometimes with equal, opposite or all-zero filters."""
    shape = (draw(st.integers(filters, 8)), draw(st.integers(channels, 6)), *[draw(st.sampled_from((1, 3)))] * 2)
    weight = noise(draw(st.integers(0, 10_000)), *shape)
    kind = draw(st.sampled_from(("noise", "spikes", "outlier", "ties", "zeros", "all equal")))
    if kind == "ties" and shape[0] > 1:
        weight[1:] = weight[:1].abs() * torch.sign(weight[1:])
        weight[-1] *= 2
    elif kind == "spikes":  # every other filter is one large weight: its absolute sum says less, its Euclidean norm more
        weight[::2].flatten(1)[:, 1:] = 0
        weight[::2].flatten(1)[:, 0] *= 3
    elif kind == "outlier":  # one filter far away moves the mean, not the median
        weight[-1] *= 20
    elif kind == "zeros":
        weight[draw(st.integers(0, shape[0] - 1))] = 0
    elif kind == "all equal":
        weight = torch.full(shape, 0.5)
    return weight


@st.composite
def kernels_and_count(draw: st.DrawFn, dim: int = 0) -> tuple[Tensor, int]:
    weight = draw(kernels())
    return weight, draw(st.integers(0, weight.shape[dim]))


@st.composite
def vectors_and_count(draw: st.DrawFn) -> tuple[Tensor, int]:
    weight = draw(vectors())
    return weight, draw(st.integers(0, len(weight)))


@st.composite
def networks_and_count(draw: st.DrawFn) -> tuple[list[Tensor], int]:
    """Weights of 2 to 4 layers of different scale, without ties."""
    seed = draw(st.integers(0, 10_000))
    layers = [noise(seed + number, 3 + number, 4) * (number + 1) for number in range(draw(st.integers(2, 4)))]
    return layers, draw(st.integers(0, sum(layer.numel() for layer in layers)))


@st.composite
def gradual_steps(draw: st.DrawFn) -> tuple[float, float, int, int]:
    initial = draw(st.floats(0, 0.8))
    final = initial + draw(st.floats(0.05, 0.2))
    steps = draw(st.integers(1, 40))
    return initial, final, draw(st.integers(0, steps)), steps


@st.composite
def surgeries(draw: st.DrawFn) -> tuple[Tensor, Tensor, float, float]:
    weight = draw(vectors())
    mask = torch.tensor(draw(st.lists(st.sampled_from((0.0, 1.0)), min_size=len(weight), max_size=len(weight))))
    low = draw(st.sampled_from((0.25, 0.5)))
    return weight, mask, low, low + draw(st.sampled_from((0.25, 0.5)))


@st.composite
def rnn_schedules(draw: st.DrawFn) -> tuple[int, int, int, int, float, int, float]:
    start = draw(st.integers(0, 3))
    ramp = start + draw(st.integers(1, 6))
    end = ramp + draw(st.integers(2, 10))
    return draw(st.integers(start, end - 1)), start, ramp, end, draw(st.floats(0.01, 0.3)), draw(st.integers(1, 3)), draw(st.floats(1, 2))


@st.composite
def blocks(draw: st.DrawFn, norm: bool) -> Block:
    """A trained-looking conv - (norm) - relu - conv network in evaluation mode, with images and labels."""
    torch.manual_seed(draw(st.integers(0, 10_000)))
    filters = draw(st.integers(2, 6))
    model = nn.Sequential(
        nn.Conv2d(3, filters, 3, padding=1, bias=norm and draw(st.booleans())),
        nn.BatchNorm2d(filters) if norm else nn.Identity(),
        nn.ReLU(),
        nn.Conv2d(filters, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 0, 1)
            nn.init.normal_(module.bias, 0, 0.5)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return Block(model.eval(), torch.randn(6, 3, 6, 6), torch.arange(6) % 3)


@st.composite
def blocks_and_count(draw: st.DrawFn, norm: bool) -> tuple[Block, int]:
    block = draw(blocks(norm))
    return block, draw(st.integers(1, block.filters.out_channels - 1))


@st.composite
def convolutions_with_norm(draw: st.DrawFn) -> tuple[Tensor, Tensor | None, nn.BatchNorm2d]:
    weight = noise(draw(st.integers(0, 10_000)), draw(st.integers(1, 5)), draw(st.integers(1, 4)), 3, 3)
    torch.manual_seed(draw(st.integers(0, 10_000)))
    norm = nn.BatchNorm2d(len(weight), eps=draw(st.sampled_from((1e-5, 0.1)))).eval()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.1, 3)
    return weight, torch.randn(len(weight)) if draw(st.booleans()) else None, norm


# ---- checks ------------------------------------------------------------------------------------------------------------


def _masks_what_is_not_above(mask_below: Operation, weight: Tensor, threshold: float) -> None:
    assert torch.equal(mask_below(weight, threshold), references.magnitude_mask(weight, threshold))


def _masks_within_deviations(sensitivity_mask: Operation, weight: Tensor, quality: float) -> None:
    threshold = references.sensitivity_threshold(weight, quality)
    sizes = weight.abs()
    assume(bool(((sizes - threshold).abs() > 1e-5).all()))
    assert torch.equal(sensitivity_mask(weight, quality), sizes > threshold)


def _masks_exactly(mask_smallest: Operation, weight: Tensor, count: int) -> None:
    assert int((~mask_smallest(weight, count)).sum()) == count


def _masks_the_smallest(mask_smallest: Operation, weight: Tensor, count: int) -> None:
    mask = mask_smallest(weight, count)
    sizes = weight.abs()
    if 0 < int(mask.sum()) < len(weight):
        assert float(sizes[~mask].max()) <= float(sizes[mask].min())
        assert count == 0 or float(sizes[~mask].max()) >= float(sizes.sort().values[: max(count - 1, 1)].min())


def _masks_the_smallest_of_all(mask_all: Operation, weights: list[Tensor], count: int) -> None:
    found = mask_all(weights, count)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, references.global_level_masks(weights, count), strict=True))


def _masks_by_chance(mask_random: Operation, weight: Tensor, count: int) -> None:
    count = min(count, weight.numel())
    drawn = [mask_random(weight, count, seed=seed) for seed in range(40)]
    assert {int((~mask).sum()) for mask in drawn} == {count}
    assert torch.equal(drawn[0], mask_random(weight * 0, count, seed=0))  # the weights have no say
    if 0 < count < weight.numel() == 4:
        assert bool((~torch.stack(drawn)).any(0).all())


def _follows_the_cube(gradual: Operation, initial: float, final: float, step: int, steps: int) -> None:
    assert is_close(gradual(initial, final, step, steps), references.agp_sparsity(initial, final, step, steps))


def _rises_to_the_final(gradual: Operation, initial: float, final: float, _step: int, steps: int) -> None:
    found = [gradual(initial, final, step, steps) for step in range(steps + 1)]
    assert is_close(found[0], initial)
    assert found[-1] == final
    assert all(after >= before - 1e-12 for before, after in itertools.pairwise(found))


def _operates_in_three_branches(surgery: Operation, weight: Tensor, mask: Tensor, low: float, high: float) -> None:
    assert torch.equal(surgery(weight, mask.clone(), low, high), references.surgery_mask(weight, mask, low, high))


def _grows_by_theta_then_phi(threshold: Operation, *schedule: Any) -> None:
    expected = references.rnn_threshold(*schedule)
    assume(expected < 1)
    assert is_close(threshold(*schedule), expected)


def _lowest_norms(p: int, dim: int) -> Check:
    def check(prune: Operation, weight: Tensor, count: int) -> None:
        norms = references.filter_norms(weight, p) if dim == 0 else references.channel_norms(weight, p)
        pruned = prune(weight, count)
        kept = [index for index in range(len(norms)) if index not in pruned]
        if pruned and kept:
            assert float(norms[pruned].max()) <= float(norms[kept].min()) * (1 + 1e-5) + 1e-7
        if count and len(set(norms.tolist())) == len(norms):
            assert pruned == references.lowest(norms, len(pruned))

    return check


def _exactly(dim: int) -> Check:
    def check(prune: Operation, weight: Tensor, count: int) -> None:
        pruned = prune(weight, count)
        assert len(set(pruned)) == len(pruned) == count
        assert all(0 <= index < weight.shape[dim] for index in pruned)

    return check


def _moves_with_its_filters(prune: Operation, weight: Tensor, count: int) -> None:
    norms = references.filter_norms(weight, 2)
    distances = references.median_distances(weight)
    assume(all(_distinct(values) for values in (norms, references.filter_norms(weight, 1), distances)))
    order = torch.randperm(len(weight), generator=torch.Generator().manual_seed(count))
    before, after = prune(weight, count), prune(weight[order], count)
    assert sorted(int(order[index]) for index in after) == before


def _ignores_scale(prune: Operation, weight: Tensor, count: int) -> None:
    assume(_distinct(references.filter_norms(weight, 1)) and _distinct(references.median_distances(weight)))
    assert prune(weight * 4, count) == prune(weight, count)


def _distinct(values: Tensor) -> bool:
    ordered = values.sort().values
    return bool(((ordered[1:] - ordered[:-1]) > 1e-4 * ordered[1:].abs()).all())


def _nearest_the_median(prune: Operation, weight: Tensor, count: int) -> None:
    distances = references.median_distances(weight)
    assume(_distinct(distances))
    assert prune(weight, count) == references.lowest(distances, count)


def _chance_alone(prune: Operation, weight: Tensor, count: int) -> None:
    assume(0 < count < len(weight))
    drawn = [tuple(prune(weight, count, seed=seed)) for seed in range(60)]
    assert {len(found) for found in drawn} == {count}
    assert drawn[:3] == [tuple(prune(weight * 0 + index, count, seed=index)) for index in range(3)]
    assert {index for found in drawn for index in found} == set(range(len(weight)))


def _lowest_statistic(statistic: Callable[[Block], Tensor]) -> Check:
    def check(prune: Operation, block: Block, count: int) -> None:
        scores = statistic(block)
        assume(_separate(scores, count))
        assert prune(block, count) == references.lowest(scores, count)

    return check


def _separate(scores: Tensor, count: int) -> bool:
    """The count-th and the next score differ enough for float arithmetic not to decide."""
    ordered = scores.sort().values
    return float(ordered[count] - ordered[count - 1]) > 1e-4 * float(ordered.abs().max())


def _filter_products(block: Block) -> Tensor:
    block.model.zero_grad()
    nn.functional.cross_entropy(block.model(block.images), block.labels).backward()
    return references.taylor_of_filters(block.filters.weight, block.filters.weight.grad)


def _gate_products(block: Block) -> Tensor:
    """(dE/dz)^2 of a gate z = 1 behind the batch norm, by putting one there."""
    gate = torch.ones(block.filters.out_channels, requires_grad=True)
    hidden = block.model[:2](block.images) * gate.view(1, -1, 1, 1)
    nn.functional.cross_entropy(block.model[2:](hidden), block.labels).backward()
    return gate.grad**2


def _equals_silence(remove: Operation, block: Block, count: int) -> None:
    pruned = references.lowest(noise(count, block.filters.out_channels), count)
    silent = copy.deepcopy(block)
    references.silenced(silent.filters.weight, silent.filters.bias, silent.norm, pruned)
    removed = remove(copy.deepcopy(block), pruned)
    with torch.no_grad():
        expected, found = silent.model(block.images), removed(block.images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def _shrinks_every_tensor(remove: Operation, block: Block, count: int) -> None:
    removed = remove(copy.deepcopy(block), list(range(count)))
    left = block.filters.out_channels - count
    assert removed[0].weight.shape[0] == removed[3].weight.shape[1] == left
    assert isinstance(removed[1], nn.Identity) or removed[1].running_mean.shape[0] == removed[1].weight.shape[0] == left


def _sums_group_norms(lasso: Operation, weight: Tensor) -> None:
    assume(bool((weight.transpose(0, 1).flatten(1).norm(dim=1) > 0.05).all()))  # all-zero groups have a law of their own
    for group in ("Filters", "Channels", "2D", "4D"):
        assert is_close(lasso(weight, group), references.group_lasso(weight, group))
    for group in ("Rows", "Cols"):
        assert is_close(lasso(weight.flatten(1), group), references.group_lasso(weight.flatten(1), group))


def _zero_costs_nothing(lasso: Operation, weight: Tensor) -> None:
    for group in ("Filters", "Channels", "2D", "4D"):
        assert lasso(torch.zeros_like(weight), group) == 0


def _shrinks_by_the_strength(shrink: Operation, weight: Tensor, strength: float) -> None:
    torch.testing.assert_close(shrink(weight, strength), references.soft_threshold(weight, strength), atol=1e-6, rtol=1e-5)


def _same_function_without_norm(fold: Operation, weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> None:
    images = noise(1, 2, weight.shape[1], 5, 5)
    found_weight, found_bias = fold(weight, bias, norm)
    expected = norm(nn.functional.conv2d(images, weight, bias)).detach()
    shift = references.folded(weight, bias, norm)[1] if found_bias is None else found_bias  # weights alone are ranked
    torch.testing.assert_close(nn.functional.conv2d(images, found_weight, shift), expected, atol=1e-4, rtol=1e-4)


def _exact_on_duplicates(reconstruct: Operation, seed: int) -> None:
    half = noise(seed, 40, 3)
    inputs = torch.cat([half, half], 1)
    weight = noise(seed + 1, 2, 6)
    found = reconstruct(inputs, inputs @ weight.T, [0, 1, 2])
    torch.testing.assert_close((half.double() @ found.T).float(), inputs @ weight.T, atol=1e-4, rtol=1e-4)


def _keeps_the_expectation(drop: Operation, kept: list[bool]) -> None:
    mask = drop(torch.tensor(kept))
    assert not torch.isnan(mask).any()
    assert is_close(float(mask.mean()), 1.0 if any(kept) else 0.0)


# ---- the laws ----------------------------------------------------------------------------------------------------------

_L1, _L2 = "prune filters by L1", "prune filters by L2"
_MEDIAN, _TAYLOR, _GATES = "prune filters near the median", "prune by Taylor", "prune by Taylor behind a norm"
_REMOVAL = "[Li2017]_ sec. 3.1"

LAWS = (
    Law("magnitude", "mask below", "[Han2015]_ sec. 3", "weights at or below the threshold are masked, whatever their sign",
        st.tuples(vectors(), st.sampled_from((0.0, 0.25, 0.5, 1.0))), _masks_what_is_not_above),
    Law("sensitivity", "sensitivity mask", "[Han2015]_ sec. 3", "the threshold is a multiple of the weights' standard deviation around 0",
        st.tuples(vectors(), st.sampled_from((0.1, 0.5, 1.0, 1.7))), _masks_within_deviations, 200),
    Law("level", "mask the smallest", "[Zhu2017]_ sec. 3", "exactly the asked number of weights is masked, ties or not",
        vectors_and_count(), _masks_exactly),
    Law("level", "mask the smallest", "[Zhu2017]_ sec. 3", "the masked weights are the smallest",
        vectors_and_count().filter(lambda drawn: drawn[1] > 0), _masks_the_smallest),
    Law("level", "mask the smallest of all tensors", "[Frankle2019]_ sec. 4", "the smallest of all layers together are masked",
        networks_and_count(), _masks_the_smallest_of_all),
    Law("random", "mask at random", "control", "chance alone masks, exactly as many weights as asked",
        st.tuples(st.sampled_from((torch.arange(1.0, 5), torch.arange(12.0).view(3, 4))), st.integers(0, 4)), _masks_by_chance, 8),
    Law("agp", "gradual sparsity", "[Zhu2017]_ eq. 1", "sparsity follows the cubic schedule", gradual_steps(), _follows_the_cube),
    Law("agp", "gradual sparsity", "[Zhu2017]_ eq. 1", "sparsity rises from the initial to exactly the final",
        gradual_steps(), _rises_to_the_final),
    Law("surgery", "surgery", "[Guo2016]_ eq. 3", "connections are pruned below a, spliced back from b, left alone between",
        surgeries(), _operates_in_three_branches),
    Law("rnn", "threshold over time", "[Narang2017]_ alg. 1", "the threshold grows by theta, from the ramp on by phi",
        rnn_schedules(), _grows_by_theta_then_phi),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "the filters with the smallest absolute sums go",
        kernels_and_count(), _lowest_norms(1, 0), 100),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "exactly m filters go by L1, ties or not", kernels_and_count(), _exactly(0), 80),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "the L1 choice moves with the filters", kernels_and_count(), _moves_with_its_filters),
    Law("l1-filters", _L1, "[Li2017]_ sec. 3.1", "the L1 choice ignores the layer's scale", kernels_and_count(), _ignores_scale),
    Law("l2-filters", _L2, "[He2018]_ eq. 2", "the filters with the smallest Euclidean norms go",
        kernels_and_count(), _lowest_norms(2, 0), 100),
    Law("l2-filters", _L2, "[He2018]_ eq. 2", "exactly m filters go by L2, ties or not", kernels_and_count(), _exactly(0), 80),
    Law("l2-filters", _L2, "[He2018]_ eq. 2", "the L2 choice moves with the filters", kernels_and_count(), _moves_with_its_filters),
    Law("l1-channels", "prune channels by L1", "[Li2017]_ sec. 3.1 on inputs", "the input channels with the smallest absolute sums go",
        kernels_and_count(1), _lowest_norms(1, 1), 100),
    Law("l1-channels", "prune channels by L1", "[Li2017]_ sec. 3.1 on inputs", "exactly m channels go, ties or not",
        kernels_and_count(1), _exactly(1), 80),
    Law("l1-channels", "prune channels by L2", "[He2018]_ eq. 2 on inputs", "the input channels with the smallest Euclidean norms go",
        kernels_and_count(1), _lowest_norms(2, 1), 100),
    Law("fpgm", _MEDIAN, "[He2019]_ sec. 3.3", "the filters nearest the geometric median go",
        kernels_and_count(), _nearest_the_median, 100),
    Law("fpgm", _MEDIAN, "[He2019]_ sec. 3.3", "exactly m filters go by median, ties or not", kernels_and_count(), _exactly(0), 80),
    Law("fpgm", _MEDIAN, "[He2019]_ sec. 3.3", "the median choice moves with the filters", kernels_and_count(), _moves_with_its_filters),
    Law("random", "prune filters at random", "control", "chance alone chooses, exactly m, every filter in turn",
        st.tuples(kernels(filters=2), st.integers(1, 4)), _chance_alone, 8),
    Law("apoz", "prune by APoZ", "[Hu2016]_ eq. 1", "the filters whose outputs are most often zero go",
        blocks_and_count(norm=True), _lowest_statistic(lambda block: -references.apoz(block.activations()))),
    Law("mean-activation", "prune by mean activation", "[Molchanov2017]_ sec. 2.2", "the filters with the lowest mean output go",
        blocks_and_count(norm=True), _lowest_statistic(lambda block: references.mean_activations(block.activations()))),
    Law("taylor", _TAYLOR, "[Molchanov2019]_ sec. 3", "without a norm the filters with the smallest squared sums of g w go",
        blocks_and_count(norm=False), _lowest_statistic(_filter_products)),
    Law("taylor", _GATES, "[Molchanov2019]_ sec. 3", "with a norm the gate stands behind it",
        blocks_and_count(norm=True), _lowest_statistic(_gate_products)),
    Law("bn-scale", "prune by scale", "[Liu2017]_ sec. 3", "the channels with the smallest scale factors go",
        blocks_and_count(norm=True), _lowest_statistic(lambda block: references.scale_factors(block.norm))),
    Law("l1-filters-folded", "prune by L1 with the norm folded in", "[Krishnamoorthi2018]_ eq. 20", "the smallest folded filters go",
        blocks_and_count(norm=True), _lowest_statistic(lambda block: references.folded_norms(*block.folding()))),
    Law("removal", "remove filters", _REMOVAL, "removal behind a norm equals silence", blocks_and_count(norm=True), _equals_silence, 8),
    Law("removal", "remove filters", _REMOVAL, "removal without a norm equals silence", blocks_and_count(norm=False), _equals_silence, 8),
    Law("removal", "remove filters", _REMOVAL, "norm and next layer shrink along", blocks_and_count(norm=True), _shrinks_every_tensor, 5),
    Law("group-lasso", "group lasso", "[Wen2016]_ eq. 2", "the penalty is the sum of the groups' Euclidean norms",
        st.tuples(kernels()), _sums_group_norms),
    Law("group-lasso", "group lasso", "[Wen2016]_ eq. 2", "an all-zero group costs nothing", st.tuples(kernels()), _zero_costs_nothing),
    Law("l1-regularisation", "shrink towards zero", "[Parikh2014]_ sec. 6.5.2", "the proximal step of the L1 norm shrinks by its strength",
        st.tuples(vectors(), st.sampled_from((0.1, 0.5))), _shrinks_by_the_strength),
    Law("bn-folding", "fold batch norm", "[Krishnamoorthi2018]_ eq. 20, 21", "a folded convolution computes what it did with its norm",
        convolutions_with_norm(), _same_function_without_norm),
    Law("reconstruction", "reconstruct", "[He2017]_ eq. 1", "least squares restores what duplicated channels carried",
        st.tuples(st.integers(0, 10_000)), _exact_on_duplicates, 10),
    Law("dropfilter", "drop filters", "[Srivastava2014]_", "the kept filters are scaled so that the expectation stays, and none left is 0",
        st.tuples(st.lists(st.booleans(), min_size=1, max_size=8)), _keeps_the_expectation),
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
