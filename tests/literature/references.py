"""The published methods, re-derived from their papers in plain torch and NumPy: what any implementation is held against.

Nothing here is shared with an implementation under test. Functions take and return plain tensors; "pruned" is a sorted
list of indices. Equation numbers are those of the arXiv versions.

.. [Han2015] S. Han et al., Learning both Weights and Connections, NIPS 2015, arXiv 1506.02626.
.. [Zhu2017] M. Zhu, S. Gupta, To prune, or not to prune, 2017, arXiv 1710.01878.
.. [Frankle2019] J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, ICLR 2019, arXiv 1803.03635.
.. [Guo2016] Y. Guo et al., Dynamic Network Surgery for Efficient DNNs, NIPS 2016, arXiv 1608.04493.
.. [Narang2017] S. Narang et al., Exploring Sparsity in Recurrent Neural Networks, ICLR 2017, arXiv 1704.05119.
.. [Li2017] H. Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv 1608.08710.
.. [He2018] Y. He et al., Soft Filter Pruning, IJCAI 2018, arXiv 1808.06866.
.. [He2019] Y. He et al., Filter Pruning via Geometric Median, CVPR 2019, arXiv 1811.00250.
.. [Hu2016] H. Hu et al., Network Trimming, 2016, arXiv 1607.03250.
.. [Molchanov2017] P. Molchanov et al., Pruning CNNs for Resource Efficient Inference, ICLR 2017, arXiv 1611.06440.
.. [Molchanov2019] P. Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv 1906.10771.
.. [Liu2017] Z. Liu et al., Network Slimming, ICCV 2017, arXiv 1708.06519.
.. [Wen2016] W. Wen et al., Learning Structured Sparsity in Deep Neural Networks, NIPS 2016, arXiv 1608.03665.
.. [He2017] Y. He et al., Channel Pruning for Accelerating Very Deep Neural Networks, ICCV 2017, arXiv 1707.06168.
.. [Krishnamoorthi2018] R. Krishnamoorthi, Quantizing deep convolutional networks, 2018, arXiv 1806.08342.
.. [Srivastava2014] N. Srivastava et al., Dropout, JMLR 15, 2014; its inverted form on filters is DropFilter.
.. [Parikh2014] N. Parikh, S. Boyd, Proximal Algorithms, 2014.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

GROUP_DIMS = {"Filters": (1, 2, 3), "Channels": (0, 2, 3), "2D": (2, 3), "4D": (0, 1, 2, 3), "Rows": (1,), "Cols": (0,)}


def magnitude_mask(weight: Tensor, threshold: float) -> Tensor:
    """[Han2015]_ sec. 3: connections with a weight below the threshold are removed; one at the threshold too, as 0 at 0."""
    return torch.tensor(np.abs(weight.detach().numpy()) > np.float32(threshold))


def sensitivity_threshold(weight: Tensor, quality: float) -> float:
    """[Han2015]_ sec. 3: "a quality parameter multiplied by the standard deviation of a layer's weights" (n - 1)."""
    values = weight.detach().double().flatten()
    return float(quality * ((values - values.mean()) ** 2).sum().div(len(values) - 1).sqrt())


def lowest(scores: Sequence[float] | Tensor, count: int) -> list[int]:
    """Indices of the ``count`` lowest scores; of equal ones the lowest index first."""
    order = sorted(range(len(scores)), key=lambda index: (float(scores[index]), index))
    return sorted(order[:count])


def level_mask(weight: Tensor, count: int) -> Tensor:
    """[Zhu2017]_ sec. 3: the ``count`` smallest magnitudes are masked, exactly that many."""
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[lowest(weight.detach().abs().flatten(), count)] = False
    return mask.view_as(weight)


def global_level_masks(weights: Sequence[Tensor], count: int) -> list[Tensor]:
    """[Frankle2019]_ sec. 4: the ``count`` smallest magnitudes of all layers together are masked, wherever they lie."""
    mask = level_mask(torch.cat([weight.flatten() for weight in weights]), count)
    parts = mask.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


def agp_sparsity(initial: float, final: float, step: int, steps: int) -> float:
    """[Zhu2017]_ eq. 1 with t0 = 0: s_t = s_f + (s_i - s_f) (1 - t / (n dt))^3."""
    remaining = 1.0 - step / steps
    return final + (initial - final) * remaining * remaining * remaining


def surgery_mask(weight: Tensor, mask: Tensor, low: float, high: float) -> Tensor:
    """[Guo2016]_ eq. 3: h = 0 where a > |W|, the mask before where a <= |W| < b, 1 where b <= |W|."""
    found = mask.clone()
    for index, value in enumerate(weight.detach().abs().flatten().tolist()):
        if value < low:
            found.view(-1)[index] = 0
        elif value >= high:
            found.view(-1)[index] = 1
    return found


def rnn_threshold(step: int, start: int, ramp: int, end: int, quality: float, frequency: int, ramp_factor: float) -> float:
    """[Narang2017]_ eq. 1 and algorithm 1: a threshold that grows by theta, from the ramp on by phi = factor * theta."""
    theta = 2 * quality * frequency / (2 * (ramp - start) + 3 * (end - ramp))
    phi = ramp_factor * theta
    if step < ramp:
        return theta * (step - start + 1) / frequency
    return (theta * (ramp - start + 1) + phi * (step - ramp + 1)) / frequency


def filter_norms(weight: Tensor, p: int) -> Tensor:
    """[Li2017]_ sec. 3.1 (p = 1), [He2018]_ eq. 2 (p = 2): the norm of each output filter."""
    array = weight.detach().double().numpy().reshape(len(weight), -1)
    return torch.tensor(np.abs(array).sum(1) if p == 1 else np.sqrt((array**2).sum(1)))


def channel_norms(weight: Tensor, p: int) -> Tensor:
    """The same over all that reads one input channel."""
    return filter_norms(weight.transpose(0, 1).contiguous(), p)


def median_distances(weight: Tensor) -> Tensor:
    """[He2019]_ sec. 3.3: each filter's summed Euclidean distance to the others; the smallest is nearest the geometric median."""
    array = weight.detach().double().numpy().reshape(len(weight), -1)
    return torch.tensor([sum(float(np.sqrt(((one - other) ** 2).sum())) for other in array) for one in array])


def apoz(activations: Tensor) -> Tensor:
    """[Hu2016]_ eq. 1: per channel the share of zeros over all examples and positions; the highest is pruned."""
    array = activations.detach().numpy()
    return torch.tensor([float((array[:, channel] == 0).mean()) for channel in range(array.shape[1])])


def mean_activations(activations: Tensor) -> Tensor:
    """[Molchanov2017]_ sec. 2.2: per channel the mean output behind the ReLU; the lowest is pruned."""
    array = activations.detach().double().numpy()
    return torch.tensor([float(array[:, channel].mean()) for channel in range(array.shape[1])])


def taylor_of_activations(activations: Tensor, gradients: Tensor) -> Tensor:
    """[Molchanov2017]_ eq. 8: per channel the mean over examples of |mean over positions of dC/dz z|."""
    return (activations * gradients).flatten(2).mean(2).abs().mean(0)


def taylor_of_filters(weight: Tensor, gradient: Tensor) -> Tensor:
    """[Molchanov2019]_ sec. 3, a filter as one group: (sum over its weights of g w)^2; the lowest is pruned."""
    return (weight.detach().double() * gradient.double()).flatten(1).sum(1) ** 2


def scale_factors(norm: nn.BatchNorm2d) -> Tensor:
    """[Liu2017]_ sec. 3: |gamma|; the lowest is pruned."""
    return torch.tensor([abs(float(value)) for value in norm.weight.detach()])


def group_lasso(weight: Tensor, group: str) -> float:
    """[Wen2016]_ eq. 2: the sum over the groups of their Euclidean norms; all-zero groups cost nothing."""
    array = weight.detach().double().numpy() ** 2
    return float(np.sqrt(array.sum(axis=GROUP_DIMS[group])).sum())


def soft_threshold(weight: Tensor, strength: float) -> Tensor:
    """[Parikh2014]_ sec. 6.5.2: the proximal operator of strength * |w|_1, sign(w) max(|w| - strength, 0)."""
    return weight.detach().sign() * (weight.detach().abs() - strength).clamp(min=0)


def reconstructed(inputs: Tensor, outputs: Tensor, kept: Sequence[int]) -> Tensor:
    """[He2017]_ eq. 1, second half: least-squares weights from the kept columns of ``inputs`` (rows x c) to ``outputs``."""
    solution, *_ = np.linalg.lstsq(inputs.double().numpy()[:, list(kept)], outputs.double().numpy(), rcond=None)
    return torch.tensor(solution.T)


def folded(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """[Krishnamoorthi2018]_ eq. 20 and 21: W gamma / sigma, and beta - gamma (mean - b) / sigma, with running statistics."""
    factor = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    before = torch.zeros(len(weight)) if bias is None else bias.detach()
    return weight.detach() * factor.view(-1, 1, 1, 1), norm.bias.detach() + (before - norm.running_mean) * factor


def folded_norms(weight: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """[Li2017]_ sec. 3.1 on weights folded by [Krishnamoorthi2018]_ eq. 20: the L1 norm of each folded filter."""
    return filter_norms(folded(weight, None, norm)[0], 1)


def drop_filter_mask(kept: Tensor) -> Tensor:
    """[Srivastava2014]_ inverted, on filters: the kept ones are scaled by one over the kept share, the expectation stays."""
    share = float(kept.float().mean())
    return kept.float() / share if share else torch.zeros_like(kept, dtype=torch.float)


def silenced(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d | None, pruned: Sequence[int]) -> None:
    """What removing filters must equal: in place, their weights, bias, scale and shift become 0, so the channel is 0 behind
    its batch norm. Without the last two a dead channel still carries the constant beta - gamma mean / sigma.
    """
    for tensor in (weight, bias, *((norm.weight, norm.bias) if norm is not None else ())):
        if tensor is not None:
            tensor.data[list(pruned)] = 0
