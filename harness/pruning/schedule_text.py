"""The text of a Distiller YAML schedule as checked, typed components and policies; nothing is executed on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from harness.errors import UnknownName, UsageError, one_line
from harness.files.numbers import EPOCHS
from harness.pruning.schedule_classes import CLASSES, QUANTIZERS

MOST_SIGNS = 1 << 20
MOST_NESTED = 64
SECTIONS = ("pruners", "regularizers", "extensions", "lr_schedulers")
_ABOUT = ("version", "network", "source")  # the last two are ours: for which network, from where
_NAMING = ("weights", "levels", "sensitivities", "thresholds")
_POLICY_KINDS = {"pruner": "pruners", "regularizer": "regularizers", "extension": "extensions", "lr_scheduler": "lr_schedulers"}


@dataclass(frozen=True, slots=True)
class Component:
    """A pruner, regulariser, extension or learning-rate schedule; ``name`` is its section and its name there."""

    name: str
    class_name: str
    arguments: tuple[tuple[str, Any], ...]

    def get(self, argument: str) -> Any:
        """The argument's value, or None."""
        return dict(self.arguments).get(argument)

    def number(self, argument: str) -> float:
        """The argument as a number in [0, 1]; UsageError when it is none."""
        found = self.get(argument)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
            raise UsageError(f"{self.name} has {argument}: {str(found)[:60]}; give a number from 0 to 1")
        return float(found)

    def named(self) -> tuple[str, ...]:
        """Every parameter it names, in a list, as one string or as the keys of its levels, without the default ``*``."""
        for argument in _NAMING:
            found = self.get(argument)
            if isinstance(found, str):
                return (found,)
            if isinstance(found, list | dict):
                return tuple(str(name) for name in found if name != "*")
        return ()

    def weights(self) -> tuple[str, ...]:
        """The list of weights it works on; UsageError when they are not a list (Distiller would match substrings)."""
        found = self.get("weights")
        if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
            raise UsageError(f"{self.name} needs a list of weight names; write weights: [layer1.0.conv1.weight]")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a component acts: ``epochs``, and the policy's own arguments."""

    component: Component
    epochs: range | tuple[int, ...]
    arguments: tuple[tuple[str, Any], ...]

    @property
    def step(self) -> int:
        """Epochs between two actions."""
        return self.epochs.step if isinstance(self.epochs, range) else 1


@dataclass(frozen=True, slots=True)
class Document:
    """A schedule as written, checked class by class."""

    components: tuple[Component, ...]
    policies: tuple[Policy, ...]
    network: str
    source: str


def parse(text: str, name: str) -> Document:
    """Parse a schedule with YAML's safe loader; ``name`` is used in messages. UsageError or UnknownName when it is none."""
    raw = _loaded(text, name)
    if not isinstance(raw, dict) or not isinstance(raw.get("policies"), list):
        raise UsageError(f"{name} is no schedule: it has no list of policies; see Distiller's documentation of schedules")
    unknown = set(raw) - {*SECTIONS, *_ABOUT, "policies", "quantizers"}
    if unknown:
        raise UnknownName("section", sorted(map(str, unknown))[0], (*SECTIONS, "policies"))
    if raw.get("quantizers"):
        listed = raw["quantizers"].values() if isinstance(raw["quantizers"], dict) else ()
        classes = ", ".join(str(entry.get("class"))[:40] for entry in listed if isinstance(entry, dict))
        raise UsageError(f"{name} quantises ({classes or ', '.join(QUANTIZERS)}), which is the runtime's work here; remove that section")
    components = [
        _component(section, str(key), entry, name)
        for section in SECTIONS
        for key, entry in _mapping(raw.get(section), name, section).items()
    ]
    by_name = {component.name: component for component in components}
    policies = [_policy(entry, by_name, name) for entry in raw["policies"]]
    return Document(tuple(components), tuple(policies), str(raw.get("network", "")), str(raw.get("source", "")))


def _loaded(text: str, name: str) -> Any:
    """The plain document; UsageError for what is none, or for aliases, by which a short text may stand for a document without end."""
    try:
        if len(text) > MOST_SIGNS or not _plain(text):
            told = f"aliases (*name), more than {MOST_NESTED} levels, or more than {MOST_SIGNS} signs"
            raise UsageError(f"{name} has {told}; write it out, and shorter")
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, ArithmeticError, TypeError, AttributeError, LookupError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())[:300]
        raise UsageError(one_line(f"{name} is not valid YAML ({why}); correct it")) from error


def _plain(text: str) -> bool:
    """Whether it has no aliases and few levels: the loader's time grows with the square of its levels."""
    level = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > MOST_NESTED or isinstance(event, yaml.AliasEvent):
            return False
    return True


def _mapping(entry: Any, name: str, section: str) -> dict[str, Any]:
    if entry is None:
        return {}
    if not isinstance(entry, dict):
        raise UsageError(f"section {section} of {name} is not a mapping of names; write one name: and its class under it")
    return entry


def _component(section: str, key: str, entry: Any, name: str) -> Component:
    arguments = dict(_mapping(entry, name, f"{section}.{key}"))
    class_name = str(arguments.pop("class", ""))
    known = [known for known, kind in CLASSES.items() if kind.section == section]
    if class_name not in known:
        raise UnknownName(f"class of {section}.{key}", class_name, known)
    kind = CLASSES[class_name]
    missing = [argument for argument in kind.required if argument not in arguments]
    extra = [argument for argument in arguments if argument not in (*kind.required, *kind.optional)]
    if missing or extra:
        told = [f"needs {', '.join(missing)}"] * bool(missing) + [f"has no argument {', '.join(extra)}"] * bool(extra)
        raise UsageError(f"{section}.{key} of {name}: {class_name} {' and '.join(told)}; correct the schedule")
    return Component(f"{section}.{key}", class_name, tuple(arguments.items()))


def _policy(entry: Any, components: dict[str, Component], name: str) -> Policy:
    kinds = [kind for kind in _POLICY_KINDS if isinstance(entry, dict) and kind in entry]
    if len(kinds) != 1 or not isinstance(entry[kinds[0]], dict):
        raise UsageError(f"a policy of {name} names none or several of {', '.join(_POLICY_KINDS)}; give exactly one: {str(entry)[:100]}")
    section, instance = _POLICY_KINDS[kinds[0]], entry[kinds[0]]
    key = f"{section}.{instance.get('instance_name', '')}"
    if key not in components:
        raise UnknownName("instance", key, components)
    return Policy(components[key], _epochs(entry, key, name), tuple(_mapping(instance.get("args"), name, f"args of {key}").items()))


def _epochs(entry: dict[str, Any], key: str, name: str) -> range | tuple[int, ...]:
    listed = entry.get("epochs")
    if isinstance(listed, list) and listed and all(type(epoch) is int and EPOCHS.holds(epoch) for epoch in listed):
        return tuple(listed)
    if listed is not None:
        raise UsageError(f"the policy of {key} in {name} has epochs {str(listed)[:100]}; give a list of whole numbers")
    start, end, step = (entry.get(word) for word in ("starting_epoch", "ending_epoch", "frequency"))
    if not (type(start) is type(end) is type(step) is int and 0 <= start < end <= EPOCHS.most and step > 0):
        told = f"starting_epoch {start}, ending_epoch {end}, frequency {step}"[:200]
        raise UsageError(f"the policy of {key} in {name} says {told}; give 0 <= start < end and a frequency of at least 1")
    return range(start, end, step)
