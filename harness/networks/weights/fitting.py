"""A table of tensors brought to the names of one network: prefixes off, heads that it lacks left out, or refused with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from torch import Tensor

from harness.errors import UsageError, one_line

WRAPPERS = ("module", "_orig_mod")  # DataParallel's and torch.compile's names for what they hold
COUNTERS = ("total_ops", "total_params")  # what thop leaves on every module
COUNTED = "num_batches_tracked"  # not in files from before torch 0.4.1, and of no effect
MOST_TOLD = 3


def renamed(weights: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """``weights`` by the network's own names as far as a prefix, taken off or put before all of them, makes them so.

    Tensors without that prefix are not the network's and stay behind, under their own names.
    """
    expected = set(wanted)
    plain = dict(weights)
    if not expected & plain.keys():
        plain = {".".join(part for part in name.split(".") if part not in WRAPPERS): tensor for name, tensor in weights.items()}
    elif any(_is_wrapped(name, expected) for name in plain):
        bare = {
            ".".join(part for part in name.split(".") if part not in WRAPPERS) if name not in expected else name: t
            for name, t in plain.items()
        }
        plain = bare if len(bare) == len(plain) else plain
    hits = len(expected & plain.keys())
    off = _prefix(plain, expected)
    if off and sum(name.startswith(off) and name.removeprefix(off) in expected for name in plain) > hits:
        return {name.removeprefix(off): tensor for name, tensor in plain.items() if name.startswith(off)} | {
            name: tensor for name, tensor in plain.items() if not name.startswith(off) and name not in expected
        }
    on = _prefix(dict.fromkeys(expected), set(plain))
    if on and sum(on + name in expected for name in plain) > hits:
        return {on + name if on + name in expected else name: tensor for name, tensor in plain.items()}
    return plain


def _is_wrapped(name: str, expected: set[str]) -> bool:
    return name not in expected and any(part in WRAPPERS for part in name.split("."))


def _prefix(longer: Mapping[str, object], shorter: set[str]) -> str:
    """The commonest of what stands before names of ``shorter`` in those of ``longer``; of equal ones the shortest, no mean's first."""
    counted: Counter[str] = Counter()
    for name in longer:
        parts = name.split(".")
        counted.update(start for cut in range(1, len(parts)) if ".".join(parts[cut:]) in shorter for start in [".".join(parts[:cut]) + "."])
    best = max(counted.values(), default=0)
    return min(
        (start for start, count in counted.items() if count == best), key=lambda start: ("ema" in start, len(start), start), default=""
    )


def fitted(weights: Mapping[str, Tensor], model: Mapping[str, Tensor], origin: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Exactly the tensors that ``model`` (a state dict) holds, from ``weights`` by any of the names that wrappers give, and notes.

    Tensors of parts that the network does not have at all, such as an auxiliary head, are left out with a note. UsageError, one line,
    for another network, another number of classes or channels, and for numbers that are none.
    """
    found = renamed(weights, model)
    found |= {name: model[name] for name in model if name.endswith(COUNTED) and name not in found}
    missing = [name for name in model if name not in found]
    left = [name for name in found if name not in model]
    tops = {name.partition(".")[0] for name in model}
    left = [name for name in left if name.rpartition(".")[2] not in COUNTERS]
    strange = [name for name in left if name.partition(".")[0] in tops and "aux" not in name.lower()]
    if missing or strange:
        told = [f"{_few(missing)} missing"] if missing else []
        told += [f"{_few(strange)} not in the network"] if strange else []
        raise UsageError(one_line(f"{origin} does not fit the network: {'; '.join(told)}; give the weights of this very network"))
    _check_shapes(found, model, origin)
    for name in model:
        if found[name].is_floating_point() and not bool(found[name].float().isfinite().all()):
            raise UsageError(
                one_line(f"{origin}: {name} holds numbers that are none (nan or inf); give weights from before training diverged")
            )
    notes = (one_line(f"weights: {_few(left)} of {origin}, which the network does not have, left out"),) if left else ()
    return {name: found[name] for name in model}, notes


def _check_shapes(found: Mapping[str, Tensor], model: Mapping[str, Tensor], origin: str) -> None:
    different = [name for name in model if found[name].shape != model[name].shape]
    if not different:
        return
    last, first = _ends(model)
    name = different[0]
    theirs, ours = tuple(found[name].shape), tuple(model[name].shape)
    told, advice = f"{name} is {_sides(theirs)} there, {_sides(ours)} here", "give the weights of this very network"
    if set(different) <= {last, last.removesuffix("weight") + "bias"} and theirs[1:] == ours[1:]:
        told = f"{last} answers {theirs[0]} classes, the pictures have {ours[0]}"
        advice = f"give pictures of those {theirs[0]} classes, or train this network's last layer on yours first and give those weights"
    elif different == [first] and len(theirs) == len(ours) > 1 and theirs[0] == ours[0] and theirs[2:] == ours[2:]:
        told = f"{first} reads {theirs[1]} channels, the pictures have {ours[1]}"
        advice = f"give --channels={theirs[1]}, or the weights of this very network"
    more = f" and {len(different) - 1} more" if len(different) > 1 and "classes" not in told else ""
    raise UsageError(one_line(f"{origin} does not fit the network: {told}{more}; {advice}"))


def _ends(model: Mapping[str, Tensor]) -> tuple[str, str]:
    """The last and the first weight of more than one side."""
    matrices = [name for name, tensor in model.items() if tensor.dim() > 1]
    return (matrices[-1], matrices[0]) if matrices else ("", "")


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    return f"{', '.join(names[:MOST_TOLD])}{more}"
