"""When and how much: one-shot and gradual schedules, and Distiller's YAML schedules as a PruningConfig plus a training plan.

.. [Zhu2017] M. Zhu, S. Gupta, To prune, or not to prune, NIPS workshop 2017, arXiv 1710.01878.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import PruningError, UsageError
from harness.files import reading
from harness.pruning.schedule_classes import CLASSES, RATE, REMOVES, THINS, TRAINS, ZEROES
from harness.pruning.schedule_text import Component, Document, Policy, parse
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.pruning_config import PruningConfig

SCHEDULES = Path(__file__).parent / "schedules"
_OUTPUTS = ("Filters", "3D")
_INPUTS = ("Channels",)
_FOLDABLE = ("l1", "l2")  # rankings of weights; of statistics, folding changes nothing


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a schedule and what becomes of it. effect: ``removes channels``, ``changes no latency``, ..."""

    name: str
    class_name: str
    effect: str
    detail: str


@dataclass(frozen=True, slots=True)
class LearningRate:
    """A learning-rate schedule, updated after every ``frequency``-th epoch of ``[start, end)``; base rate elsewhere."""

    class_name: str
    arguments: tuple[tuple[str, Any], ...]
    start: int
    end: int
    frequency: int = 1

    def at(self, epoch: int, base: float) -> float:
        """The learning rate during ``epoch`` (0-based) when the optimiser began with ``base``."""
        updates = range(self.start, min(epoch, self.end), self.frequency)
        return _rate(self.class_name, dict(self.arguments), updates[-1] + 1, base) if updates else base


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule read for one network. config: what stays in the end. criterion: how channels are ranked.

    last_epoch: where the last policy ends.
    """

    config: PruningConfig
    criterion: str
    parts: tuple[Part, ...]
    learning_rates: tuple[LearningRate, ...]
    last_epoch: int


@dataclass(frozen=True, slots=True)
class NamedConfig:
    """A published configuration. source: the paper or project and its numbers."""

    name: str
    config: PruningConfig
    source: str
    criterion: str = "l1"


def agp_sparsity(initial: float, final: float, step: int, steps: int) -> float:
    """Sparsity after ``step`` of ``steps`` equal intervals, [Zhu2017]_ eq. 1: s_f + (s_i - s_f) (1 - t/n)^3."""
    if not 0 <= initial < final <= 1:
        raise UsageError(f"gradual pruning goes up from {initial} to {final}; give 0 <= initial < final <= 1")
    if not 0 <= step <= steps or steps < 1:
        raise UsageError(f"step {step} of {steps} is none; give 0 <= step <= steps, and at least one step")
    return final + (initial - final) * (1 - step / steps) ** 3


def off_the_shelf(architecture: Architecture) -> tuple[NamedConfig, ...]:
    """The published configurations of this network, by name; empty when none was published for it."""
    found = []
    for path in sorted(SCHEDULES.glob("*.yaml")):
        document = parse(path.read_text(), path.name)
        if document.network == architecture.network:
            schedule = read_schedule(path, architecture)
            found.append(NamedConfig(path.stem.split("-", 1)[1], schedule.config, document.source, schedule.criterion))
    return tuple(found)


def read_schedule(path: Path, architecture: Architecture) -> Schedule:
    """Read a Distiller YAML schedule for ``architecture``; UsageError, UnknownName or PruningError for what does not fit."""
    if not path.is_file():
        raise UsageError(f"there is no schedule {path}; give the path of a YAML file")
    try:
        document = parse(reading.text(path), path.name)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as text ({error}); give a YAML file") from error
    reader = _Reader(document, architecture)
    widths = reader.widths()
    config = PruningConfig.of(architecture.network, widths)
    architecture.check(config)
    ends = [policy.epochs[-1] + 1 for policy in document.policies]
    return Schedule(config, reader.criterion(), reader.parts(), reader.learning_rates(), max(ends, default=0))


class _Reader:
    """Replays a document's policies epoch by epoch on channel counts, as Distiller's scheduler replays them on tensors."""

    def __init__(self, document: Document, architecture: Architecture) -> None:
        self.document = document
        self.architecture = architecture
        self.sites = {site.name: site for site in architecture.layers}
        self.notes: dict[str, str] = {}
        self.thins = any(CLASSES[policy.component.class_name].effect == THINS for policy in document.policies)

    def widths(self) -> dict[str, int]:
        """Channels of every group after the last epoch."""
        for component in self.document.components:
            for weight in component.named():
                self._layer(component, weight)
        widths = {group.name: group.channels for group in self.architecture.groups}
        zero: dict[str, int] = {}
        targets = {component.name: self._target_groups(component) for component in self._removing()}
        for epoch, policy in _events(self.document):
            kind = CLASSES[policy.component.class_name]
            if kind.effect == THINS:
                widths = {name: width - zero.pop(name, 0) for name, width in widths.items()}
            elif policy.component.name in targets:
                sparsity = _sparsity(policy, epoch)
                for group in targets[policy.component.name]:
                    zero[group.name] = _count(sparsity, widths[group.name], group.step)
        return {name: width - zero.get(name, 0) for name, width in widths.items()}

    def criterion(self) -> str:
        """The ranking that the schedule's removing parts share, of folded weights where they ask for it; l1 where it removes nothing."""
        found = sorted({CLASSES[component.class_name].criterion for component in self._removing()})
        if len(found) > 1:
            raise PruningError(f"the schedule ranks by {' and '.join(found)}; split it, one criterion each")
        ranked = found[0] if found else "l1"
        return f"{ranked}-folded" if ranked in _FOLDABLE and self._folds_batch_norm() else ranked

    def parts(self) -> tuple[Part, ...]:
        """Every component of the schedule with what we do with it, in the document's order."""
        used = {policy.component.name for policy in self.document.policies}
        return tuple(self._part(component, component.name in used) for component in self.document.components)

    def learning_rates(self) -> tuple[LearningRate, ...]:
        """The schedule's learning-rate policies that have a closed form."""
        return tuple(
            LearningRate(policy.component.class_name, policy.component.arguments, policy.epochs[0], policy.epochs[-1] + 1, policy.step)
            for policy in self.document.policies
            if CLASSES[policy.component.class_name].effect == RATE
        )

    def _removing(self) -> list[Component]:
        """Scheduled components that remove whole channels."""
        used = {policy.component.name for policy in self.document.policies}
        return [component for component in self.document.components if component.name in used and self._effect(component) == REMOVES]

    def _folds_batch_norm(self) -> bool:
        """Whether a removing policy asks for weights with the batch norm folded in."""
        removing = {component.name for component in self._removing()}
        return any(policy.component.name in removing and dict(policy.arguments).get("fold_batchnorm") for policy in self.document.policies)

    def _effect(self, component: Component) -> str:
        effect = CLASSES[component.class_name].effect
        if effect == REMOVES and component.get("group_type") not in (*_OUTPUTS, *_INPUTS):
            return ZEROES
        return effect

    def _part(self, component: Component, used: bool) -> Part:
        kind = CLASSES[component.class_name]
        effect = self._effect(component)
        detail = kind.why
        if effect == ZEROES and kind.effect == REMOVES:
            detail = f"zeroes {component.get('group_type')}: the tensor keeps its shape"
        elif effect == REMOVES:
            by_us = "" if self.thins else "the schedule only zeroes them, we remove them"
            detail = "; ".join(text for text in (self.notes.get(component.name, ""), by_us, kind.why) if text)
        elif effect == TRAINS and kind.section == "pruners":
            detail = f"{kind.why}; it removes nothing"
        if not used:
            return Part(component.name, component.class_name, "nothing", "no policy schedules it")
        return Part(component.name, component.class_name, effect, detail)

    def _target_groups(self, component: Component) -> list[ChannelGroup]:
        """The groups whose channels a component removes; all coupled layers must be named, as one alone cannot shrink."""
        names = [self._layer(component, weight) for weight in component.weights()]
        by_output = component.get("group_type") in _OUTPUTS
        found: dict[str, ChannelGroup] = {}
        for name in names:
            group = self._output_group(component, name) if by_output else self._input_group(component, name)
            needed = self._producers(group) if by_output else self._consumers(group)
            missing = [layer for layer in needed if layer not in names]
            if missing:
                raise PruningError(
                    f"{component.name} names {name} but not {', '.join(missing)}, which share its channels: one alone cannot shrink; "
                    "name them all or none"
                )
            found[group.name] = group
        counts = ", ".join(f"{group.name} ({group.channels})" for group in found.values())
        coupled = "; coupled layers get one common index set" if any(len(self._producers(group)) > 1 for group in found.values()) else ""
        ranked = "" if by_output else "; ranked by the filters that make these inputs"
        self.notes[component.name] = f"of {counts}{coupled}{ranked}"
        return list(found.values())

    def _layer(self, component: Component, weight: str) -> str:
        name = weight.removeprefix("module.").replace(".module.", ".").removesuffix(".weight").removesuffix(".bias")
        if name not in self.sites:
            known = ", ".join(self.sites)
            raise PruningError(f"{component.name} names {weight}, and {self.architecture.network} has no such layer; it has {known}")
        return name

    def _output_group(self, component: Component, name: str) -> ChannelGroup:
        group = self.sites[name].out_group
        if group is None:
            raise PruningError(f"{component.name} would remove outputs of {name}, the network's classes; leave that layer out")
        return self.architecture.group(group)

    def _input_group(self, component: Component, name: str) -> ChannelGroup:
        site: LayerSite = self.sites[name]
        if len(site.in_groups) != 1:
            raise PruningError(f"{component.name} would remove inputs of {name}, which are not one group of channels; leave that layer out")
        return self.architecture.group(site.in_groups[0])

    def _producers(self, group: ChannelGroup) -> list[str]:
        return [layer for layer in group.members if layer in self.sites and not self.sites[layer].depthwise]

    def _consumers(self, group: ChannelGroup) -> list[str]:
        return [site.name for site in self.architecture.layers if group.name in site.in_groups and not site.depthwise]


def _events(document: Document) -> Iterator[tuple[int, Policy]]:
    """Policies in the order in which a scheduler meets them: by epoch, then as written."""
    moments = sorted({epoch for policy in document.policies for epoch in policy.epochs})
    for epoch in moments:
        for policy in document.policies:
            if epoch in policy.epochs:
                yield epoch, policy


def _sparsity(policy: Policy, epoch: int) -> float:
    """The share of channels that a policy's pruner removes in ``epoch``."""
    component = policy.component
    if component.get("desired_sparsity") is not None:
        return component.number("desired_sparsity")
    initial, final = component.number("initial_sparsity"), component.number("final_sparsity")
    last = policy.epochs[-1]
    if last == policy.epochs[0]:
        return final  # one moment: nothing gradual about it
    return agp_sparsity(initial, final, epoch - policy.epochs[0], last - policy.epochs[0])


def _count(sparsity: float, channels: int, step: int) -> int:
    """Channels removed: floored, in whole steps, never all of them unless the schedule says 1.0."""
    count = math.floor(sparsity * channels) // step * step
    return count - step if count == channels and sparsity != 1.0 else count


def _rate(class_name: str, arguments: Mapping[str, Any], epoch: int, base: float) -> float:
    """Learning rate when the schedule has counted ``epoch`` epochs, in torch's closed forms."""
    gamma = float(arguments.get("gamma", 0.1))
    if class_name == "StepLR":
        return base * float(gamma ** (epoch // int(arguments["step_size"])))
    if class_name == "MultiStepLR":
        return base * float(gamma ** sum(epoch >= milestone for milestone in arguments["milestones"]))
    if class_name == "ExponentialLR":
        return base * float(gamma**epoch)
    if class_name == "CosineAnnealingLR":
        lowest = float(arguments.get("eta_min", 0.0))
        return lowest + (base - lowest) * (1 + math.cos(math.pi * epoch / float(arguments["T_max"]))) / 2
    if class_name == "PolynomialLR":
        done = min(epoch, int(arguments["T_max"])) / float(arguments["T_max"])
        return base * float((1 - done) ** float(arguments["power"]))
    passed = [factor for milestone, factor in zip(arguments["milestones"], arguments["gammas"], strict=True) if epoch >= milestone]
    return base * float(math.prod(passed))
