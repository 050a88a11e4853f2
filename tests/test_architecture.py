"""The walls of the house: who may import whom, what a module may contain, what is shipped to old interpreters."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = sorted(path for folder in ("harness", "search") for path in (ROOT / folder).rglob("*.py"))
SHIPPED = ROOT / "harness" / "devices" / "agent"

# The floor of each room, longest prefix first; a module imports from lower floors or from its own folder.
FLOORS = {
    "harness.errors": 0,
    "harness.records": 1,
    "harness.latency": 2,
    "harness.devices": 2,
    "harness.networks": 2,
    "harness.pruning": 3,
    "harness.training": 4,
    "harness.pipeline": 5,
    "harness.plugin": 6,
    "harness": 5,
    "search": 7,
}

HEAVY = {
    "distiller": {"harness/pruning/distiller.py", "harness/pruning/distiller_compat.py"},
    "smac": {
        "search/campaign.py",
        "search/surrogate.py",
        "search/acquisition.py",
        "search/array_search.py",
        "search/selector.py",
        "search/compare.py",
    },
    "dask": {"search/workers.py"},
    "distributed": {"search/workers.py"},
    "onnx": {"harness/networks/export.py"},
    "openvino": set(),
    "torch_pruning": {"harness/networks/groups.py", "harness/pruning/surgery.py"},
    "torchvision": {"harness/networks/torchvision_door.py"},
}

FORBIDDEN_NAMES = {"utils", "common", "helpers", "manager", "handler", "factory", "core", "base"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def floor(module: str) -> int:
    room = max((known for known in FLOORS if module == known or module.startswith(known + ".")), key=len)
    return FLOORS[room]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} uses a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_module(name: str) -> bool:
    stem = ROOT.joinpath(*name.split("."))
    return stem.with_suffix(".py").exists() or (stem / "__init__.py").exists()


@pytest.mark.parametrize("path", PRODUCT, ids=module_name)
def test_imports_go_down_or_stay_in_the_room(path: Path) -> None:
    ours = module_name(path)
    for imported in imports(path):
        if not imported.startswith(("harness", "search")) or not is_module(imported) or imported in ("harness", "search"):
            continue
        same_room = imported.rsplit(".", 1)[0] == ours.rsplit(".", 1)[0] or ours.startswith(imported + ".")
        assert same_room or floor(imported) < floor(ours), f"{ours} (floor {floor(ours)}) imports {imported} (floor {floor(imported)})"


def test_no_import_circles_inside_a_room() -> None:
    graph = {module_name(path): {name for name in imports(path) if is_module(name)} for path in PRODUCT}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"circle: {' -> '.join((*trail, module))}"
        if module not in done:
            for imported in graph.get(module, set()):
                visit(imported, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("package", sorted(HEAVY))
def test_a_heavy_package_has_one_importer(package: str) -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in PRODUCT
        if SHIPPED not in path.parents and any(name == package or name.startswith(package + ".") for name in imports(path))
    }
    assert importers <= HEAVY[package]


@pytest.mark.parametrize("room", ["harness.records", "harness.latency"])
def test_records_and_latency_need_no_torch_pytest_smac_or_device(room: str) -> None:
    modules = [module_name(path) for path in PRODUCT if module_name(path).startswith(room)]
    script = f"import sys; [__import__(m) for m in {modules}]; print(*sorted(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split())
    assert not loaded & {"torch", "pytest", "smac", "openvino", "harness.devices"}
    if room == "harness.records":
        assert "numpy" not in loaded


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.py")), ids=lambda path: path.name)
def test_what_is_shipped_parses_under_python_3_6_and_imports_nothing_of_ours(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 6))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in names if name.split(".")[0] in ("harness", "search")}


def test_bench_and_search_do_not_import_each_other() -> None:
    for folder, other in (("bench", "search"), ("search", "bench")):
        for path in (ROOT / folder).rglob("*.py"):
            assert not [name for name in imports(path) if name == other or name.startswith(other + ".")], path


@pytest.mark.parametrize("path", [p for p in PRODUCT if p.name == "__init__.py"], ids=module_name)
def test_a_package_file_holds_a_docstring_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_module_names_say_what_is_inside() -> None:
    assert not [path for path in PRODUCT if path.stem in FORBIDDEN_NAMES]


@pytest.mark.parametrize("path", PRODUCT, ids=module_name)
def test_a_module_begins_with_a_sentence_and_stays_readable(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert len(path.read_text().splitlines()) <= 400, "a second idea wants a module of its own"


def test_no_bare_except_and_no_swallowed_exception() -> None:
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno} catches everything"
                names = ast.unparse(node.type)
                swallowed = names in ("Exception", "BaseException") and all(isinstance(part, ast.Pass) for part in node.body)
                assert not swallowed, f"{path}:{node.lineno} swallows every exception"


def test_the_readme_shows_the_house_as_it_is() -> None:
    picture = (ROOT / "README.md").read_text()
    for room in ("records/", "latency/", "devices/", "networks/", "pruning/", "training/", "pipeline.py", "plugin.py", "search/", "bench/"):
        assert re.search(rf"(?m)^\s*{re.escape(room)}", picture), f"README's picture of the house lacks {room}"
