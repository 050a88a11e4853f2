"""The words of ``python -m search``: verbs, options with their help, and what is asked for by them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files.numbers import number, option, whole
from search.records.checks import checked
from search.records.request import OPTIONS, Request

PICTURES = ("dataset", "task", "data", "validation_from", "channels", "input_shape", "resize", "mean", "std")
DENSE = ("network", "weights", *PICTURES, "dense_epochs", "dense_learning_rate")
INHERITED = tuple(field.name for field in OPTIONS if field.name not in ("name", "reports"))  # by a fork
VERBS = ("run", "resume", "show", "report", "fork", "export", "explain", "groups", "compare", "experiment", "trust")
EXPLAINED = (
    "device",
    *DENSE,
    "precision",
    "designs",
    "learn_from",
    "max_predictor_error",
    "name",
    "reports",
)  # a campaign's options that explain takes
# a campaign's options that groups takes
GROUPED = ("network", "dataset", "task", "data", "weights", "validation_from", "channels", "input_shape", "input_size")
CHANGEABLE = (  # of a campaign that is resumed
    "trials",
    "hours",
    "patience",
    "finalists",
    "workers",
    "dask",
    "resources",
    "trial_timeout",
    "proof_seeds",
    "rival",
    "from_scratch",
    "global_pruning",
)
LIMIT_MISSED = 3  # exit code: the campaign went to its end, and nothing found keeps the largest drop that was allowed


HELP = {
    "device": "where latency counts: a table [tool.espalier.devices.NAME] of pyproject.toml",
    "network": "resnet20/32/44/56, mobilenetv2, torchvision:NAME, or path/to/file.py:factory",
    "dataset": "digits, fashion-mnist, cifar10, imagefolder:PATH, or segmentation:PATH (pictures and masks)",
    "task": "what networks are trained for and judged by: classification, segmentation (with --dataset=segmentation:PATH), or "
    "path/to/file.py:task, which gives loss, metric and pictures (default: as the dataset says)",
    "data": "where the dataset lies, for those that are not installed",
    "weights": "trained dense network, safetensors or torch's (FILE#KEY: another of its tables, as model_ema); without it, one is trained",
    "validation_from": "split that missing validation pictures are cut from: train or test (default: test for --weights from elsewhere)",
    "channels": "of the pictures: 1 grey, 3 RGB, 4 RGB and one more (default: what the network or its weights take, or their own)",
    "input_shape": "what pictures are brought to, as 3x224x224, or 224x224 with the pictures' own channels (default: as the network says, "
    "or the pictures where all are of one size; 28x28 of fashion-mnist)",
    "input_size": "further sizes of the pictures, among which the search chooses, by comma, as 28,24 or 96x128 (default: none); speed-ups "
    "and drops are counted from --input-shape, or where that is left out from the largest of all",
    "resize": "how they get there: cover (scaled until they cover it), margin (never enlarged, black around), or as torchvision's Resize: "
    "256 (the shorter side), 256x320 (height and width); the centre is cut out (default: cover)",
    "mean": "that is taken from every channel, of pixels between 0 and 1: numbers as 0.485,0.456,0.406, imagenet, or data, the training "
    "pictures' own (default: data)",
    "std": "that it is divided by then, told alike (default: data)",
    "dense_epochs": "of training the dense network, without --weights (default: the dataset's own)",
    "dense_learning_rate": "peak of training the dense network, without --weights (default: the dataset's own)",
    "chance_margin": "stop where the dense network is not above chance by this share of what is left to 100 %% on validation; 0: never",
    "precision": "what the device computes in: f32, bf16, f16, int8, or several among which the search chooses, as f32,int8",
    "trials": "configurations to try",
    "budget": "epochs of fine-tuning in a trial, best as many as --proof-budget; 0 only recalibrates batch norm",
    "short": "epochs of the search's own trials, of which the best are promoted to --budget (default: all at --budget)",
    "screen": "judge every proposal with recalibrated batch norm first, and tune only those that have a chance",
    "hours": "stop asking after that long, interruptions not counted (default: no limit)",
    "minutes": "for the whole campaign: it does less than what else is asked for until that fits, and says what (default: no limit)",
    "patience": "stop after so many hopeless proposals in a row; 0 for never",
    "finalists": "about how many of the best are evaluated again, with two more seeds, before one is chosen",
    "workers": "trials side by side, in processes of this machine",
    "dask": "address of a Dask scheduler whose workers run the trials",
    "resources": "what a Dask worker must have for a trial, e.g. GPU=1",
    "trial_timeout": "seconds after which a trial counts as crashed (default: no limit)",
    "pareto": "seek the whole front of latency and accuracy",
    "recipe": "fixed: trials are tuned as the final comparison is; searched: the optimiser chooses learning rate and decay too",
    "learning_rate": "peak of every tuning (default: chosen by short trainings of the unpruned and of a mildly pruned network)",
    "share": "take over what other campaigns found out about this very network's accuracy",
    "warm_start": "a campaign on this network whose best shapes are tried first, e.g. one over channels before one over bits too",
    "optimizer": "who proposes configurations: smac, or random (screened by known latency) as its honest rival",
    "proof_budget": "epochs of fine-tuning for every network of the final comparison",
    "proof_seeds": "seeds that every network of the final comparison is tuned with; 0 ends the campaign after the search",
    "rival": "a campaign on this network whose recommendation enters the final comparison, e.g. one with --optimizer=random",
    "from_scratch": "also train the chosen network's shape from nothing, as long as the dense network and the fine-tuning together",
    "global_pruning": "also compare with Torch-Pruning's global pruning, by magnitude and by Taylor, cut to the chosen network's latency "
    "(default: where --minutes leaves the time)",
    "max_drop": "points of top-1, or of the task's metric in its own unit, that may be lost on the validation split "
    "(1 where no latency is asked for either)",
    "in_float": "layers that INT8 leaves in float, by comma, as conv1,layer1.0.conv2; by default told by what the dense network loses",
    "keep_slow": "search also in precisions that a look finds slower than f32 on the device",
    "certainty": "probability with which the chosen network's true drop must be at most --max-drop",
    "folds": "folds of training pictures that the finalists may be judged on anew, by networks that never saw them; 0 for none",
    "max_latency_ms": "latency that must be reached, in milliseconds",
    "objective": "what is lowered within --max-drop: latency, or compiled-cost, the cost that the device's own compiler gives, in its own "
    "unit, without the device and measuring nothing (--device=ncs2)",
    "space": "what the optimiser turns: layer (every group), stage, or hier (stages and offsets)",
    "compiled_for": "take the legal widths from this device's own compiler, which needs no device (ncs2); latencies stay those of --device",
    "designs": "designed networks to measure for the latency predictor, when none are stored",
    "learn_from": "benchmark files or campaigns with this network on another device, by comma, from which the predictor starts, "
    "where that helps",
    "max_predictor_error": "mean error of the latency predictor above which the designed networks are measured again, a ratio",
    "rounds": "latency samples of every network in the final comparison",
    "seed": "of the optimiser, the splits' order and the training",
    "name": "of the campaign's folder (default: network-dataset-device, numbered)",
    "reports": "where campaigns and measurements are stored",
}


def parser() -> argparse.ArgumentParser:
    """The whole grammar, with help that shows every default."""
    top = argparse.ArgumentParser(
        prog="python -m search",
        description="Choose how many channels every part of a network keeps, so that it is faster on a device and still accurate.",
        epilog="Without a verb, run is meant: python -m search --network=resnet56. Exit codes: 0 done; 2 the request cannot be met; "
        f"{LIMIT_MISSED} done, but no network found keeps --max-drop on validation: the nearest are reported; 130 interrupted.",
    )
    verbs = top.add_subparsers(dest="verb", metavar="{" + ",".join(VERBS) + "}")
    run = verbs.add_parser(
        "run", help="a new campaign, from the dense network to the report", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    _add_request(run)
    _add_without_device(run)
    fork = verbs.add_parser(
        "fork",
        help="a new campaign from another one's trials, as it but for what is said",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    fork.add_argument("old", metavar="OLD", help="the campaign whose trials are taken over, as far as they still apply")
    _add_request(fork)
    fork.set_defaults(**dict.fromkeys(INHERITED))  # what is not given is that of OLD
    _add_without_device(fork)
    told = verbs.add_parser(
        "explain", help="which part costs what, and what to prune next", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    _add_request(told, EXPLAINED)
    grouped = verbs.add_parser(
        "groups",
        help="which channels and branches can be pruned, and what is left alone",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_request(grouped, GROUPED)
    compare = verbs.add_parser(
        "compare", help="our campaign against other optimisers, on equal trials", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    compare.add_argument(
        "--problem", default="r56", help="r56, r56c, vgg, r20d (synthetic), or stored campaigns by name; several with commas"
    )
    compare.add_argument("--methods", default="espalier,random,uniform", help="also espalier-ladder, -guess, -pareto, smac, optuna-tpe")
    compare.add_argument("--trials", type=option("trials"), default=100, help="trials of every method")
    compare.add_argument("--seeds", type=option("seeds"), default=5, help="seeds of every method, each on its own instance of the problem")
    compare.add_argument("--folder", type=Path, default=Path("reports/compare"), help="where runs, table and plot are stored")
    _add_experiment(verbs.add_parser("experiment", help="the whole experiment: baselines, campaigns, comparisons and one page about them"))
    allow = verbs.add_parser("trust", help="allow code to run that came with a folder, after you have read it")
    allow.add_argument("path", type=Path, metavar="FILE|FOLDER", help="the file, or the campaign's folder that brings it along")
    for one in (fork, told):
        _add_trust(one)
    for verb, text in (
        ("resume", "go on with a campaign that was interrupted; no finished trial is repeated"),
        ("show", "print a finished campaign's comparison from disk"),
        ("report", "write a finished campaign's report.html and report.md again"),
        ("export", "write a campaign's trials as an Optuna study, for optuna-dashboard"),
    ):
        after = verbs.add_parser(verb, help=text)
        after.add_argument("name", metavar="NAME", help="the campaign's folder under reports/campaigns/")
        after.add_argument("--reports", type=Path, default=Path("reports"), help="where campaigns are stored")
        if verb in ("resume", "export"):
            _add_trust(after)
        if verb == "resume":
            _add_request(after, CHANGEABLE)
            _add_without_device(after)
            after.set_defaults(**dict.fromkeys(CHANGEABLE))  # what is not given stays as it was
        if verb == "export":
            after.add_argument("--file", type=Path, help="where the study is written (default: optuna.db in the campaign's folder)")
    return top


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", action="append", help="only this network's study; may be repeated (default: all)")
    parser.add_argument("--dataset", default="fashion-mnist", help=HELP["dataset"])
    parser.add_argument("--data", type=Path, help=HELP["data"])
    parser.add_argument("--device", default="cpu", help=HELP["device"])
    parser.add_argument(
        "--quick", action="store_true", help="every step on digits with the least budgets, in minutes; proves the way, not the point"
    )
    parser.add_argument("--reports", type=Path, help="where everything is stored (default: reports, with --quick reports/quick)")
    instead = parser.add_mutually_exclusive_group()
    _add_without_device(instead)
    instead.add_argument("--pages", action="store_true", help="only write the pages again, about every study that is finished")


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trust", action="store_true", help="run the code that the campaign's folder brings along, and remember that")


def _add_without_device(parser: argparse._ActionsContainer) -> None:
    told = "the device is elsewhere: predict from its stored measurements as they are, tune, and leave measuring to a resume where it is"
    parser.add_argument("--without-device", action="store_true", help=told)


def _add_request(run: argparse.ArgumentParser, names: Sequence[str] = ()) -> None:
    """Add the options of a request, or those of ``names`` only."""
    for field in OPTIONS:
        if names and field.name not in names:
            continue
        kinds: dict[str, Callable[[str], Any]] = {
            "int": whole,
            "int | None": whole,
            "float": number,
            "float | None": number,
            "Path | None": Path,
            "Path": Path,
        }
        kind = kinds.get(str(field.type).removesuffix(" | None"), str)
        word = f"--{field.name.replace('_', '-')}"
        if field.type in ("bool", "bool | None"):
            run.add_argument(word, action=argparse.BooleanOptionalAction, default=field.default, help=HELP[field.name])
        elif field.name == "in_float":
            run.add_argument(word, action=_Joined, default=field.default, help=HELP[field.name])
        else:
            run.add_argument(word, type=_in_one_line(word, kind), default=field.default, help=HELP[field.name])


class _Joined(argparse.Action):
    """Given several times, an option by comma keeps all that was said."""

    def __call__(self, parser: argparse.ArgumentParser, into: argparse.Namespace, given: Any, option: str | None = None) -> None:
        before = getattr(into, self.dest, None)
        setattr(into, self.dest, f"{before},{given}" if before else given)


def _in_one_line(word: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """``read``, whose refusal is a UsageError that names the option, without argparse's page of usage."""

    def given(text: str) -> Any:
        try:
            return read(text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"{word}: {error}") from error

    return given


Words = argparse.Namespace


def parse(words: Sequence[str]) -> Words:
    """Parse the words, with ``run`` where no verb stands; argparse itself exits with 2 on grammar."""
    given = list(words)
    if not given or (given[0] not in VERBS and given[0] not in ("-h", "--help")):
        given.insert(0, "run")
    return parser().parse_args(given)


def changed(old: Request, arguments: Words) -> Request:
    """A resumed campaign's request with what the command line gives anew; UsageError as for ``request``.

    A cluster takes the place of local workers, and the other way round. The dense network is in the campaign's folder: it may go on where
    the file that it was started with is not.
    """
    given = {name: getattr(arguments, name) for name in CHANGEABLE if getattr(arguments, name, None) is not None}
    if "dask" in given:
        given.setdefault("workers", 1)
    elif given.get("workers", 1) > 1:
        given["dask"] = None
    return checked(replace(old, **given))


def left_open(arguments: Words) -> tuple[str, ...]:
    """What a fork takes over of its campaign, for the command line does not say it."""
    left = tuple(name for name in INHERITED if getattr(arguments, name) is None)
    return left if arguments.task is None else tuple(name for name in left if name != "dataset")  # which follows from the task


def request(arguments: Words) -> Request:
    """A checked request; UsageError for a number or a name that makes no sense, or weights that are missing, before anything is loaded."""
    known = [field.name for field in fields(Request) if hasattr(arguments, field.name)]
    asked = checked(Request(**{name: given for name in known if (given := getattr(arguments, name)) is not None}))
    if asked.weights is not None and not (asked.weights.is_file() or Path(str(asked.weights).rpartition("#")[0]).is_file()):
        raise UsageError(f"--weights={asked.weights}: no such file; give a safetensors file or a state dict")
    return asked
