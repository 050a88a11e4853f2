"""A task of the user's own, ``path/to/file.py:task``: its loss, its metric and its data, whatever its networks answer.

The object behind the name, or what a class or function of that name makes without arguments, has

``loss(outputs, targets)``: a scalar that a network is trained by;
``metric(outputs, targets)``: a number for all pictures together, or one for every picture (``N``) whose mean is the metric;
``data()``: training, validation and test pictures: three pairs of tensors ``(images N x C x H x W, targets)``, or three sequences or
loaders of ``(image, target)``, which ``collate(targets)`` makes a tensor of where they are of different shapes;

and, where the usual does not suit: ``classes`` (1), ``name`` and ``unit`` of the metric (``score``, ``points``), ``per_unit`` (how much of
the metric one unit is, 0.01), ``better_is_higher`` (True), ``chance`` (what a network that learnt nothing reaches), ``epochs`` (30),
``learning_rate`` (0.05) and ``batch_size`` (16) of the dense training, ``imitation(outputs, teachers)`` (the loss against a teacher's
outputs; none), and ``outputs`` (one sentence on what they mean).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import HarnessError, UsageError, one_line
from harness.networks.own import source
from harness.networks.tasks.sampling import by_leaving_out
from harness.networks.tasks.task import Chance, Outputs, Scores, Seen, Training, parts
from harness.records.metric import POINTS, Metric

NEEDED = ("loss", "metric", "data")
ANSWERS_TRIED = 3  # a network's, and noise of two sizes
ASKED_AT_ONCE = 1000  # pictures, whose outputs lie in memory together


@dataclass(frozen=True, eq=False)
class OwnTask:
    """The task behind ``name``, read anew from its file in every process."""

    name: str
    file: source.Source = field(repr=False)
    made: Any = field(repr=False)

    @classmethod
    def of(cls, name: str) -> OwnTask:
        """UsageError, one line, for a file that is not there, fails, or gives no whole task."""
        return cls._made(name, source.find(name))

    @classmethod
    def _made(cls, name: str, file: source.Source) -> OwnTask:
        found = source.named(file)
        if isinstance(found, type) or (callable(found) and not hasattr(found, "loss")):
            with source.telling(f"{file.path}:{file.factory}"):
                found = found()
        lacking = [word for word in NEEDED if not callable(getattr(found, word, None))]
        if lacking:
            raise UsageError(
                f"{file.path}:{file.factory} gives no {' and no '.join(lacking)}; a task has the functions loss, metric and data"
            )
        made = cls(name, file, found)
        _ = made.metric, made.training, made.classes  # which refuse what cannot be meant
        return made

    def __reduce__(self) -> tuple[Callable[..., OwnTask], tuple[object, ...]]:
        return OwnTask._made, (self.name, self.file)

    @property
    def metric(self) -> Metric:
        """As the file calls and counts it."""
        name, unit = (str(self._told(key, usual)) for key, usual in (("name", "score"), ("unit", POINTS)))
        try:
            return Metric(name, unit, self._number("per_unit", 0.01), bool(self._told("better_is_higher", True)))
        except HarnessError as error:
            raise UsageError(f"{self.name}: {error}") from error

    @property
    def training(self) -> Training:
        """As the file says, and usual for small data where it does not. Only the file knows how targets move: pictures stay as they are."""
        epochs, rate, batch = (self._number(key, usual) for key, usual in (("epochs", 30), ("learning_rate", 0.05), ("batch_size", 16)))
        return Training(epochs, rate, max(2, int(batch)), moves=False, imitates=callable(self._told("imitation", None)), smooths=False)

    @property
    def classes(self) -> int:
        """What a factory is told."""
        return max(1, int(self._number("classes", 1)))

    @property
    def outputs_told(self) -> str:
        """In the file's words."""
        told = self._told("outputs", None)
        return one_line(str(told)) if isinstance(told, str) else f"what metric(outputs, targets) of {self.file.path.name} reads"

    def fits(self, outputs: Outputs, input_shape: tuple[int, int, int], classes: int) -> str:
        """Any tensors do: the file's own loss says what it cannot read."""
        return "answers no tensor; return one, or several" if isinstance(outputs, tuple) and not outputs else ""

    def loss(self, outputs: Outputs, targets: Tensor, smoothing: float) -> Tensor:
        """The file's own; UsageError where it is no scalar, or fails."""
        with self._telling("loss"):
            return self._number_of("loss", self.made.loss(outputs, targets), outputs)

    def imitation(self, outputs: Outputs, taught: Tensor, heat: float) -> Tensor:
        """The file's own, which softens as it likes."""
        with self._telling("imitation"):
            return self._number_of("imitation", self.made.imitation(outputs, taught), outputs)

    def seen(self, outputs: Outputs, targets: Tensor) -> Seen:
        """All of it: only the file knows what its metric needs."""
        each = (outputs,) if isinstance(outputs, Tensor) else outputs
        return (*each, targets)

    def scores(self, seen: Seen) -> Scores:
        """The file's own for every picture, or by leaving pictures out where it is one for all."""
        targets, metric, figures = seen[-1], self.metric, self._figures(seen)
        if figures.ndim == 0:
            figures = by_leaving_out(lambda rows: float(self._metric(_rows(seen, rows)).reshape(())), len(targets))
        if not np.isfinite(figures).all():
            raise UsageError(
                f"metric of {self.name} is no number for {int((~np.isfinite(figures)).sum())} of {len(targets)} pictures; mend it"
            )
        return np.asarray([metric.ratio(one) for one in figures.tolist()], np.float64)

    def rehearse(self, outputs: Outputs, targets: Tensor) -> None:
        """Ask for everything once, of outputs that lead back to a network's weights, before anything is trained; UsageError, one line.

        A metric may be no number here, of a network that learnt nothing.
        """
        before = targets.clone()
        loss = float(self.loss(outputs, targets, 0.0).detach())
        if not math.isfinite(loss):
            raise UsageError(f"loss of {self.name} is {loss} before anything is trained; mend it")
        if self.training.imitates and isinstance(outputs, Tensor):
            self.imitation(outputs, outputs.detach(), 1.0)
        with torch.no_grad():
            self._figures(self.seen(outputs, targets))
        if not torch.equal(targets, before):
            raise UsageError(f"loss or metric of {self.name} changes the targets that it is given; let it work on a copy (clone)")
        self.chance(targets, self.classes)

    def refuse_pictures(self, outputs: Outputs, targets: Tensor, split: str) -> None:
        """UsageError where the metric is no number for a picture of ``split`` whatever is answered, before anything is trained.

        outputs: a network's for a few pictures. They are taken for all, then noise is: of a network that learnt nothing a metric may well
        be no number, but not of every answer. Of a metric of all pictures together only what holds of every part of them says anything.
        """
        parted = [self._never(outputs, part) for part in torch.split(targets, ASKED_AT_ONCE)]
        bad = np.concatenate([found for found, _ in parted])
        if not bad.any() or (any(is_one for _, is_one in parted) and not bad.all()):
            return
        which = f"{int(bad.sum())} of {len(bad)}" if not bad.all() else f"the {len(bad)}"
        raise UsageError(
            f"metric of {self.name} is no number for {which} {split} pictures, whatever the network answers (number {int(bad.argmax())}, "
            "counted from 0, is the first); give a number for every picture, also where there is nothing to find"
        )

    def _never(self, outputs: Outputs, targets: Tensor) -> tuple[NDArray[np.bool_], bool]:
        """Of which of these pictures the metric is no number, by no answer; and whether it is one number for all of them."""
        bad, is_one = np.ones(len(targets), bool), False
        for turn in range(ANSWERS_TRIED):
            try:
                figures = self._figures(self.seen(_stand_in(outputs, len(targets), turn), targets))
            except UsageError:
                if turn == 0:
                    raise
                return np.zeros(len(targets), bool), is_one  # noise need not look like a network's answer
            bad, is_one = bad & ~np.isfinite(figures), figures.ndim == 0
            if not bad.any():
                break
        return bad, is_one

    def graded(self, outputs: Outputs, targets: Tensor) -> float:
        """exp(-loss): between 0 and 1 for losses that are none below 0, and finer than the metric."""
        return math.exp(-max(0.0, float(self.loss(outputs, targets, 0.0))))

    def agreement(self, ours: Outputs, theirs: Outputs) -> float | None:
        """Nobody knows what an answer is."""
        return None

    def chance(self, targets: Tensor, classes: int) -> Chance | None:
        """As the file says, where it does, for a metric of which it is known what is best."""
        if self._told("chance", None) is None or not (self.metric.is_share or not self.metric.better_is_higher):
            return None
        best = 1.0 if self.metric.better_is_higher else 0.0
        return Chance(self.metric.ratio(self._number("chance", 0.0)), best, "having learnt nothing, by the task's own word")

    def _number_of(self, what: str, found: object, outputs: Outputs) -> Tensor:
        if not isinstance(found, Tensor) or found.numel() != 1:
            raise UsageError(f"{what} of {self.name} returned {_kind(found)}; return one number as a tensor")
        trained = torch.is_grad_enabled() and any(one.requires_grad for one in ((outputs,) if isinstance(outputs, Tensor) else outputs))
        if trained and not found.requires_grad:
            raise UsageError(
                f"{what} of {self.name} returned a number that does not lead back to the outputs; compute it from them, without detach, "
                "argmax or numpy"
            )
        return found.reshape(())

    def _figures(self, seen: Seen) -> NDArray[np.float64]:
        """One for all pictures (no dimension), or one for every picture; UsageError for anything else."""
        found, pictures = self._metric(seen), len(seen[-1])
        if found.shape not in ((), (pictures,)):
            raise UsageError(
                f"metric of {self.name} returned numbers of shape {found.shape} for {pictures} pictures; return one number, or one for "
                "every picture"
            )
        return found

    def _metric(self, seen: Seen) -> NDArray[np.float64]:
        *each, targets = seen
        with self._telling("metric"), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means of nothing, asked for hundreds of times while pictures are left out
            found = self.made.metric(parts(each), targets)
            return np.asarray(found.detach().cpu().numpy() if isinstance(found, Tensor) else found, np.float64)

    def _told(self, key: str, usual: object) -> object:
        with self._telling(key):
            return getattr(self.made, key, usual)

    def _number(self, key: str, usual: float) -> float:
        found = self._told(key, usual)
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found) or (found <= 0 and key != "chance"):
            raise UsageError(f"{key} of {self.name} is {found!r}; give a number above 0")
        return float(found)

    def _telling(self, what: str) -> Any:
        return source.telling(f"{what} of {self.file.path}:{self.file.factory}")


def _rows(seen: Seen, rows: NDArray[np.int64]) -> Seen:
    chosen = torch.from_numpy(rows)
    return tuple(one[chosen] for one in seen)


def _stand_in(outputs: Outputs, count: int, turn: int) -> Outputs:
    """Answers to ``count`` pictures: in the first turn those of a few, over and over, then noise, ever wider."""
    noise = torch.Generator().manual_seed(turn)

    def each(few: Tensor) -> Tensor:
        rows = few.detach()[torch.arange(count) % len(few)]
        return rows if turn == 0 or not few.is_floating_point() else 3.0**turn * torch.randn(rows.shape, generator=noise, dtype=few.dtype)

    return each(outputs) if isinstance(outputs, Tensor) else tuple(map(each, outputs))


def _kind(found: object) -> str:
    return f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
