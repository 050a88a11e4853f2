"""What a campaign was asked for, and the name of its folder."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from harness.errors import UsageError
from harness.networks.pictures import preparing
from harness.networks.pictures.preparing import Preparation

PRECISIONS = ("f32", "bf16", "f16", "int8")
QUANTISED = "int8"
OWN = "task:"  # how the dataset of a user's own task begins (``harness.networks.datasets``)
DEFAULT_DROP_POINTS = 1.0  # when neither a drop nor a latency is asked for


@dataclass(frozen=True)
class Request:
    """A campaign as it was asked for; every field is an option of ``python -m search run``, but ``old``: fork's campaign."""

    device: str = "cpu"
    network: str = "resnet20"
    dataset: str = "digits"
    task: str | None = None
    data: Path | None = None
    weights: Path | None = None
    validation_from: str | None = None
    channels: int | None = None
    input_shape: str | None = None
    input_size: str | None = None
    resize: str | None = None
    mean: str | None = None
    std: str | None = None
    dense_epochs: float | None = None
    dense_learning_rate: float | None = None
    chance_margin: float = 0.1
    precision: str = "f32"
    keep_slow: bool = False
    in_float: str | None = None
    trials: int = 20
    budget: float = 4.0
    short: float | None = None
    screen: bool = False
    hours: float | None = None
    minutes: float | None = None
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
    global_pruning: bool | None = None
    max_drop: float | None = None
    max_latency_ms: float | None = None
    certainty: float = 0.9
    folds: int = 4
    pareto: bool = False
    recipe: str = "fixed"
    learning_rate: float | None = None
    share: bool = True
    warm_start: str | None = None
    objective: str = "latency"
    space: str = "layer"
    compiled_for: str | None = None
    designs: int = 150
    learn_from: str | None = None
    max_predictor_error: float = 0.03
    rounds: int = 1500
    seed: int = 0
    name: str | None = None
    reports: Path = Path("reports")
    old: str | None = None

    @property
    def command(self) -> str:
        """The command line that asks for the same, without what equals the default; of a fork all, for it inherits the rest."""
        words = ["python", "-m", "search", *(("run",) if self.old is None else ("fork", self.old))]
        for field in OPTIONS:
            chosen = getattr(self, field.name)
            if field.name == "dataset" and self.task is not None and self.own_task:
                continue  # it follows from the task
            word = field.name.replace("_", "-")
            if isinstance(chosen, bool):
                words += [] if chosen == field.default and self.old is None else [f"--{word}" if chosen else f"--no-{word}"]
            elif chosen is not None and (chosen != field.default or (self.old is not None and field.name not in ("name", "reports"))):
                words += [f"--{word}", str(chosen)]
        return shlex.join(words)

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """Every option with its setting, for the campaign's first lines and its report."""
        told = tuple((f"--{field.name.replace('_', '-')}", str(getattr(self, field.name))) for field in OPTIONS)
        return told if self.old is None else (("fork of", self.old), *told)

    @property
    def own_task(self) -> str:
        """The name of the user's own task, ``file.py:task``; empty where pictures are classified or segmented."""
        return self.dataset.removeprefix(OWN) if self.dataset.startswith(OWN) else ""

    @property
    def drop_limit_points(self) -> float | None:
        """Points of the metric, in its own unit, that may be lost; None where only a latency was asked for."""
        return DEFAULT_DROP_POINTS if self.max_drop is None and self.max_latency_ms is None else self.max_drop

    @property
    def precisions(self) -> tuple[str, ...]:
        """What networks may run in, the one that speed-ups are counted from first.

        INT8 comes with f32, beside which every trial is judged anyway; several with it too, for they are compared with it.
        """
        asked = tuple(dict.fromkeys(part.strip() for part in self.precision.split(",")))
        return asked if len(asked) == 1 and asked != (QUANTISED,) else tuple(dict.fromkeys(("f32", *asked)))

    @property
    def layers_in_float(self) -> tuple[str, ...]:
        """What INT8 leaves in float; nothing where nobody said so, nor measuring did."""
        return tuple(dict.fromkeys(part.strip() for part in (self.in_float or "").split(",") if part.strip()))

    @property
    def preparation(self) -> Preparation:
        """What pictures are brought to; UsageError for what cannot be meant. A request of before that was asked for has them at 32 x 32."""
        return preparing.of_words(self.input_shape, self.channels, self.resize, self.mean, self.std)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes of pictures (``HxW``) among which the search chooses, the full one first; none where there is but one.

        The full one, from which speed-ups and drops are counted, is ``input_shape``'s, named among them or not.
        """
        full = self.preparation.size
        named = () if self.input_size is None else preparing.parsed_sizes(self.input_size)
        found = tuple(dict.fromkeys((full, *named)))
        return found if len(found) > 1 else ()

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


def folder_name(name: str) -> str:
    """A campaign's name that is one plain folder name; UsageError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name):
        raise UsageError(f"campaign name {name!r}: give letters, digits, '.', '_', '+' and '-' only, without a path separator")
    return name
