"""A campaign's folder: laid whole before the first trial, and enough to resume from on this machine or another one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.errors import CampaignError, UsageError, one_line
from harness.files import disk, leftovers, locks, packed_numbers
from harness.networks import datasets, zoo
from harness.networks.own import source
from harness.networks.weights import weights_file
from harness.pipeline import Network
from harness.pruning import saved
from harness.records import stored_files
from harness.training import stored_baseline
from harness.training.recipes import Recipe
from search.records import kept_source, whole_file
from search.records.checks import checked
from search.records.costs.objective import COMPILED_COST
from search.records.outcome import COMPILED, MEASUREMENTS
from search.records.request import Request, folder_name

REQUEST, DENSE = "request.json", "dense/weights.safetensors"
SCHEMA = 1
_PICTURES = ("data", "validation_from", "channels", "input_shape", "resize", "mean", "std")
_TRAINED = ("weights", "dense_epochs", "dense_learning_rate", "learning_rate", "rival")
TIED = {  # what is about one network, dataset or device, and means nothing of another
    "network": ("weights", *_PICTURES, *_TRAINED, "in_float", "warm_start"),
    "dataset": (*_PICTURES, *_TRAINED, "in_float"),
    "device": ("max_latency_ms", "compiled_for"),
    "objective": ("max_latency_ms", "compiled_for", "precision", "in_float", "input_size", "designs", "learn_from", "rounds", "keep_slow"),
}
NAME_LENGTH = 90  # characters of a name that is made up; a number may follow


def existing(name: str, reports: Path) -> Path:
    """The folder of a campaign that exists; CampaignError names those that do."""
    folder = reports / "campaigns" / folder_name(name)
    if not (folder / REQUEST).is_file():
        known = sorted(found.parent.name for found in (reports / "campaigns").glob(f"*/{REQUEST}"))
        raise CampaignError(f"there is no campaign {name!r} in {reports / 'campaigns'}: choose one of {', '.join(known) or '(none yet)'}")
    return folder


def lay(folder: Path, request: Request, network: Network, measurements: Path | None) -> None:
    """Lay the campaign's folder: all that resuming needs, on this machine or another one. measurements: None where nothing was measured."""
    needed = sum(tensor.nbytes for tensor in network.model.state_dict().values())
    needed += 0 if measurements is None else measurements.stat().st_size
    laid = folder.with_name(f".{folder.name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        leftovers.sweep(folder.parent, ".*.part")
        if (why := disk.lacks(folder.parent, needed)) != "":
            raise CampaignError(f"{why}; make room, or give another folder by --reports")
        laid.mkdir()
    except FileExistsError:
        raise CampaignError(f"{laid} is in the way: another process lays it now, or did a minute ago; try again, or remove it") from None
    except OSError as error:
        raise CampaignError(f"{disk.told(error, folder, needed)}; make room, or give another folder by --reports") from error
    held = locks.hold(laid)
    try:
        lay_dense(laid, network, request.weights)
        kept_source.lay(laid, request.network)
        kept_source.lay(laid, request.own_task, kept_source.TASK_FOLDER)
        if measurements is not None:
            packed_numbers.copy(measurements, laid / MEASUREMENTS)
        write_request(laid, request)
        os.rename(laid, folder)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise CampaignError(f"campaign {folder.name} exists already in {folder.parent}; choose another --name") from error
        raise CampaignError(f"{disk.told(error, folder, needed)}; make room, or give another folder by --reports") from error
    finally:
        shutil.rmtree(laid, ignore_errors=True)  # gone where it got its name
        held.release()


def write_request(folder: Path, request: Request) -> None:
    """Keep what was asked for, whole or not at all."""
    document = {"schema": SCHEMA, **{key: str(value) if isinstance(value, Path) else value for key, value in asdict(request).items()}}
    whole_file.write(folder / REQUEST, json.dumps(document, indent=1))


def lay_dense(folder: Path, network: Network, weights: Path | None) -> None:
    """Keep the dense network in the folder, and how it was trained where a description beside ``weights`` tells."""
    architecture, path = network.architecture, folder / DENSE
    shape = architecture.input_shape, architecture.classes
    saved.save(path.parent, architecture.dense(), network.model, network.name, *shape, task=network.task)
    if (recipe := stored_baseline.recipe_of(weights)) is not None:
        stored_files.replace(path.with_suffix(".json"), json.dumps({"recipe": recipe.canonical}).encode())


def dense(folder: Path, request: Request) -> Path:
    """The dense network's weights in the folder of the campaign that ``request`` asked for.

    A campaign comes from a repository without that large file: then it is laid again from ``--weights``. CampaignError, saying what to
    put back, where these are not here either.
    """
    path = folder / DENSE
    if not path.is_file():
        if request.weights is None or not weights_file.file_of(request.weights).is_file():
            other = "" if request.weights is None else f", or put back {request.weights}"
            raise CampaignError(f"the dense network of campaign {folder.name} is missing: copy {path} from where the campaign ran{other}")
        channels = request.channels or zoo.wanted_channels(request.network, request.weights)
        images = datasets.load(request.dataset, request.data, channels=channels, asked=request.preparation)
        lay_dense(folder, Network.by_name(request.network, images, request.weights), request.weights)
    return path


def dense_recipe(folder: Path, request: Request) -> Recipe | None:
    """How the campaign's dense network was trained, by the description in its folder or beside ``--weights``; None where none tells."""
    return stored_baseline.recipe_of(folder / DENSE) or stored_baseline.recipe_of(request.weights)


def read_request(folder: Path) -> Request:
    """What the campaign was asked for, in the folder where it is now; CampaignError when the file is broken or of another schema.

    The file may come from somebody else: what it says of the campaign's own place is not believed.
    """
    found = whole_file.read(folder / REQUEST, Request, SCHEMA, "start the campaign again")
    try:
        return checked(replace(found, name=folder.name, reports=folder.parent.parent))
    except UsageError as error:
        raise CampaignError(one_line(f"{folder / REQUEST} is broken ({error}); start the campaign again")) from error


def inheriting(request: Request, names: Sequence[str], say: Callable[[str], None]) -> Request:
    """A fork's request with its campaign's settings, for the options ``names`` that the command line leaves open.

    What does not apply to another network, dataset or device, given, is left at its default, and said. UsageError as for any request.
    """
    folder = existing(str(request.old), request.reports)
    old = read_request(folder)
    lost = {
        name: f"other {changed}"
        for changed in TIED
        if getattr(request, changed) != getattr(old, changed)
        for name in TIED[changed]
        if changed not in names
    }
    for changed, other in (("workers", "dask"), ("dask", "workers")):
        if changed not in names and other in names:
            lost[other] = f"--{changed} was given"
    taken: dict[str, Any] = {name: getattr(old, name) for name in names if name not in lost}
    if source.is_own(taken.get("network", "")):  # it is the old folder that names the code
        kept_source.allowed(folder, taken["network"])
    if taken.get("weights") is not None and not weights_file.file_of(taken["weights"]).is_file():
        taken["weights"] = dense(folder, old)
    for name in (name for name in names if name in lost and getattr(old, name) != getattr(request, name)):
        say(f"--{name.replace('_', '-')}={getattr(old, name)} of {request.old} is not taken over: {lost[name]}")
    return checked(replace(request, **taken))


def free_name(request: Request) -> str:
    """The campaign's name, made up where none was given; UsageError when the given one is taken."""
    if request.name is not None:
        if (request.campaigns / request.name).exists():
            raise UsageError(f"campaign {request.name} exists already in {request.campaigns}; resume it, or choose another --name")
        return request.name
    told = [
        _plain(request.network),
        _plain(request.dataset),
        request.device,
        *([] if request.precision == "f32" else [request.precision.replace(",", "+")]),
        *(["compiled"] if request.objective == COMPILED_COST.name else []),
    ]
    stem = folder_name("-".join(told)[-NAME_LENGTH:].lstrip("._+-"))
    names: Sequence[str] = (stem, *(f"{stem}-{number}" for number in range(2, 10000)))
    return next(name for name in names if not (request.campaigns / name).exists())


def _plain(subject: str) -> str:
    """A network's or a dataset's name without the folders before a file, in characters that a folder's name may have."""
    kind, _, rest = subject.partition(":")
    words = (Path(kind).stem, Path(rest).name) if "/" in subject or kind.endswith(".py") else (kind, rest)
    return "-".join(word for part in words if (word := re.sub(r"[^A-Za-z0-9._+]+", "-", part).strip("._+-"))) or "unnamed"


def writable(folder: Path, option: str = "--reports") -> None:
    """CampaignError where nothing can be written into ``folder``, which need not be there yet; ``option`` gave it.

    Campaigns in it that killed processes left half laid are removed.
    """
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    try:  # whoever is root is told that every folder may be written, also where none can be made
        with tempfile.TemporaryDirectory(prefix=".espalier-", dir=there):
            leftovers.sweep(folder, ".*.part")
    except OSError as error:
        raise CampaignError(f"nothing can be written into {there} ({error.strerror}); give another folder by {option}") from error


def known(folder: Path, request: Request) -> Path:
    """The file in a campaign's folder that its costs are predicted from: measurements, or compilations."""
    return folder / (COMPILED if request.objective == COMPILED_COST.name else MEASUREMENTS)


def unchanged(path: Path) -> Callable[[], None]:
    """A guard that refuses to go on when ``path``, what the campaign's costs are predicted from, was replaced."""
    before = path.stat()

    def check() -> None:
        now = path.stat()
        if (now.st_mtime_ns, now.st_size, now.st_ino) != (before.st_mtime_ns, before.st_size, before.st_ino):
            raise CampaignError(f"{path} was replaced while the campaign ran; put the old file back and resume, or start a new campaign")

    return check


def digest(content: bytes) -> str:
    """First 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]
