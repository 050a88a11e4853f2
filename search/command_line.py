"""The words of ``python -m search``: parser, defaults, and the checks that need nothing but the words."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from harness.errors import UsageError
from search.space.goals import Goal

VERBS = ("run", "resume", "show", "report", "fork", "export", "explain", "compare", "experiment")
EXPLAINED = (
    "device",
    "network",
    "dataset",
    "data",
    "weights",
    "validation_from",
    "channels",
    "precision",
    "designs",
    "name",
    "reports",
)  # a campaign's options that explain takes
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
)
MAX_DROP_POINTS = 100.0
LIMIT_MISSED = 3  # exit code: the campaign went to its end, and nothing found keeps the largest drop that was allowed
DEFAULT_DROP_POINTS = 1.0  # when neither a drop nor a latency is asked for


@dataclass(frozen=True)
class Request:
    """A campaign as it was asked for; every field is an option of ``python -m search run``, but ``old``: fork's campaign."""

    device: str = "cpu"
    network: str = "resnet20"
    dataset: str = "digits"
    data: Path | None = None
    weights: Path | None = None
    validation_from: str | None = None
    channels: int | None = None
    precision: str = "f32"
    trials: int = 20
    budget: float = 4.0
    short: float | None = None
    screen: bool = False
    hours: float | None = None
    patience: int = 0
    finalists: int = 5
    workers: int = 1
    dask: str | None = None
    resources: str | None = None
    trial_timeout: float | None = None
    optimizer: str = "smac"
    proof_budget: float = 4.0
    proof_seeds: int = 1
    rival: str | None = None
    from_scratch: bool = False
    max_drop: float | None = None
    max_latency_ms: float | None = None
    pareto: bool = False
    recipe: str = "fixed"
    learning_rate: float | None = None
    share: bool = True
    space: str = "layer"
    compiled_for: str | None = None
    designs: int = 150
    rounds: int = 1500
    seed: int = 0
    name: str | None = None
    reports: Path = Path("reports")
    old: str | None = None

    @property
    def command(self) -> str:
        """The command line that asks for the same, without what equals the default."""
        words = ["python", "-m", "search", *(("run",) if self.old is None else ("fork", self.old))]
        for field in OPTIONS:
            chosen = getattr(self, field.name)
            word = field.name.replace("_", "-")
            if isinstance(chosen, bool):
                words += [] if chosen == field.default else [f"--{word}" if chosen else f"--no-{word}"]
            elif chosen != field.default and chosen is not None:
                words += [f"--{word}", str(chosen)]
        return shlex.join(words)

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """Every option with its setting, for the campaign's first lines and its report."""
        told = tuple((f"--{field.name.replace('_', '-')}", str(getattr(self, field.name))) for field in OPTIONS)
        return told if self.old is None else (("fork of", self.old), *told)

    @property
    def drop_limit_points(self) -> float | None:
        """Points of top-1 that may be lost; None where only a latency was asked for."""
        return DEFAULT_DROP_POINTS if self.max_drop is None and self.max_latency_ms is None else self.max_drop

    @property
    def goal(self) -> Goal:
        """What the optimiser seeks."""
        return Goal(self.drop_limit_points, self.max_latency_s, self.pareto)

    @property
    def max_latency_s(self) -> float | None:
        """The latency asked for, in seconds."""
        return None if self.max_latency_ms is None else self.max_latency_ms * 1e-3

    @property
    def search_epochs(self) -> float:
        """Epochs of the search's own trials."""
        return self.budget if self.short is None else self.short

    @property
    def lengths(self) -> tuple[float, ...]:
        """Epochs of every kind of trial, full length first."""
        return self.budget, self.search_epochs, *((0.0,) if self.screen else ())

    @property
    def campaigns(self) -> Path:
        """The folder of all campaigns."""
        return self.reports / "campaigns"


OPTIONS = tuple(field for field in fields(Request) if field.name != "old")
HELP = {
    "device": "where latency counts: a table [tool.espalier.devices.NAME] of pyproject.toml",
    "network": "resnet20/32/44/56, mobilenetv2, torchvision:NAME, or path/to/file.py:factory",
    "dataset": "digits, fashion-mnist, cifar10, or imagefolder:PATH",
    "data": "where the dataset lies, for those that are not installed",
    "weights": "trained dense network (safetensors, or a state dict); without it, the network is trained once and cached",
    "validation_from": "split that missing validation pictures are cut from: train or test (default: test for --weights from elsewhere)",
    "channels": "of the pictures: 1 grey, 3 RGB (default: what the network or its weights can take, else the pictures' own)",
    "precision": "what the device computes in: f32, bf16, f16; the effective one is recorded",
    "trials": "configurations to try",
    "budget": "epochs of fine-tuning in a trial, best as many as --proof-budget; 0 only recalibrates batch norm",
    "short": "epochs of the search's own trials, of which the best are promoted to --budget (default: all at --budget)",
    "screen": "judge every proposal with recalibrated batch norm first, and tune only those that have a chance",
    "hours": "stop asking after that long, interruptions not counted (default: no limit)",
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
    "optimizer": "who proposes configurations: smac, or random (screened by known latency) as its honest rival",
    "proof_budget": "epochs of fine-tuning for every network of the final comparison",
    "proof_seeds": "seeds that every network of the final comparison is tuned with; 0 ends the campaign after the search",
    "rival": "a campaign on this network whose recommendation enters the final comparison, e.g. one with --optimizer=random",
    "from_scratch": "also train the chosen network's shape from nothing, as long as the dense network and the fine-tuning together",
    "max_drop": "points of top-1 on the validation split that may be lost (1 where no latency is asked for either)",
    "max_latency_ms": "latency that must be reached, in milliseconds",
    "space": "what the optimiser turns: layer (every group), stage, or hier (stages and offsets)",
    "compiled_for": "take the legal widths from this device's own compiler, which needs no device (ncs2); latencies stay those of --device",
    "designs": "designed networks to measure for the latency predictor, when none are stored",
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
        "fork", help="a new campaign from another one's trials, with other settings", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    fork.add_argument("old", metavar="OLD", help="the campaign whose trials are taken over, as far as they still apply")
    _add_request(fork)
    _add_without_device(fork)
    told = verbs.add_parser(
        "explain", help="which part costs what, and what to prune next", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    _add_request(told, EXPLAINED)
    compare = verbs.add_parser(
        "compare", help="our campaign against other optimisers, on equal trials", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    compare.add_argument("--problem", default="r56", help="synthetic problems with known optimum: r56, r56c, vgg; several with commas")
    compare.add_argument("--methods", default="espalier,random,uniform", help="also espalier-pareto, smac, optuna-tpe, -gp, -nsga2")
    compare.add_argument("--trials", type=int, default=100, help="trials of every method")
    compare.add_argument("--seeds", type=int, default=5, help="seeds of every method, each on its own instance of the problem")
    compare.add_argument("--folder", type=Path, default=Path("reports/compare"), help="where runs, table and plot are stored")
    _add_experiment(verbs.add_parser("experiment", help="the whole experiment: baselines, campaigns, comparisons and one page about them"))
    for verb, text in (
        ("resume", "go on with a campaign that was interrupted; no finished trial is repeated"),
        ("show", "print a finished campaign's comparison from disk"),
        ("report", "write a finished campaign's report.html and report.md again"),
        ("export", "write a campaign's trials as an Optuna study, for optuna-dashboard"),
    ):
        after = verbs.add_parser(verb, help=text)
        after.add_argument("name", metavar="NAME", help="the campaign's folder under reports/campaigns/")
        after.add_argument("--reports", type=Path, default=Path("reports"), help="where campaigns are stored")
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
    _add_without_device(parser)


def _add_without_device(parser: argparse.ArgumentParser) -> None:
    told = "the device is elsewhere: predict from its stored measurements as they are, tune, and leave measuring to a resume where it is"
    parser.add_argument("--without-device", action="store_true", help=told)


def _add_request(run: argparse.ArgumentParser, names: Sequence[str] = ()) -> None:
    """Add the options of a request, or those of ``names`` only."""
    for field in OPTIONS:
        if names and field.name not in names:
            continue
        kinds = {"int": int, "int | None": int, "float": float, "float | None": float, "Path | None": Path, "Path": Path}
        kind = kinds.get(str(field.type), str)
        word = f"--{field.name.replace('_', '-')}"
        if field.type == "bool":
            run.add_argument(word, action=argparse.BooleanOptionalAction, default=field.default, help=HELP[field.name])
        else:
            run.add_argument(word, type=kind, default=field.default, help=HELP[field.name])


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


def request(arguments: Words) -> Request:
    """A checked request; UsageError for a number or a name that makes no sense, or weights that are missing, before anything is loaded."""
    asked = checked(Request(**{field.name: getattr(arguments, field.name) for field in fields(Request) if hasattr(arguments, field.name)}))
    if asked.weights is not None and not asked.weights.is_file():
        raise UsageError(f"--weights={asked.weights}: no such file; give a safetensors file or a state dict")
    return asked


def checked(asked: Request) -> Request:
    """The same request; UsageError for a number or a name that makes no sense."""
    checks = (
        (asked.trials < 1, f"--trials={asked.trials}: give at least 1"),
        (
            asked.validation_from not in (None, "train", "test"),
            f"--validation-from={asked.validation_from}: choose train or test",
        ),
        (asked.channels not in (None, 1, 3), f"--channels={asked.channels}: choose 1 or 3"),
        (asked.finalists < 0, f"--finalists={asked.finalists}: give 0 or more"),
        (asked.budget < 0 or asked.budget != asked.budget, f"--budget={asked.budget}: give 0 or more epochs"),
        (asked.proof_budget < 0 or asked.proof_budget != asked.proof_budget, f"--proof-budget={asked.proof_budget}: give 0 or more epochs"),
        (
            asked.max_drop is not None and not 0 <= asked.max_drop <= MAX_DROP_POINTS,
            f"--max-drop={asked.max_drop}: give points of top-1 between 0 and {MAX_DROP_POINTS:g}",
        ),
        (asked.max_latency_ms is not None and not asked.max_latency_ms > 0, f"--max-latency-ms={asked.max_latency_ms}: give more than 0"),
        (asked.designs < 1, f"--designs={asked.designs}: give at least 1"),
        (asked.rounds < 1, f"--rounds={asked.rounds}: give at least 1"),
        (
            asked.learning_rate is not None and not 0 < asked.learning_rate <= 100,
            f"--learning-rate={asked.learning_rate}: give more than 0, at most 100",
        ),
        (asked.recipe not in ("fixed", "searched"), f"--recipe={asked.recipe}: choose fixed or searched"),
        (
            asked.short is not None and not 0 <= asked.short < asked.budget,
            f"--short={asked.short}: give less than --budget={asked.budget:g}",
        ),
        (
            asked.screen and not (asked.budget if asked.short is None else asked.short),
            "--screen: trials without epochs need no screen; leave it out",
        ),
        (asked.hours is not None and not asked.hours > 0, f"--hours={asked.hours}: give more than 0"),
        (
            asked.trial_timeout is not None and not asked.trial_timeout > 0,
            f"--trial-timeout={asked.trial_timeout}: give more than 0 seconds",
        ),
        (asked.patience < 0, f"--patience={asked.patience}: give 0 or more"),
        (asked.workers < 1, f"--workers={asked.workers}: give at least 1"),
        (asked.dask is not None and asked.workers > 1, "--dask and --workers: choose one; the cluster decides how many trials run at once"),
        (asked.optimizer not in ("smac", "random"), f"--optimizer={asked.optimizer}: choose smac or random"),
        (asked.proof_seeds < 0, f"--proof-seeds={asked.proof_seeds}: give 0 or more"),
        (asked.seed < 0, f"--seed={asked.seed}: give 0 or more"),
        (asked.space not in ("layer", "stage", "hier"), f"--space={asked.space}: choose one of layer, stage, hier"),
    )
    for wrong, message in checks:
        if wrong:
            raise UsageError(message)
    if asked.name is not None:
        folder_name(asked.name)
    return asked


def folder_name(name: str) -> str:
    """A campaign's name that is one plain folder name; UsageError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name):
        raise UsageError(f"campaign name {name!r}: give letters, digits, '.', '_', '+' and '-' only, without a path separator")
    return name
