"""The walls of the house: who may import whom, what a module may contain, what is shipped to old interpreters."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = sorted(path for folder in ("harness", "search") for path in (ROOT / folder).rglob("*.py"))
SHIPPED = ROOT / "harness" / "devices" / "agent"

# The floor of each room and of each module that lies in none. The second number is the order inside a floor; where it is 0, nobody on
# the same floor may call the room.
FLOORS = {
    "harness.errors": (0, 0),
    "harness.progress": (0, 0),
    "harness.files": (1, 1),
    "harness.records": (1, 2),
    "harness.packing": (1, 3),
    "harness.latency.verdict": (2, 1),
    "harness.latency.model": (2, 2),
    "harness.latency.explanation": (2, 3),
    "harness.devices": (2, 0),
    "harness.doctor": (3, 0),
    "harness.networks.pictures": (1, 3),
    "harness.networks.channels": (1, 3),
    "harness.networks.own": (1, 2),
    "harness.networks.foreign": (1, 2),
    "harness.networks.weights": (1, 2),
    "harness.networks.tasks": (2, 4),
    "harness.networks": (2, 5),
    "harness.pruning": (3, 0),
    "harness.quantisation": (3, 0),
    "harness.verification": (4, 0),
    "harness.training": (4, 0),
    "harness.exported": (4, 1),
    "harness.pipeline": (5, 0),
    "harness.pages": (5, 0),
    "harness.history": (6, 0),
    "harness.compare": (6, 1),
    "harness.sweeps": (6, 2),
    "harness.runner": (7, 0),
    "search.records.losses": (7, 1),
    "search.records": (8, 1),
    "search.space": (8, 2),
    "search.optimizer": (8, 3),
    "search.workers": (8, 4),
    "search.campaign": (8, 5),
    "search.proof": (8, 6),
    "search.report.figures": (8, 7),
    "search.report.costs": (8, 8),
    "search.report": (8, 9),
    "search.race": (8, 10),
    "search.journey": (8, 11),
    "search.experiment": (8, 12),
    "search.command_line": (8, 13),
    "search.verbs": (8, 14),
    "search.__main__": (8, 15),
}

# Who alone imports a heavy package: a folder, or single files; nobody where there are none.
HEAVY = {
    "distiller": ("harness/verification/",),
    "smac": ("search/optimizer/",),
    "dask": ("search/workers/",),
    "distributed": ("search/workers/",),
    "onnx": (
        *("harness/networks/export.py", "harness/networks/onnx_", "harness/networks/foreign/"),
        *("harness/pruning/graph_", "harness/pruning/shape_exports.py"),
    ),
    "nncf": ("harness/quantisation/",),
    "openvino": (),
    "onnxruntime": (),
    "tensorrt": (),
    "torch_pruning": ("harness/pruning/global_pruning.py",),
    "torchvision": ("harness/networks/own/torchvision_door.py",),
    "timm": ("harness/sweeps/surveyed.py",),
    "optuna": ("search/report/optuna_export.py",),
}

MOST_LINES, MOST_MODULES = 300, 15  # of a module, of a folder; more means that a second idea wants a name, that a room wants walls
OUR_FOLDERS = ("harness", "search", "bench", "tests", "examples")
FORBIDDEN_NAMES = {"utils", "common", "helpers", "manager", "handler", "factory", "core", "base"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    """The room of a module, or the module itself where it lies in none."""
    return max((known for known in FLOORS if module == known or module.startswith(known + ".")), key=len)


def may_call(ours: str, imported: str) -> bool:
    """Whether ``imported`` lies in the same room, on a lower floor, or further down on the same one."""
    (floor, step), (their_floor, their_step) = FLOORS[room(ours)], FLOORS[room(imported)]
    return room(ours) == room(imported) or their_floor < floor or (their_floor == floor and 0 < their_step < step)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} uses a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_module(name: str) -> bool:
    return name.startswith(("harness.", "search.")) and ROOT.joinpath(*name.split(".")).with_suffix(".py").exists()


def test_every_module_lies_in_a_room_with_a_floor() -> None:
    modules = [module_name(path) for path in PRODUCT if path.name != "__init__.py"]
    homeless = [name for name in modules if not any(name == known or name.startswith(known + ".") for known in FLOORS)]
    assert not homeless, "give its room a floor, here and in README's picture"
    assert not set(FLOORS) - {room(name) for name in modules}, "a room that is gone"


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.name != "__init__.py"], ids=module_name)
def test_imports_go_down_or_stay_in_the_room(path: Path) -> None:
    ours = module_name(path)
    for imported in filter(is_module, imports(path)):
        assert may_call(ours, imported), f"{ours} ({FLOORS[room(ours)]}) imports {imported} ({FLOORS[room(imported)]})"


def test_the_rooms_can_be_looked_at() -> None:
    """``pytest tests/test_architecture.py -k looked_at -s`` prints every room with its floor, what it is for, and whom it calls."""
    called: dict[str, set[str]] = {}
    for path in PRODUCT:
        if path.name != "__init__.py":
            ours = module_name(path)
            called.setdefault(room(ours), set()).update(room(name) for name in filter(is_module, imports(path)))
    print()
    for name, (floor, step) in sorted(FLOORS.items(), key=lambda item: (item[1], item[0])):
        folder = ROOT.joinpath(*name.split("."))
        source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        sentence = (ast.get_docstring(ast.parse(source.read_text())) or "").splitlines()[0]
        print(f"{floor}.{step:<2} {name}: {sentence}" if step else f"{floor}    {name}: {sentence}")
        print(f"{'':21}calls {', '.join(sorted(called[name] - {name}, key=lambda one: FLOORS[one])) or 'nobody'}")
    assert set(called) == set(FLOORS)


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
    assert not {path for path in importers if not path.startswith(HEAVY[package])}


@pytest.mark.parametrize("place", ["harness.records", "harness.latency"])
def test_records_and_latency_need_no_torch_pytest_smac_or_device(place: str) -> None:
    modules = [module_name(path) for path in PRODUCT if module_name(path).startswith(place)]
    script = f"import sys; [__import__(m) for m in {modules}]; print(*sorted(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split())
    assert not loaded & {"torch", "pytest", "smac", "openvino", "harness.devices"}
    if place == "harness.records":
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
def test_a_module_begins_with_a_sentence(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_a_module_stays_readable() -> None:
    lines = {path: len(path.read_text().splitlines()) for folder in OUR_FOLDERS for path in (ROOT / folder).rglob("*.py")}
    long = {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > MOST_LINES}
    assert not long, "a second idea wants a module of its own"


def test_a_room_stays_in_view() -> None:
    """One of the files that are shipped to a device stands for one runtime or one part of it: they lie flat, as they do over there."""
    modules = [path for folder in OUR_FOLDERS for path in (ROOT / folder).rglob("*.py") if path.name not in ("__init__.py", "conftest.py")]
    counts = Counter(path.parent for path in modules if path.parent != SHIPPED)
    full = {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > MOST_MODULES}
    assert not full, "the room wants walls"


def test_tests_mirror_the_rooms() -> None:
    """``bench/`` has tests of its own, and the literature, the performance and the attacks are not of one room; what is shipped lies flat,
    and one runtime's tests may have a folder, as those have that need a server of their own."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        place = path.parent.relative_to(ROOT / "tests")
        place = Path(*place.parts[:2]) if place.parts[:2] == ("devices", "agent") else place
        place = Path("devices") if place.parts[:2] == ("devices", "over_ssh") else place
        if place.parts and place.parts[0] not in ("attacks", "bench", "literature", "performance"):
            assert (ROOT / place if place.parts[0] == "search" else ROOT / "harness" / place).is_dir(), path


def test_no_bare_except_and_no_swallowed_exception() -> None:
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno} catches everything"
                names = ast.unparse(node.type)
                swallowed = names in ("Exception", "BaseException") and all(isinstance(part, ast.Pass) for part in node.body)
                assert not swallowed, f"{path}:{node.lineno} swallows every exception"


def test_the_readme_shows_the_house_as_it_is() -> None:
    """Every room and every module that lies in none, under the folder it is in, with its floor."""
    shown: dict[str, tuple[int, int]] = {}
    above: list[str] = []
    block = next(block for block in re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "harness/\n" in block)
    for line in block.splitlines():
        indent, names, floor = re.fullmatch(r"( *)([\w./]+(?:, [\w./]+)*)(?: +(\d+(?:\.\d+)?)(?= )| |$).*", line).groups()
        above[len(indent) // 2 :] = [names.rstrip("/")]
        for name in names.split(", "):
            if floor is not None:
                major, _, minor = floor.partition(".")
                shown[".".join([*above[:-1], name.rstrip("/").removesuffix(".py")])] = (int(major), int(minor or 0))
    assert shown == FLOORS


def test_no_page_holds_the_marks_of_a_merge() -> None:
    pages = [ROOT / "CHANGELOG.md", ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("reports/*.md")]
    marked = [path.name for path in pages if re.search(r"^(<{7}|>{7}) ", path.read_text(), re.MULTILINE)]
    assert not marked
