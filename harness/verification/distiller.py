"""IntelLabs Distiller where a user has it: found, checked, made to run, and used as a compressor. The only importer of it.

Distiller is archived, pinned to torch 1.3.1 and not on PyPI, where its name belongs to an unrelated package. So it is no
dependency: give its checkout with ``--distiller=PATH`` or ``DISTILLER_HOME``, or install it without its dependencies.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from harness.errors import PruningError, UsageError
from harness.pruning.schedule import read_schedule
from harness.pruning.schedule_classes import CLASSES, THINS
from harness.records.architecture import Architecture, ChannelGroup
from harness.records.pruning_config import PruningConfig
from harness.verification import distiller_compat

VERIFIED_COMMIT = "d859fc85a3c9c3048442a4ccd9b98ac45f1e0dc4"  # the last one; the findings name its lines
VERIFIED_DIGEST = "9cd21705d1846fb7"  # of its package's files, for archives without history
HOW_TO_GET = "clone github.com/IntelLabs/distiller and give --distiller=PATH, or set DISTILLER_HOME"
_OURS = ("scheduler.py", "thinning.py", "policy.py", "pruning/automated_gradual_pruner.py")

Batch = tuple[Tensor, Tensor]

_found: dict[Path, Distiller] = {}  # of this process: a package is imported once


@dataclass(frozen=True, slots=True)
class Distiller:
    """An imported Distiller. root: the folder with the package. commit: 40 digits, or a remark. shims: those applied."""

    module: ModuleType
    root: Path
    commit: str
    shims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compressed:
    """What Distiller made of a network: the trained, masked model, and which channels it left, for our removal."""

    model: nn.Module
    config: PruningConfig
    scores: dict[str, Tensor]


def find(path: str | None = None) -> Distiller | None:
    """Distiller at ``path``, at ``DISTILLER_HOME`` or on the import path; None when none of them is given or there.

    A given place without Distiller, and the namesake from PyPI, are UsageErrors.
    """
    given = path or os.environ.get("DISTILLER_HOME")
    root = root_of(Path(given).expanduser()) if given else _installed_root()
    if root is None:
        return None
    loaded = sys.modules.get("distiller")
    if loaded is not None and Path(str(loaded.__file__)).parent.parent != root:
        raise UsageError(f"another Distiller is already imported from {loaded.__file__}; give one place only")
    if root not in _found:
        _found[root] = _load(root)
    return _found[root]


def is_offered(path: str | None = None) -> bool:
    """Whether ``find`` would look anywhere; what it finds there may still be refused."""
    return bool(path or os.environ.get("DISTILLER_HOME") or importlib.util.find_spec("distiller"))


def summary_line(recorded: bool, live: bool, broken: int = 0) -> str:
    """One line for the end of a run: which outcomes were judged, those recorded, those of a live Distiller, or none.

    broken: claims that came out otherwise than known, which verifies nothing.
    """
    if broken:
        return f"Distiller verified: no ({broken} {'claim' if broken == 1 else 'claims'} came out otherwise than known; see the failures)"
    kinds = " and ".join(["recorded"] * recorded + ["live"] * live) or "no"
    found = next(iter(_found.values()), None)
    if live and found is not None:
        return f"Distiller verified: {kinds} ({found.root}, {found.commit[:12]}, {len(found.shims)} shims)"
    return f"Distiller verified: {kinds} (live: no; {HOW_TO_GET})"


def compress(
    found: Distiller,
    model: nn.Module,
    architecture: Architecture,
    schedule: Path,
    batches: Callable[[], Iterable[Batch]],
    learning_rate: float = 0.01,
    epochs: int | None = None,
) -> Compressed:
    """Train ``model`` in place under a Distiller schedule, its removers left out, and read which channels it zeroed.

    batches: one epoch of (images, labels). epochs: as many as the pruners need, when None. The result's ``config`` and
    ``scores`` go to ``surgery.prune``. PruningError when coupled layers were left with different channels.
    """
    read_schedule(schedule, architecture)  # refuses what Distiller would silently ignore
    document = _without_removers(yaml.safe_load(schedule.read_text()))
    optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    scheduler = _scheduler(found, model, optimiser, document)
    for epoch in range(_pruning_epochs(document) if epochs is None else epochs):
        _train_epoch(scheduler, model, optimiser, epoch, list(batches()))
    scores = {group.name: _left(group, architecture, scheduler.zeros_mask_dict) for group in architecture.groups}
    kept = {name: int(score.sum()) for name, score in scores.items()}
    config = PruningConfig.of(architecture.network, kept)
    architecture.check(config)
    return Compressed(model, config, scores)


def root_of(path: Path) -> Path:
    """The folder with the package, at ``path`` or above it; UsageError when it is not there or is the namesake."""
    for root in (path, path.parent):
        if (root / "distiller" / "__init__.py").is_file():
            check_identity(root / "distiller")
            return root.resolve()
    raise UsageError(f"there is no Distiller in {path}; {HOW_TO_GET}")


def _installed_root() -> Path | None:
    spec = importlib.util.find_spec("distiller")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    check_identity(package)
    return package.parent.resolve()


def check_identity(package: Path) -> None:
    """Refuse, with UsageError, a package called distiller that is not IntelLabs'."""
    missing = [name for name in _OURS if not (package / name).is_file()]
    if missing:
        raise UsageError(
            f"{package} is not IntelLabs Distiller (it has no {missing[0]}; PyPI's distiller is an unrelated package); "
            f"pip uninstall distiller, then {HOW_TO_GET}"
        )


def _load(root: Path) -> Distiller:
    module, shims = distiller_compat.load(root)
    return Distiller(module, root, commit_of(root), shims)


def commit_of(root: Path) -> str:
    """The commit of the Distiller in ``root``: by its history, pip's record of a VCS install, or the digest of the known last one."""
    if (root / ".git").exists():
        answer = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    try:
        origin = importlib.metadata.distribution("distiller").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        origin = None
    if origin and "vcs_info" in json.loads(origin):
        return str(json.loads(origin)["vcs_info"]["commit_id"])
    digest = _digest(root / "distiller")
    return VERIFIED_COMMIT if digest == VERIFIED_DIGEST else f"unknown commit, files {digest}"


def _digest(package: Path) -> str:
    """First 16 hexadecimal digits over the package's Python files and their names."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return total.hexdigest()[:16]


def _without_removers(document: dict[str, Any]) -> dict[str, Any]:
    """The schedule without its thinning extensions, and with names as they are without DataParallel."""
    document = _plain_names(document)
    removers = [name for name, entry in (document.get("extensions") or {}).items() if CLASSES[entry["class"]].effect == THINS]
    kept = [policy for policy in document["policies"] if policy.get("extension", {}).get("instance_name") not in removers]
    extensions = {name: entry for name, entry in (document.get("extensions") or {}).items() if name not in removers}
    known = {key: value for key, value in document.items() if key not in ("network", "source", "extensions")}
    return known | {"policies": kept} | ({"extensions": extensions} if extensions else {})


def _plain_names(node: Any) -> Any:
    if isinstance(node, dict):
        return {_plain_names(key): _plain_names(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain_names(value) for value in node]
    return node.removeprefix("module.") if isinstance(node, str) else node


def _scheduler(found: Distiller, model: nn.Module, optimiser: torch.optim.Optimizer, document: dict[str, Any]) -> Any:
    names = {name for name, _ in model.named_parameters()}
    for entry in (document.get("pruners") or {}).values():
        weights = entry.get("weights")
        if isinstance(weights, list):  # our own schedules name layers, Distiller wants parameters
            entry["weights"] = [name if name in names else f"{name}.weight" for name in weights]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "schedule.yaml")
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return found.module.file_config(model, optimiser, str(path))


def _pruning_epochs(document: dict[str, Any]) -> int:
    """Epochs until the last pruning policy has acted, one more than its last."""
    last = [
        policy["epochs"][-1] + 1 if "epochs" in policy else policy["ending_epoch"] for policy in document["policies"] if "pruner" in policy
    ]
    return max(last, default=0)


def _train_epoch(scheduler: Any, model: nn.Module, optimiser: torch.optim.Optimizer, epoch: int, batches: list[Batch]) -> None:
    scheduler.on_epoch_begin(epoch, optimiser)
    model.train()
    for step, (images, labels) in enumerate(batches):
        scheduler.on_minibatch_begin(epoch, step, len(batches), optimiser)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss = scheduler.before_backward_pass(epoch, step, len(batches), loss, optimiser)
        optimiser.zero_grad()
        loss.backward()
        scheduler.before_parameter_optimization(epoch, step, len(batches), optimiser)
        optimiser.step()
        scheduler.on_minibatch_end(epoch, step, len(batches), optimiser)
    scheduler.on_epoch_end(epoch, optimiser, metrics={"min": 1.0, "max": 1.0})


def _left(group: ChannelGroup, architecture: Architecture, maskers: Any) -> Tensor:
    """1.0 for every channel that Distiller's masks leave in all of the group's layers, 0.0 for one removed from all."""
    depthwise = {site.name for site in architecture.layers if site.depthwise}
    found: list[tuple[str, Tensor]] = []
    for layer in group.members:
        masker = maskers.get(f"{layer}.weight")
        if masker is not None and layer not in depthwise:
            mask = masker.mask
            kept = torch.ones(group.channels) if mask is None else (mask.flatten(1).abs().sum(1) > 0).float()
            found.append((layer, kept))
    first, kept = found[0]
    for layer, other in found[1:]:
        if not torch.equal(kept, other):
            raise PruningError(f"Distiller left different channels in {first} and {layer}, which are coupled; use group_dependency: Leader")
    return kept.double()
