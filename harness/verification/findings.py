"""What was found when pruning libraries were held against the literature: each deviation with its place, effect and evidence.

Lines are those of IntelLabs Distiller d859fc85, relative to its ``distiller/`` folder, or of torch-pruning 1.6.1. The tests
in ``tests/literature`` prove each finding: they are strict expected failures, so a repair shows as well as a regression.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation. where: file:line. should: what the source says. does: what happens, with numbers. hit: who meets it.

    since: commit and date of the line's last change, where the history tells; probes: ids of the recorded evidence.
    """

    id: str
    method: str
    where: str
    cites: str
    should: str
    does: str
    hit: str
    probes: tuple[str, ...]
    since: str = ""


_RANKED = "pruning/ranked_structures_pruner.py"
_GRADUAL = "pruning/automated_gradual_pruner.py"

FINDINGS: tuple[Finding, ...] = (
    Finding("D-MEAN", "mean-activation", f"{_RANKED}:367", "Molchanov 2017, sec. 2.2",
            "the filters with the lowest mean activation go",
            "the 4 of 8 filters with the highest mean go, never the lowest 4",
            "every use of ActivationMeanRankedFilterPruner and its gradual form", ("e2.36",), "a9c3e3f8, 2019-02-17"),
    Finding("D-GRAD", "taylor", f"{_RANKED}:502-507", "Molchanov 2017, eq. 8; 2019, sec. 3",
            "filters are ranked by the size of their first-order effect on the loss, over a data set",
            "the signed sum of g w of the last batch ranks, [2, 3, 4, 6] go where [0, 1, 2, 4] should; behind a batch norm the sums "
            "are rounding noise (largest 4e-6 against gradients of 0.56); without gradients nothing happens, silently",
            "GradientRankedFilterPruner on any network with batch norm", ("e2.45", "e2.46", "e2.47", "e7.04"), "2957e5f6, 2020-04-20"),
    Finding("D-DNS", "surgery", "policy.py:232; scheduler.py:263-265", "Guo 2016, alg. 1",
            "pruned connections keep being updated and return when they matter",
            "under the default policy 0 connections return in 6 epochs; with use_double_copies and mask_on_forward_only 395 do; "
            "the arguments of the shipped schedule give 0 at learning rate 0.01, both give 219",
            "every splicing schedule, the shipped one included", ("e1.25", "e3.34"), "0a86656d, 2018-04-24"),
    Finding("D-KEEP", "masks", "policy.py:181", "Distiller's documentation of keep_mask",
            "the mask of the last epoch stays",
            "it stays only if an epoch equal to ending_epoch - 1 is scheduled: frequency 1 ends at 0.5 sparsity, frequency 2 at 0.0; "
            "a gradual pruner that masks in the forward pass only ends dense",
            "schedules with frequency > 1 and mask_on_forward_only", ("e3.06", "e7.07"), "cb49f0bf, 2018-11-05"),
    Finding("D-FLAGS", "masks", "policy.py:199-201", "Distiller's documentation of policy arguments",
            "a policy's arguments govern its own parameters",
            "the last policy's flags are written to the masks of all parameters",
            "schedules with two pruning policies of different arguments", ("e3.10",), "3be05d04, 2019-04-08"),
    Finding("D-FLOOR", "level", "pruning/__init__.py:110-111; norms.py:271", "Zhu 2017, sec. 3; its own \"exact sparsity level\"",
            "0.29 of 100 weights are 29",
            "floors of float products: 0.29 of 100 is 28, 0.57 of 100 is 56, 0.5 of 7 is 3, 0.3 of 16 filters is 4",
            "everyone who compares a sparsity with what was asked", ("e1.08", "e2.01", "e2.10"), "2957e5f6, 2020-04-20"),
    Finding("D-TIES", "level", f"pruning/__init__.py:114; {_RANKED}:152, :176", "Li 2017, sec. 3.1: exactly m",
            "exactly the asked number goes",
            "all that equals the k-th value goes: 100 of 100 equal weights for 0.3; 4 of 8 filters for 0.25",
            "freshly quantised, tied or already sparse weights", ("e1.09", "e1.14", "e2.13"), "2957e5f6, 2020-04-20"),
    Finding("D-ZERO", "agp", "pruning/__init__.py:114", "Zhu 2017, sec. 4: initial sparsity 0",
            "a sparsity below one weight masks nothing",
            "IndexError for 0 < s < 1/n, so a gradual schedule from 0 fails in its first epoch",
            "AutomatedGradualPruner with the paper's usual start, and small tensors", ("e1.10", "e1.20", "e1.21"), "2957e5f6, 2020-04-20"),
    Finding("D-SPAN", "agp", f"{_GRADUAL}:30-31; scheduler.py:65-67", "Zhu 2017, eq. 1",
            "any number of pruning steps, at any epochs",
            "AssertionError in a one-epoch schedule, TypeError with a list of epochs",
            "gradual pruners with epochs: [..]", ("e1.17", "e1.18"), "0a86656d, 2018-04-24"),
    Finding("D-MB", "agp", f"{_GRADUAL}:62", "Zhu 2017, eq. 1: every dt steps",
            "the target moves with every pruning step",
            "mini_batch_pruning_frequency ranks again, with the epoch's target: 0.05 four times, then 0.416 four times",
            "gradual pruning inside an epoch", ("e1.23",), "4fc5aa6b, 2018-12-01"),
    Finding("D-LAST", "l1-filters", "norms.py:277-278", "Li 2017, sec. 3.1",
            "a request that cannot be met is refused",
            "0.999 of 100 filters leaves one, 0.005 of 100 leaves all, both without a word",
            "extreme sparsities and narrow layers", ("e2.10", "e2.25"), "0c6511e6, 2019-10-07"),
    Finding("D-LEADER", "coupled groups", f"{_RANKED}:91", "Li 2017, sec. 3.3",
            "a residual group follows one index set, also the empty one",
            "AssertionError where the count rounds to 0 (0.05 of 8 filters; gradual from 0)",
            "group_dependency: Leader in the first epochs of a gradual schedule", ("e2.22", "e2.23", "e2.24"), "4fc5aa6b, 2018-12-01"),
    Finding("D-STALE", "coupled groups", f"{_RANKED}:84-90", "Li 2017, sec. 3.3",
            "the leader is ranked by its present weights",
            "its choice is frozen as long as the target sparsity does not change",
            "Leader at constant sparsity over several epochs", ("e2.21",), "4fc5aa6b, 2018-12-01"),
    Finding("D-LEADER2", "coupled groups", f"{_RANKED}:89-90, :369, :429, :509, :649", "Li 2017, sec. 3.3",
            "every criterion can lead a group",
            "TypeError with the random, APoZ, mean and gradient pruners, an assertion with reconstruction",
            "Leader with anything but norms", ("e2.43",), "4fc5aa6b, 2018-12-01"),
    Finding("D-GSIZE", "l1-filters", f"{_RANKED}:136-139; norms.py:318, :328", "its own arguments",
            "group_size and rounding_fn do what they are called",
            "group_size 2 fails with RuntimeError, rounding_fn is not passed on: ceil asked, 2 pruned, not 3",
            "users of these two arguments", ("e2.12", "e2.14", "e2.15"), "d09a9ac6, 2019-08-06"),
    Finding("D-BLOCK", "blocks", f"{_RANKED}:223-226", "its own description of block_shape",
            "repetitions are consecutive filters",
            "[2, 8, 1, 1] takes 16 channels of one filter instead of 8 channels of two",
            "block pruning with repetitions", ("e2.19",), "9aac1053, 2019-02-05"),
    Finding("D-ROWSRANK", "l1-filters", f"{_RANKED}:131, :168; norms.py:322", "Li 2017, sec. 3.1",
            "Rows are outputs, Filters exist for every layer with outputs",
            "Rows of a linear layer prunes its columns; Filters fails on linear and one-dimensional layers; random pruning of "
            "Channels prunes filters",
            "the shipped agp schedules prune rows of fc", ("e2.06", "e2.07", "e2.08", "e2.29", "e9.03"), "09845ff9, 2019-11-11"),
    Finding("D-ROWS", "group thresholds", "norms.py:229", "its own Mean_Abs",
            "the mean of |w| of ones is 1",
            "rows of ones(6, 4) give 0.667, columns 1.5: divided by the other dimension",
            "thresholds on Rows and Cols", ("e2.42", "e2.58"), "0c6511e6, 2019-10-07"),
    Finding("D-FM", "reconstruction", f"{_RANKED}:651, :520-523, :588, :602, :606", "He 2017, eq. 1",
            "channels chosen by LASSO, outputs reconstructed for any convolution",
            "chosen by L1 norm; the bias is ignored (34 % error), 1 x 1 with stride 2 94 %, dilation 108 %, one image fails",
            "FMReconstructionChannelPruner outside plain bias-free convolutions",
            ("e2.49", "e2.51", "e2.53", "e2.54", "e2.55"), "09845ff9, 2019-11-11"),
    Finding("D-BERN", "dropfilter", f"{_RANKED}:464-465", "Srivastava 2014 (inverted dropout)",
            "the expectation of the outputs stays",
            "the default policy scales the weights up for good: 0.19 becomes 2572 in nine steps at learning rate 0; none kept is NaN",
            "BernoulliFilterPruner without the three arguments of the shipped schedule",
            ("e2.32", "e2.33", "e9.05", "e7.01"), "25deac14, 2019-03-17"),
    Finding("D-SUBSTR", "sensitivity analysis", f"{_RANKED}:63; sensitivity.py:98, :106", "its own argument",
            "the named tensor is pruned",
            "a name given as text matches by substring: analysing layer1.0.conv1 also prunes the stem conv1, by 25 and 50 %",
            "sensitivity analyses by filter or channel without DataParallel", ("e2.26", "e4.26"), "4fc5aa6b, 2018-12-01"),
    Finding("D-DESC", "sensitivity analysis", "sensitivity.py:79", "Li 2017, fig. 2",
            "each level is measured on its own",
            "levels accumulate on one copy: [0.75, 0.25] measures 0.75 twice",
            "descending lists of levels", ("e4.27",), "0a86656d, 2018-04-24"),
    Finding("D-ACTNAME", "apoz", f"{_RANKED}:344", "Hu 2016, eq. 1",
            "statistics belong to a layer, whatever it is called",
            "they are looked up by replacing .conv by .relu in the name: a top-level conv1 is refused",
            "networks that are not named like Distiller's", ("e2.41",), "94a2d6d1, 2018-10-22"),
    Finding("D-SOFT", "l1-regularisation", "regularization/l1_regularizer.py:35-40", "Parikh 2014, sec. 6.5.2",
            "soft thresholding shrinks by the strength",
            "hard: |w| <= strength becomes 0, the rest stays; the penalty's strength doubles as the threshold",
            "regularisers with threshold_criteria", ("e3.15", "e3.19"), "2957e5f6, 2020-04-20"),
    Finding("D-4D", "group-lasso", "thresholding.py:128; regularization/group_regularizer.py:78", "Wen 2016, eq. 2",
            "every kind of group can be thresholded and combined",
            "4D and Rows+Cols with a threshold fail; Channels+4D calls a misspelt method",
            "the shipped ssl_4D-removal_training schedule", ("e3.17", "e9.01", "e9.02"), "0c6511e6, 2019-10-07"),
    Finding("D-EPSILON", "group-lasso", "regularization/group_regularizer.py:153", "Wen 2016, eq. 2",
            "an all-zero group costs nothing",
            "Channels adds 1e-8 under the root: 8 zero channels cost 8e-4 times the strength",
            "nobody's ranking; the loss curve by a constant", ("e7.03",), "15c4e352, 2018-09-27"),
    Finding("D-DROP", "dropfilter", "regularization/drop_filter.py:17, :50-54, :58", "Srivastava 2014",
            "filters are dropped at random in training",
            "not exported, never drops (p is fixed at 1), loses the weights, fails with a bias, has no loss",
            "nobody: it cannot be reached from a schedule", ("e3.22", "e3.23", "e3.24"), "c7a1cef9, 2019-02-28"),
    Finding("D-GREEDY", "greedy", "pruning/greedy_filter_pruning.py:316, :322, :294", "Li 2017, sec. 3.2",
            "the search ends with a pruned network",
            "UnboundLocalError at the end, always, after the files are written; needs module. names; the fraction is a density",
            "every use of greedy_pruner", ("e4.29", "e4.30", "e4.31"), "a3a4f89b, 2019-06-19"),
    Finding("D-YAML", "schedules", f"{_GRADUAL}:84; {_RANKED}:63; pruning/level_pruner.py:39", "its own schedules",
            "an unknown name is an error",
            "an unknown class or argument raises; an unknown weight is ignored without a word",
            "everyone with a typing error in a schedule", ("e3.33",), "4fc5aa6b, 2018-12-01"),
    Finding("D-STD", "sensitivity", "pruning/__init__.py:132-133", "Han 2015, sec. 3",
            "the threshold is the standard deviation of the layer's weights",
            "the deviation of the first call is kept on the parameter: ten times the weights, 3.9 % masked instead of 38 %; with "
            "fold_batchnorm it is not kept",
            "iterative sensitivity pruning", ("e1.05", "e7.05"), "2957e5f6, 2020-04-20"),
    Finding("D-APOZLIN", "apoz", "utils.py:482-486", "Hu 2016, eq. 1",
            "one share per neuron",
            "for a linear layer one number for the whole layer (62.5 for a 2 x 4 example)",
            "APoZ of fully connected layers, the paper's main case", ("e2.44",), "b75f6dbc, 2018-11-25"),
    Finding("D-BIAS", "masks", "policy.py:227-232", "Li 2017, sec. 3.1",
            "a pruned filter contributes nothing",
            "its bias stays and is trained on",
            "convolutions with bias and no batch norm", ("e7.17",), "09845ff9, 2019-11-11"),
    Finding("THIN-SHIFT", "removal", "thinning.py:354-361", "Li 2017, sec. 3.1",
            "removing masked filters changes nothing",
            "the constant beta - gamma mean / sigma that a dead channel carries is dropped: logits move by 0.20; equal (0.0) to the "
            "masked network with that shift zeroed",
            "masked accuracy reported before removal", ("e4.01",), "492c0a9f, 2019-09-18"),
    Finding("THIN-COUPLED", "removal", "thinning.py:292-315", "Li 2017, sec. 3.3",
            "a coupled layer alone is refused",
            "the network breaks at its next forward pass",
            "pruning one convolution of a residual group", ("e4.03",), "492c0a9f, 2019-09-18"),
    Finding("THIN-GROUPED", "removal", "thinning.py:335", "Li 2017, sec. 3.1",
            "channels that feed a grouped convolution go evenly from its groups",
            "refused as a producer; as the grouped layer itself wrong by 0.36 without a word when the groups lose unequal numbers",
            "ResNeXt, RegNet, ShuffleNet", ("e4.15", "e4.17"), "9f8473ae, 2019-05-20"),
    Finding("THIN-CONCAT", "removal", "thinning.py:305-311", "Li 2017, sec. 3.1",
            "channels keep their place behind a concatenation",
            "the network breaks at its next forward pass",
            "DenseNet, Inception, SqueezeNet", ("e4.18",), "9f8473ae, 2019-05-20"),
    Finding("THIN-SQUARE", "removal", "thinning.py:348, :514", "Li 2017, sec. 3.1",
            "a linear layer behind any map",
            "RuntimeError unless the map is square",
            "non-square images", ("e4.13",), "492c0a9f, 2019-09-18"),
    Finding("THIN-LINEAR", "removal", "thinning.py:204, :535", "Li 2017, sec. 3.1",
            "a linear layer's inputs and neurons can go",
            "in_features stays stale and a bogus in_channels appears; maps larger than 1 x 1 fail; neurons are ignored",
            "classifiers of VGG and AlexNet", ("e4.19", "e4.20", "e4.21"), "492c0a9f, 2019-09-18"),
    Finding("THIN-TRAIN", "removal", "thinning.py:457", "Li 2017, sec. 3.4",
            "training goes on after removal",
            "only SGD; a live graph of the batch before breaks the next backward pass",
            "Adam, and loops that keep their loss", ("e4.07", "e4.08"), "1520e555, 2019-04-01"),
    Finding("T-FPGM", "fpgm", "torch_pruning/pruner/importance.py:350", "He 2019, sec. 3.3",
            "distances between filters",
            "distances between their element-wise squares (p = 2): signs are lost and large weights count more",
            "torch-pruning's FPGMImportance", (), "1.6.1, older not checked"),
)  # fmt: skip


def finding(id: str) -> Finding:
    """The finding called ``id``; KeyError for none, as only tests ask."""
    return {known.id: known for known in FINDINGS}[id]
