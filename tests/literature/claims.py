"""What the papers, and Distiller's own documentation, say of its recorded experiments; each a statement about one outcome.

A claim that names a finding is expected to fail: the finding is the deviation. Expected values are computed here from
``references`` on the probe's own seeded inputs wherever the outcome is a number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.literature import references
from tests.literature.expectations import agp, all_close, close, gaussian_share, growing_surgery, magnitude_shares, rates
from tests.literature.probes.experiment import Outcome


@dataclass(frozen=True)
class Claim:
    """probe: whose outcome. cites, says: for people. holds: of the result. refuses: the exception type that is right.

    finding: the deviation under which the claim fails. recorded_only: today's torch behaves differently, and rightly.
    """

    probe: str
    method: str
    cites: str
    says: str
    holds: Callable[[Any], bool] = field(default=lambda result: True, hash=False, repr=False)
    refuses: str = ""
    finding: str = ""
    recorded_only: bool = False

    def check(self, outcome: Outcome) -> None:
        """AssertionError when the outcome is not what the source says."""
        if self.refuses:
            assert outcome.get("raises", {}).get("type") == self.refuses, f"{self.says}: not refused"
            return
        assert "result" in outcome, f"{self.says}: {outcome.get('raises')}"
        assert self.holds(outcome["result"]), f"{self.says}: {outcome['result']}"


_HAN, _ZHU, _GUO = "[Han2015]_ sec. 3", "[Zhu2017]_ eq. 1", "[Guo2016]_ eq. 3"
_NARANG, _LI, _HE18 = "[Narang2017]_ alg. 1", "[Li2017]_ sec. 3.1", "[He2018]_ eq. 2"
_RESIDUAL, _HU, _MEAN = "[Li2017]_ sec. 3.3", "[Hu2016]_ eq. 1", "[Molchanov2017]_ sec. 2.2"
_TAYLOR, _HE17, _WEN = "[Molchanov2017]_ eq. 8", "[He2017]_ eq. 1", "[Wen2016]_ eq. 2"
_PROX, _FOLD, _DROP, _OWN = "[Parikh2014]_ sec. 6.5.2", "[Krishnamoorthi2018]_ eq. 20", "[Srivastava2014]_", "Distiller's documentation"
C = Claim

CLAIMS: tuple[Claim, ...] = (
    C("e1.01", "magnitude", _HAN, "what equals the threshold goes", lambda r: r["mask"] == [1, 0, 0, 0, 0, 0, 1]
      and r["tie_exact_binary_fraction"] == [0, 0, 1]),
    C("e1.02", "magnitude", _OWN, "thresholds without a default are refused", refuses="AssertionError"),
    C("e1.03", "magnitude", _HAN, "the default threshold reaches every parameter", lambda r: r == magnitude_shares()),
    C("e1.04", "sensitivity", _HAN, "the threshold is s times the deviation around 0", lambda r: r["eq_around0"]),
    C("e1.04", "sensitivity", _HAN, "the band is not around the mean", lambda r: not r["eq_around_mean"]),
    C("e1.07", "sensitivity", _HAN, "half a deviation of a Gaussian is 38 percent", lambda r: close(r["sparsity"], gaussian_share())
      and close(r["sparsity"], r["gaussian_expect"], 5e-3)),
    C("e1.05", "sensitivity", _HAN, "the deviation is that of the present weights",
      lambda r: close(r["sparsity_after_x10"], r["frac_expected_if_recomputed"], 0.02), finding="D-STD"),
    C("e7.05", "sensitivity", _HAN, "folding a norm changes nothing in how often the deviation is taken",
      lambda r: r["cached_on_param"], finding="D-STD"),
    C("e1.08", "level", _ZHU, "the number of masked weights is the nearest to the share", lambda r: all(v[0] == v[2] for v in r.values()),
      finding="D-FLOOR"),
    C("e1.08", "level", _OWN, "the number of masked weights is the floor of the share", lambda r: all(v[0] == v[1] for v in r.values())),
    C("e1.09", "level", _ZHU, "ties do not add to the number", lambda r: r["pruned"] == r["asked"], finding="D-TIES"),
    C("e1.14", "level", _ZHU, "zeros beyond the asked number stay free", lambda r: r == 30, finding="D-TIES"),
    C("e1.10", "level", _ZHU, "less than one weight is none", lambda r: r == 0, finding="D-ZERO"),
    C("e1.11", "level", _ZHU, "a share of 0 masks nothing", lambda r: r is True),
    C("e1.12", "level", _ZHU, "a share of 1 masks all", lambda r: r == 10),
    C("e1.13", "level", _OWN, "the default level is used", lambda r: r == 5),
    C("e1.15", "agp", _ZHU, "sparsity follows the cubic schedule", lambda r: all_close(r["s"], agp(0.05, 0.8, 9))),
    C("e1.16", "agp", _ZHU, "the final sparsity is reached at the last scheduled epoch", lambda r: all(v[1] == 0.8 for v in r.values())),
    C("e1.17", "agp", _ZHU, "a schedule of one epoch is a schedule", finding="D-SPAN"),
    C("e1.18", "agp", _ZHU, "epochs may be listed", finding="D-SPAN"),
    C("e1.19", "agp", _ZHU, "a schedule that does not rise is refused", refuses="AssertionError"),
    C("e1.20", "agp", "[Zhu2017]_ sec. 4", "a schedule may start at 0", finding="D-ZERO"),
    C("e1.21", "agp", _ZHU, "small tensors can be pruned gradually", finding="D-ZERO"),
    C("e1.22", "agp", _ZHU, "trained weights follow the schedule and stay at its end", lambda r: r["seq"][:6] == r["want"]
      and r["seq"][6:] == [0.8, 0.8] and all_close(r["want"], [int(s * 720) / 720 for s in agp(0.05, 0.8, 5)])),
    C("e1.23", "agp", _ZHU, "the target moves with every pruning step", lambda r: len(set(r)) == len(r), finding="D-MB"),
    C("e7.06", "agp", _ZHU, "masked weights stay masked", lambda r: r == 0),
    C("e7.07", "agp", _ZHU, "masked weights stay masked when only the forward pass is masked",
      lambda r: r["final_weight_sparsity"] > 0 and r["regrown"] == 0, finding="D-KEEP"),
    C("e1.24", "surgery", _GUO, "all three branches are exact, thresholds from the first call", lambda r: r["first"] and r["second"]),
    C("e1.24", "surgery", _GUO, "weights that grow are spliced back by the function", lambda r: r["spliced"] > 0),
    C("e1.25", "surgery", "[Guo2016]_ alg. 1", "connections come back in training by default",
      lambda r: r["default"]["spliced_back"] > 0, finding="D-DNS"),
    C("e1.25", "surgery", "[Guo2016]_ alg. 1", "with double copies and forward masking connections come back",
      lambda r: r["double+fwd_only"]["spliced_back"] > 100 and r["forward_only"]["spliced_back"] > 100),
    C("e3.34", "surgery", "[Guo2016]_ alg. 1", "with the shipped schedule's arguments connections come back",
      lambda r: r["example yaml: mask_on_forward_only, mb freq 1"]["spliced"] > 0, finding="D-DNS"),
    C("e3.34", "surgery", "[Guo2016]_ alg. 1", "with double copies they do at a usual learning rate",
      lambda r: r["double_copies + fwd_only + mb freq 1"]["spliced"] > 100),
    C("e1.26", "surgery", _GUO, "a growing sensitivity moves both thresholds", lambda r: all_close(r, growing_surgery())),
    C("e1.27", "rnn", _NARANG, "thresholds follow the two slopes", lambda r: r["maxdiff"] < 1e-3
      and all_close(r["jump_at_ramp"], [references.rnn_threshold(e, 0, 4, 20, 0.1, 1, 1.5) for e in (3, 4)], 1e-4)
      and close(r["final"], references.rnn_threshold(19, 0, 4, 20, 0.1, 1, 1.5), 1e-4)),
    C("e1.28", "rnn", "[Narang2017]_ eq. 1", "the slopes grow with the frequency", lambda r: all_close(r, [0.4 / 56, 0.6 / 56], 1e-6)),
    C("e2.01", "l1-filters", _LI, "the filters with the smallest absolute sums go", lambda r: r["ok"]),
    C("e2.01", "l1-filters", _LI, "the number of filters is the nearest to the share", lambda r: r["pruned"] == r["round"],
      finding="D-FLOOR"),
    C("e2.02", "l2-filters", _HE18, "the filters with the smallest Euclidean norms go", lambda r: r is True),
    C("e2.03", "l1-channels", _LI, "the channels with the smallest absolute sums go", lambda r: r is True),
    C("e2.04", "l1-channels", _HE18, "the channels with the smallest Euclidean norms go", lambda r: r is True),
    C("e2.05", "l1-channels", _LI, "the same for a linear layer's inputs", lambda r: r is True),
    C("e2.06", "l1-filters", _OWN, "rows of a linear layer are its outputs", lambda r: bool(r["zero_rows"]), finding="D-ROWSRANK"),
    C("e2.07", "l1-filters", _LI, "a linear layer's neurons can be ranked", finding="D-ROWSRANK"),
    C("e2.08", "l1-filters", _LI, "one-dimensional convolutions can be ranked", finding="D-ROWSRANK"),
    C("e2.09", "l1-filters", _OWN, "columns are refused", refuses="ValueError"),
    C("e2.10", "l1-filters", _LI, "counts of 100 filters are the shares in percent", lambda r: [r["0.29"], r["0.57"]] == [29, 57],
      finding="D-FLOOR"),
    C("e2.10", "l1-filters", _LI, "a share that rounds to nothing is said", lambda r: r["0.005"] is not None, finding="D-LAST"),
    C("e2.10", "l1-filters", _LI, "a share of 1 removes all", lambda r: r["1.0"] == 100),
    C("e2.11", "l1-filters", _OWN, "one filter always stays below a share of 1", lambda r: r == [7]),
    C("e2.12", "l1-filters", _OWN, "the rounding that was asked for is used", lambda r: r["pruned"] == r["ceil"], finding="D-GSIZE"),
    C("e2.13", "l1-filters", _LI, "equal filters do not add to the number", lambda r: len(r["pruned"]) == r["asked"], finding="D-TIES"),
    C("e2.14", "l1-filters", _OWN, "filters can be grouped in twos", finding="D-GSIZE"),
    C("e2.15", "l1-channels", _OWN, "channels can be grouped in twos", finding="D-GSIZE"),
    C("e2.16", "l1-filters", _OWN, "noise changes the ranking", lambda r: r < 50),
    C("e2.17", "blocks", _OWN, "runs of eight channels go together", lambda r: r is True),
    C("e2.18", "blocks", _OWN, "the same position by position", lambda r: r["ok"] and r["uniform"]),
    C("e2.19", "blocks", _OWN, "repetitions are consecutive filters", lambda r: r[0] == r[1] and r[2] == r[3], finding="D-BLOCK"),
    C("e2.20", "coupled groups", _RESIDUAL, "a group follows its leader's index set", lambda r: r["leader"] and r["follower"]),
    C("e2.21", "coupled groups", _RESIDUAL, "the leader is ranked by its present weights", lambda r: r["fresh"], finding="D-STALE"),
    C("e2.22", "coupled groups", _RESIDUAL, "a leader that rounds to nothing removes nothing", finding="D-LEADER"),
    C("e2.23", "coupled groups", _RESIDUAL, "a gradual leader may start small", finding="D-LEADER"),
    C("e2.24", "coupled groups", _RESIDUAL, "a gradual leader may start at 0", finding="D-LEADER"),
    C("e2.43", "coupled groups", _RESIDUAL, "a random choice can lead a group", finding="D-LEADER2"),
    C("e2.25", "coupled groups", _OWN, "without a leader rounding to nothing is said", lambda r: r is False, finding="D-LAST"),
    C("e2.26", "sensitivity analysis", _OWN, "a name is a name, not a part of one", lambda r: r == ["layer1.0.conv1.weight"],
      finding="D-SUBSTR"),
    C("e2.27", "agp", _ZHU, "filters by L1 and L2 follow the gradual schedule",
      lambda r: all(r[name][:5] == r["want"] for name in r if name != "want")),
    C("e7.01", "agp", _ZHU, "every ranked pruner follows the gradual schedule",
      lambda r: all(counts == [0, 2, 3, 3, 4, 4] for name, counts in r.items() if "Bernoulli" not in name)),
    C("e7.01", "dropfilter", _DROP, "the Bernoulli pruner keeps drawing about its share",
      lambda r: all(counts < 6 for counts in r["BernoulliFilterPruner_AGP"]), finding="D-BERN"),
    C("e7.02", "agp", _OWN, "the gradual ranked pruner takes the documented arguments", lambda r: r[2:5] == ["initial_sparsity",
      "final_sparsity", "group_type"]),
    C("e7.08", "l1-filters", _OWN, "another norm can rank", lambda r: r is True),
    C("e2.28", "random", "control", "random filters, exactly floor of the share", lambda r: r["counts"] == [3] and r["distinct"] > 10),
    C("e2.29", "random", "control", "random channels when channels are asked for", lambda r: bool(r["c"]), finding="D-ROWSRANK"),
    C("e2.30", "random", "control", "a random level stays within its range", lambda r: r[0] >= 4 and r[1] <= 12),
    C("e2.31", "dropfilter", _DROP, "kept filters are scaled by one over the kept share",
      lambda r: all_close(r["values"], [0.0, 1000 / r["kept"]], 1e-4)),
    C("e2.32", "dropfilter", _DROP, "no filter kept is zero", lambda r: r == [0.0, 0.0], finding="D-BERN"),
    C("e2.33", "dropfilter", _DROP, "at learning rate 0 weights stay", lambda r: r["default"][0] == r["default"][1], finding="D-BERN"),
    C("e9.05", "dropfilter", _DROP, "with the shipped arguments weights stay",
      lambda r: r["discard+double_copies+forward_only"]["weights_bit_identical"]),
    C("e9.05", "dropfilter", _DROP, "without forward masking weights stay",
      lambda r: r["discard+double_copies+mb_freq_1"]["weights_bit_identical"], finding="D-BERN"),
    C("e3.22", "dropfilter", _OWN, "the regulariser can be named in a schedule", lambda r: r is True, finding="D-DROP"),
    C("e3.23", "dropfilter", _OWN, "the regulariser takes a network with biases", finding="D-DROP"),
    C("e3.24", "dropfilter", _DROP, "the regulariser drops filters", lambda r: r["ever_drops"] and r["weights_kept"], finding="D-DROP"),
    C("e2.34", "apoz", _HU, "the value is the share of zeros over all examples", lambda r: r["val_ok"]),
    C("e2.34", "apoz", _HU, "the highest share of zeros goes", lambda r: r["pruned_highest_apoz"] and not r["pruned_lowest"]),
    C("e2.35", "apoz", _HU, "unequal batches do not bias the share", lambda r: r == 0),
    C("e2.40", "apoz", _HU, "a residual block's interior is ranked by its ReLU", lambda r: r is True),
    C("e2.41", "apoz", _HU, "the first convolution can be ranked", finding="D-ACTNAME"),
    C("e2.44", "apoz", _HU, "a linear layer has one share per neuron", lambda r: isinstance(r, list), finding="D-APOZLIN"),
    C("e2.38", "apoz", _OWN, "ranking without statistics is refused", refuses="ValueError"),
    C("e2.36", "mean-activation", _MEAN, "the value is the mean output behind the ReLU", lambda r: r["val_ok"]),
    C("e2.36", "mean-activation", _MEAN, "the lowest mean goes", lambda r: r["pruned_lowest_mean"], finding="D-MEAN"),
    C("e2.37", "mean-activation", _MEAN, "the mean has a sign", lambda r: all_close(r, [0.0, 0.2])),
    C("e2.45", "taylor", _TAYLOR, "the smallest first-order effects go", lambda r: r["pruned"] == r["want_taylor"], finding="D-GRAD"),
    C("e2.46", "taylor", "[Molchanov2019]_ sec. 3", "behind a norm scores are more than rounding noise",
      lambda r: r["max_abs_score"] > 1e-3 * r["max_grad"], finding="D-GRAD"),
    C("e2.47", "taylor", _TAYLOR, "ranking without gradients is refused", refuses="ValueError", finding="D-GRAD"),
    C("e7.04", "taylor", _TAYLOR, "cleared gradients rank nothing", lambda r: r["mask"] is None, finding="D-GRAD", recorded_only=True),
    C("e2.48", "reconstruction", _HE17, "3 x 3 outputs are restored exactly", lambda r: r["rel_err"] < 1e-5),
    C("e2.50", "reconstruction", _HE17, "1 x 1 outputs are restored exactly", lambda r: r["rel_err"] < 1e-5),
    C("e2.52", "reconstruction", _HE17, "strided 3 x 3 outputs are restored exactly", lambda r: r["rel_err"] < 1e-5),
    C("e2.57", "reconstruction", _HE17, "linear outputs are restored exactly", lambda r: r < 1e-5),
    C("e2.49", "reconstruction", _HE17, "outputs with a bias are restored", lambda r: r["rel_err"] < 1e-3, finding="D-FM"),
    C("e2.51", "reconstruction", _HE17, "strided 1 x 1 outputs are restored", lambda r: r["rel_err"] < 1e-3, finding="D-FM"),
    C("e2.53", "reconstruction", _HE17, "dilated outputs are restored", lambda r: r["rel_err"] < 1e-3, finding="D-FM"),
    C("e2.54", "reconstruction", _HE17, "single images can be sampled", finding="D-FM"),
    C("e2.55", "reconstruction", _HE17, "channels are chosen by their part in the output, not by norm", lambda r: r["pruned"] != r["l1"],
      finding="D-FM"),
    C("e2.56", "reconstruction", _OWN, "reconstruction without samples is refused", refuses="ValueError"),
    C("e2.58", "group thresholds", _OWN, "structures at or below a threshold go",
      lambda r: all(right for name, right in r.items() if name not in ("RowsMean_Abs", "ColsMean_Abs"))),
    C("e2.58", "group thresholds", _OWN, "rows and columns too, by their mean", lambda r: r["RowsMean_Abs"] and r["ColsMean_Abs"],
      finding="D-ROWS"),
    C("e2.42", "group thresholds", _OWN, "the mean of ones is one", lambda r: r["rows"] == r["cols"] == r["correct"], finding="D-ROWS"),
    C("e9.03", "group thresholds", _OWN, "one-dimensional convolutions have filters", finding="D-ROWSRANK"),
    C("e3.01", "masks", _OWN, "masks hold in all later epochs, whatever the momentum", lambda r: r["sparsity"] == [0, 0, 0.5, 0.5, 0.5]),
    C("e3.02", "masks", _OWN, "weights are masked in the forward pass and after the step",
      lambda r: r["after_forward_mask"] == r["after_mb_end"] == 0.5),
    C("e3.03", "masks", _OWN, "masks are applied with the first batch", lambda r: r == [0, 0.5]),
    C("e3.04", "masks", _OWN, "masking gradients alone is refused", refuses="ValueError"),
    C("e3.05", "masks", _OWN, "masked gradients are zero", lambda r: r == 0),
    C("e3.06", "masks", _OWN, "a kept mask is kept at any frequency", lambda r: r["freq1"] == r["freq2"] == 0.5, finding="D-KEEP"),
    C("e3.07", "masks", _OWN, "the first batch can be skipped", lambda r: r == [0, 0.5, 0.5]),
    C("e3.08", "masks", _OWN, "a skipped first batch asks no pruner", lambda r: r == []),
    C("e3.09", "masks", _OWN, "pruning inside an epoch follows the global step",
      lambda r: r == ["epoch0", [0, 3], "epoch1", [1, 1], [1, 4]]),
    C("e3.10", "masks", _OWN, "a policy's arguments are its own", lambda r: r is True, finding="D-FLAGS"),
    C("e3.11", "masks", _OWN, "a policy's levels replace the pruner's", lambda r: r == {"conv2.weight": 0.25}),
    C("e3.13", "masks", _OWN, "masks survive saving", lambda r: r == 0.5),
    C("e7.14", "masks", _OWN, "filters stay zero when the policy has ended", lambda r: r == 4),
    C("e7.15", "masks", _OWN, "a one-shot pruner keeps its choice", lambda r: all(found == r[0] for found in r)),
    C("e7.16", "masks", _OWN, "masks hold under Adam and weight decay", lambda r: r == 0.5),
    C("e7.17", "masks", _LI, "a pruned filter's bias goes too", lambda r: r is False, finding="D-BIAS"),
    C("e7.10", "masks", _OWN, "sparsity is counted by weight, kernel, filter and channel",
      lambda r: [r["s"], r["s2"], r["s3"]] == [0.5, 0.5, 0.25] and close(r["ch"], 1 / 3)),
    C("e7.11", "masks", _OWN, "sparsity of rows and columns counts the transposed matrix", lambda r: r == {"cols": 0.25, "rows": 0.0}),
    C("e3.12", "bn-folding", _FOLD, "folded weights rank", lambda r: r["folded"] and not r["raw"]),
    C("e3.14", "l1-regularisation", _PROX, "loss and gradient of the L1 norm", lambda r: r == [True, True]),
    C("e3.15", "l1-regularisation", _PROX, "the threshold is soft", lambda r: r["soft"], finding="D-SOFT"),
    C("e3.16", "group-lasso", _WEN, "the penalty is the sum of the groups' norms", lambda r: all(close(v, 1.0, 1e-5) for v in r.values())),
    C("e3.17", "group-lasso", _WEN, "channels and layers can be combined", finding="D-4D"),
    C("e3.18", "group-lasso", _WEN, "all-zero groups have a gradient", lambda r: not any(r.values())),
    C("e3.19", "group-lasso", _WEN, "the penalty's strength is not the threshold", lambda r: r["zero_filters"] == 0, finding="D-SOFT"),
    C("e3.20", "group-lasso", _OWN, "a kept regularisation mask is kept", lambda r: r is True),
    C("e3.21", "group-lasso", _OWN, "the variance penalty is one over the variance of norms", lambda r: r is True),
    C("e7.03", "group-lasso", _WEN, "all-zero channels cost nothing", lambda r: r == 0, finding="D-EPSILON"),
    C("e9.01", "group-lasso", _OWN, "whole layers can be thresholded", finding="D-4D"),
    C("e9.02", "group-lasso", _OWN, "rows and columns can be thresholded together", finding="D-4D"),
    C("e3.25", "schedules", _OWN, "fourteen pruners run from one schedule", lambda r: all_close(r["lr"], [0.01, 0.001, 0.001, 0.0001])
      and [r["sparsity"][f"layer1.{layer}.weight"] for layer in ("1.conv1", "1.conv2", "2.conv1", "2.conv2")] == [0.5, 0.5, 0.25, 0.25]),
    C("e3.32", "schedules", _OWN, "unknown classes and arguments are refused", lambda r: all(text.startswith("ValueError") for text in r)),
    C("e3.33", "schedules", _OWN, "an unknown weight is refused", lambda r: r is False, finding="D-YAML"),
    C("e3.26", "learning rates", _OWN, "exponential", lambda r: all_close(r, rates("ExponentialLR", gamma=0.9), 1e-4)),
    C("e3.27", "learning rates", _OWN, "steps at milestones", lambda r: all_close(r, rates("MultiStepLR", milestones=[1, 2], gamma=0.1))),
    C("e3.28", "learning rates", _OWN, "cosine", lambda r: all_close(r, rates("CosineAnnealingLR", T_max=5), 1e-4)),
    C("e3.29", "learning rates", _OWN, "polynomial", lambda r: all_close(r, rates("PolynomialLR", T_max=5, power=2), 1e-4)),
    C("e3.30", "learning rates", _OWN, "several factors",
      lambda r: all_close(r, rates("MultiStepMultiGammaLR", milestones=[1, 2], gammas=[0.5, 0.1]), 1e-4)),
    C("e3.31", "learning rates", _OWN, "on a plateau", lambda r: r == [1.0, 0.5, 0.25, 0.125, 0.0625]),
    C("e4.01", "removal", _LI, "counts after removing half of every interior", lambda r: r["params"] == [272_474, 138_506]
      and r["macs"] == [40_813_184, 20_759_168]),
    C("e4.01", "removal", _LI, "removal equals masking with a silent shift", lambda r: r["maxdiff_vs_masked_bn_zeroed"] == 0),
    C("e4.01", "removal", _LI, "removal equals masking", lambda r: r["maxdiff_vs_masked"] < 1e-5, finding="THIN-SHIFT"),
    C("e4.02", "removal", _RESIDUAL, "a residual group goes together", lambda r: all(shape[0] == 13 for name, shape in r["shapes"].items()
      if not name.startswith("layer2")) and all(shape[1] == 13 for name, shape in r["shapes"].items() if name.startswith("layer2"))),
    C("e4.03", "removal", _RESIDUAL, "a coupled layer alone is refused", refuses="ValueError", finding="THIN-COUPLED"),
    C("e4.04", "removal", _LI, "channels go with the filters that make them", lambda r: r["maxdiff"] < 1e-4 and r["prev"][0] == 13),
    C("e4.05", "removal", _LI, "filters and channels can go in one step", lambda r: close(r, -23.5652)),
    C("e4.06", "removal", "[Li2017]_ sec. 3.4", "training goes on, with its momentum", lambda r: r["w"] == r["buf"] == [8, 16, 3, 3]),
    C("e4.07", "removal", "[Li2017]_ sec. 3.4", "training goes on with a loss still held", finding="THIN-TRAIN"),
    C("e4.08", "removal", "[Li2017]_ sec. 3.4", "training goes on under Adam", finding="THIN-TRAIN"),
    C("e4.09", "removal", _LI, "one filter may be left", lambda r: r[0] == 1),
    C("e4.10", "removal", _LI, "removing every filter is refused", refuses="ValueError"),
    C("e4.11", "removal", _OWN, "removing nothing changes nothing", lambda r: r is False),
    C("e4.12", "removal", _LI, "exact in front of a linear layer, square map", lambda r: r["diff"] < 1e-5 and r["in_features"] == 448),
    C("e4.13", "removal", _LI, "exact in front of a linear layer, other maps", finding="THIN-SQUARE"),
    C("e4.14", "removal", _LI, "a depthwise convolution follows", lambda r: r["dw"] == [6, 1, 3, 3] and r["groups"] == 6),
    C("e4.15", "removal", _LI, "a grouped convolution follows", finding="THIN-GROUPED"),
    C("e4.16", "removal", _LI, "a grouped convolution shrinks", lambda r: r == [6, 4, 3, 3]),
    C("e4.17", "removal", _LI, "a grouped convolution shrinks exactly, evenly", lambda r: r["1 of each"] < 1e-5),
    C("e4.17", "removal", _LI, "a grouped convolution shrinks exactly, unevenly, or is refused", lambda r: r["2 of group 0"] < 1e-5,
      finding="THIN-GROUPED"),
    C("e4.18", "removal", _LI, "a concatenation follows", finding="THIN-CONCAT"),
    C("e4.19", "removal", _LI, "a linear layer knows its inputs", lambda r: r["in_features"] == 6, finding="THIN-LINEAR"),
    C("e4.20", "removal", _LI, "inputs behind a larger map can go", finding="THIN-LINEAR"),
    C("e4.21", "removal", _LI, "neurons can go", lambda r: r == [4, 8], finding="THIN-LINEAR"),
    C("e4.22", "removal", _LI, "ResNet-56 with half of its interiors", lambda r: r["params"] == 430_826),
    C("e4.23", "removal", _LI, "MobileNet", lambda r: r["p"] == 4_228_908),
    C("e4.24", "removal", _LI, "VGG-11 with its classifier", lambda r: r["c0"] == [4096, 24941] and r["infeat"] == 24941),
    C("e4.25", "removal", _LI, "ResNet-18", lambda r: r["c"] == [64, 62, 3, 3]),
    C("e4.26", "sensitivity analysis", "[Li2017]_ fig. 2", "weights of one tensor alone are pruned",
      lambda r: all(set(found) <= {"layer1.0.conv1.weight"} for found in r["element"])),
    C("e4.26", "sensitivity analysis", "[Li2017]_ fig. 2", "filters of one tensor alone are pruned",
      lambda r: all(set(found) <= {"layer1.0.conv1.weight"} for found in r["filter"]), finding="D-SUBSTR"),
    C("e4.27", "sensitivity analysis", "[Li2017]_ fig. 2", "levels are measured in any order", lambda r: r == [0.75, 0.25],
      finding="D-DESC"),
    C("e4.28", "sensitivity analysis", _OWN, "results are written as a table", lambda r: r[0] == "parameter,sparsity,top1,top5,loss"),
    C("e4.29", "greedy", "[Li2017]_ sec. 3.2", "networks without DataParallel work", finding="D-GREEDY"),
    C("e4.30", "greedy", "[Li2017]_ sec. 3.2", "networks with DataParallel work on a CPU", finding="D-GREEDY"),
    C("e4.31", "greedy", "[Li2017]_ sec. 3.2", "the search ends with a network", finding="D-GREEDY"),
    C("e4.32", "checkpoints", _OWN, "a removed network can be loaded", lambda r: r["same"] == 0 and r["shape"] == [14, 16, 3, 3]),
    C("e9.04", "removal", "[Li2017]_ table 1's count", "multiply-accumulates of ResNet-20", lambda r: r == 40_813_184),
)  # fmt: skip
