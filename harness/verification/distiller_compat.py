"""Shims with which unmodified IntelLabs Distiller runs on today's Python and torch; each is applied only if needed and says so.

None edits a formula. Two change how something runs, and no value: the filter masks are built on the parameter's device
instead of on a GPU, and are copied before they are divided in place. Shipped to the interpreters of
``distiller_elsewhere`` too, so written for Python 3.7 and torch 1.3.1 as well, where the CPU's two are all that is needed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import UsageError

PARTS = ("distiller.models", "distiller.apputils", "distiller.data_loggers", "distiller.norms", "distiller.thinning")
# Only for printing, plotting, spreadsheets and logs: absent, the feature that needs it says so when it is used.
_PRINTING = ("git", "xlsxwriter", "tensorboardX", "pydot", "pandas", "matplotlib", "matplotlib.pyplot")


def load(root: Path) -> tuple[types.ModuleType, tuple[str, ...]]:
    """The package in ``root``, imported with the parts that are used and made to run, and the names of the shims applied."""
    with importable() as applied:
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
        module = importlib.import_module("distiller")
        for part in PARTS:
            importlib.import_module(part)
    return module, (*applied, *patch(module))


@contextlib.contextmanager
def importable() -> Iterator[list[str]]:
    """Inside, ``import distiller`` works; yields the names of the shims applied. Stand-ins are taken away afterwards."""
    applied: list[str] = []
    _declare_operators()
    needed = {name: module for name, module in _stand_ins().items() if name == "pkg_resources" or not _installed(name)}
    before = {name: sys.modules.get(name) for name in needed}
    sys.modules.update(needed)
    applied.extend(f"{name}: stand-in during the import" for name in needed)
    applied.extend(_patch_torch())
    try:
        yield applied
    finally:
        for name, module_before in before.items():
            if module_before is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module_before


def patch(distiller: types.ModuleType) -> list[str]:
    """Make an imported Distiller run; returns the names of the shims applied."""
    return [shim.name for shim in _SHIMS if shim.apply(distiller)]


@dataclass(frozen=True)
class Shim:
    """A patch of an imported Distiller. apply: does what is needed, answers whether anything was."""

    name: str
    apply: Callable[[types.ModuleType], bool]


def _installed(name: str) -> bool:
    root = name.split(".")[0]
    return root in sys.modules or importlib.util.find_spec(root) is not None


class _Missing(types.ModuleType):
    """A package that only prints, plots or logs: importable, and refusing on use."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        package = self.__name__.split(".")[0]

        def refuse(*_arguments: Any, **_keywords: Any) -> Any:
            raise UsageError(f"Distiller needs {package} for this; pip install {package}")

        return refuse


class _AverageValueMeter:
    """Running mean and deviation of a statistic: the base class that Distiller's activation statistics extend."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.n, self.sum, self.var, self.val = 0, 0.0, 0.0, 0.0
        self.mean, self.mean_old, self.m_s, self.std = float("nan"), 0.0, 0.0, float("nan")

    def value(self) -> tuple[Any, Any]:
        return self.mean, self.std


class _NotFound(Exception):
    """Distiller was not installed as a distribution."""


def _table(rows: Iterable[Any], headers: Iterable[Any] = (), **_style: Any) -> str:
    """Rows as lines of tab-separated cells: Distiller prints what a checkpoint contains while it loads it."""
    lines = [headers if not isinstance(headers, str) else (), *rows]
    return "\n".join("\t".join(map(str, line)) for line in lines)


def _refuse_requirement(_name: str) -> Any:
    raise _NotFound


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+")[0].split(".") if part.isdigit())


def _module(name: str, **names: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__path__ = []  # a package, so that its submodules may be imported
    module.__dict__.update(names)
    return module


def _stand_ins() -> dict[str, types.ModuleType]:
    meter = _module("torchnet.meter", AverageValueMeter=_AverageValueMeter)
    found: dict[str, types.ModuleType] = {name: _Missing(name) for name in _PRINTING}
    found["tabulate"] = _module("tabulate", tabulate=_table)
    found["git"] = _module("git", Repo=_Missing("git").Repo, InvalidGitRepositoryError=type("InvalidGitRepositoryError", (Exception,), {}))
    # Always: the real one compares Distiller's pins with what is installed and refuses
    found["pkg_resources"] = _module(
        "pkg_resources", require=_refuse_requirement, DistributionNotFound=_NotFound, parse_version=_version, working_set=()
    )
    found["torchnet"] = _module("torchnet", meter=meter)
    found["torchnet.meter"] = meter
    found["pretrainedmodels"] = _module("pretrainedmodels", model_names=[])
    return found


def _declare_operators() -> None:
    """The two operators whose absence stops torchvision beside a CPU torch; a torch without operator libraries lacks none."""
    if hasattr(torch, "library"):
        from harness.networks.own import torchvision_door

        torchvision_door.torchvision()


def _patch_torch() -> list[str]:
    """What Distiller calls in torch and what torch no longer has."""
    applied = []
    for owner, name, replacement in (
        (torch.onnx, "set_training", _set_training),
        (torch.onnx, "_optimize_trace", lambda trace, *_rest: trace),
        (torch.onnx, "OperatorExportTypes", types.SimpleNamespace(ONNX=0)),
        (torch.jit, "get_trace_graph", _trace_graph),
    ):
        if not hasattr(owner, name):
            setattr(owner, name, replacement)
            applied.append(f"{owner.__name__}.{name}: replaced, torch {torch.__version__} has none")
    return applied


def _trace_graph(*arguments: Any, **keywords: Any) -> Any:
    from harness.verification.distiller_trace import get_trace_graph  # needs a torch that has lost its own

    return get_trace_graph(*arguments, **keywords)


@contextlib.contextmanager
def _set_training(model: nn.Module, mode: bool) -> Iterator[None]:
    before = model.training
    model.train(mode)
    try:
        yield
    finally:
        model.train(before)


def _masks_on_their_device(distiller: Any) -> bool:
    ranked = sys.modules.get("distiller.pruning.ranked_structures_pruner")
    if ranked is None or torch.cuda.is_available():
        return False

    def mask_from_filter_order(order: Any, param: Tensor, num_filters: int, binary_map: Tensor | None) -> tuple[Tensor, Tensor]:
        if binary_map is None:
            binary_map = torch.zeros(num_filters, device=param.device)
            binary_map[order] = 1
        mask, kept = distiller.thresholding.expand_binary_map(param, "Filters", binary_map)
        return mask.contiguous().clone(), kept

    ranked.__dict__["_mask_from_filter_order"] = mask_from_filter_order
    return True


def _recipes_may_be_loaded(distiller: Any) -> bool:
    if not hasattr(torch.serialization, "add_safe_globals"):
        return False
    recipe = sys.modules["distiller.thinning"].__dict__["ThinningRecipe"]
    torch.serialization.add_safe_globals([recipe])
    return True


def _imagenet_resnets(_distiller: Any) -> bool:
    module = sys.modules.get("distiller.models.imagenet.resnet")
    if module is None or "arch" in inspect.signature(module.__dict__["_resnet"]).parameters:
        return False
    vision = sys.modules["torchvision"]

    def build(_arch: str, block: Any, layers: list[int], _pretrained: bool, _progress: bool, **options: Any) -> nn.Module:
        resnet: nn.Module = vision.__dict__["models"].ResNet(block, layers, **options)
        return resnet

    module.__dict__["_resnet"] = build
    return True


def _table_precision(distiller: Any) -> bool:
    summaries = sys.modules.get("distiller.model_summaries")
    if summaries is None or isinstance(summaries.__dict__["pd"], _Missing):
        return False
    pandas = summaries.__dict__["pd"]
    if _version(pandas.__version__) < (2,):
        return False
    names = dict(vars(pandas))
    names["set_option"] = lambda option, value: pandas.set_option("display.precision" if option == "precision" else option, value)
    summaries.__dict__["pd"] = types.SimpleNamespace(**names)
    return True


_SHIMS = (
    Shim("filter masks on the parameter's device, copied before division", _masks_on_their_device),
    Shim("thinning recipes loadable with weights_only", _recipes_may_be_loaded),
    Shim("ImageNet ResNets built by today's torchvision", _imagenet_resnets),
    Shim("pandas' precision under its full name", _table_precision),
)
