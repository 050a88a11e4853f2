"""What every class that a Distiller schedule may name does, so that a schedule can be read without Distiller.

Classes and arguments are those of IntelLabs Distiller d859fc85 (``distiller/config.py`` instantiates them by name).
"""

from __future__ import annotations

from dataclasses import dataclass

REMOVES = "removes channels"
ZEROES = "changes no latency"
TRAINS = "shapes training"
RATE = "learning rate"
THINS = "removes what is zero"


@dataclass(frozen=True, slots=True)
class ScheduleClass:
    """section: where it may stand. effect: one of the constants above. criterion: our name of its ranking, or ''.

    required, optional: its arguments. why: one clause that says what it does to latency, or what we do instead.
    """

    section: str
    effect: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    criterion: str = ""
    why: str = ""


_RANKED = ("group_type", "desired_sparsity", "weights")
_RANKED_AGP = ("initial_sparsity", "final_sparsity", "group_type", "weights")
_ZEROS_STAY = "zeroes single weights: a dense runtime multiplies by zero as fast as by anything else"


def _ranked(criterion: str, *more: str, why: str = "") -> ScheduleClass:
    return ScheduleClass("pruners", REMOVES, _RANKED, ("group_dependency", *more), criterion, why)


def _gradual(criterion: str, *more: str, why: str = "") -> ScheduleClass:
    return ScheduleClass("pruners", REMOVES, _RANKED_AGP, ("group_dependency", *more), criterion, why)


def _elementwise(*required: str, optional: tuple[str, ...] = ()) -> ScheduleClass:
    return ScheduleClass("pruners", ZEROES, required, optional, "", _ZEROS_STAY)


_WRONG_END = "ranked by our mean-activation, lowest first (Distiller removes the highest: D-MEAN)"
_SIGNED = "ranked by our taylor (Distiller ranks the signed product of one batch: D-GRAD)"
_LP = ("kwargs", "noise", "group_size", "rounding_fn")

CLASSES: dict[str, ScheduleClass] = {
    "L1RankedStructureParameterPruner": _ranked("l1", *_LP),
    "L2RankedStructureParameterPruner": _ranked("l2", *_LP),
    "ActivationAPoZRankedFilterPruner": _ranked("apoz"),
    "ActivationMeanRankedFilterPruner": _ranked("mean-activation", why=_WRONG_END),
    "GradientRankedFilterPruner": _ranked("taylor", why=_SIGNED),
    "RandomRankedFilterPruner": _ranked("random"),
    "FMReconstructionChannelPruner": _ranked(
        "l1", *_LP, "magnitude_fn", "ranking_noise", why="the weights that stay are not reconstructed by least squares; fine-tune instead"
    ),
    "L1RankedStructureParameterPruner_AGP": _gradual("l1", "kwargs"),
    "L2RankedStructureParameterPruner_AGP": _gradual("l2", "kwargs"),
    "ActivationAPoZRankedFilterPruner_AGP": _gradual("apoz"),
    "ActivationMeanRankedFilterPruner_AGP": _gradual("mean-activation", why=_WRONG_END),
    "GradientRankedFilterPruner_AGP": _gradual("taylor", why=_SIGNED),
    "RandomRankedFilterPruner_AGP": _gradual("random"),
    "BernoulliFilterPruner": ScheduleClass("pruners", TRAINS, _RANKED, ("group_dependency",), "", "drops filters at random while training"),
    "BernoulliFilterPruner_AGP": ScheduleClass(
        "pruners", TRAINS, _RANKED_AGP, ("group_dependency",), "", "drops filters at random while training"
    ),
    "RandomLevelStructureParameterPruner": ScheduleClass(
        "pruners",
        TRAINS,
        ("group_type", "sparsity_range", "weights"),
        ("group_dependency", "kwargs"),
        "",
        "draws a new sparsity at each step: no one configuration",
    ),
    "StructureParameterPruner": ScheduleClass(
        "pruners", TRAINS, ("reg_regims", "threshold_criteria"), (), "", "removes what falls below a threshold: no count before training"
    ),
    "MagnitudeParameterPruner": _elementwise("thresholds"),
    "SensitivityPruner": _elementwise("sensitivities"),
    "SparsityLevelParameterPruner": _elementwise("levels"),
    "AutomatedGradualPruner": _elementwise("initial_sparsity", "final_sparsity", "weights"),
    "SplicingPruner": _elementwise("sensitivities", "low_thresh_mult", "hi_thresh_mult", optional=("sensitivity_multiplier",)),
    "BaiduRNNPruner": _elementwise("q", "ramp_epoch_offset", "ramp_slope_mult", "weights"),
    "L1Regularizer": ScheduleClass("regularizers", TRAINS, ("reg_regims",), ("threshold_criteria",), "", "a term of the loss"),
    "GroupLassoRegularizer": ScheduleClass("regularizers", TRAINS, ("reg_regims",), ("threshold_criteria",), "", "a term of the loss"),
    "GroupVarianceRegularizer": ScheduleClass("regularizers", TRAINS, ("reg_regims",), (), "", "a term of the loss"),
    "FilterRemover": ScheduleClass("extensions", THINS, ("thinning_func_str", "arch", "dataset")),
    "ChannelRemover": ScheduleClass("extensions", THINS, ("thinning_func_str", "arch", "dataset")),
    "StructureRemover": ScheduleClass("extensions", THINS, ("thinning_func_str", "arch", "dataset")),
    "KnowledgeDistillationPolicy": ScheduleClass("extensions", TRAINS, (), (), "", "our recipe distils from the dense network"),
    "StepLR": ScheduleClass("lr_schedulers", RATE, ("step_size",), ("gamma",)),
    "MultiStepLR": ScheduleClass("lr_schedulers", RATE, ("milestones",), ("gamma",)),
    "ExponentialLR": ScheduleClass("lr_schedulers", RATE, ("gamma",)),
    "CosineAnnealingLR": ScheduleClass("lr_schedulers", RATE, ("T_max",), ("eta_min",)),
    "PolynomialLR": ScheduleClass("lr_schedulers", RATE, ("T_max", "power")),
    "MultiStepMultiGammaLR": ScheduleClass("lr_schedulers", RATE, ("milestones", "gammas")),
    "ReduceLROnPlateau": ScheduleClass(
        "lr_schedulers", TRAINS, (), ("mode", "factor", "patience", "threshold", "cooldown", "min_lr"), "", "follows the measured accuracy"
    ),
    "CosineAnnealingWarmRestarts": ScheduleClass("lr_schedulers", TRAINS, ("T_0",), ("T_mult", "eta_min"), "", "left to the recipe"),
}

# Left alone, with a word: quantisation is the runtime's business here.
QUANTIZERS = (
    "PostTrainLinearQuantizer",
    "QuantAwareTrainRangeLinearQuantizer",
    "DorefaQuantizer",
    "PACTQuantizer",
    "WRPNQuantizer",
    "NCFQuantAwareTrainQuantizer",
)
