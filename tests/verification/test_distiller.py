"""The door to Distiller: what is found, what is refused, how its absence is told, and what it compresses when it is there."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from harness.errors import PruningError, UsageError
from harness.networks import groups, zoo
from harness.pruning import surgery
from harness.verification import distiller as door
from harness.verification import distiller_compat, distiller_line
from harness.verification.distiller_trace import get_trace_graph

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_distiller_given(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "live" not in request.node.name:
        monkeypatch.delenv("DISTILLER_HOME", raising=False)


@pytest.fixture
def live(pytestconfig: pytest.Config) -> door.Distiller:
    found = door.find(pytestconfig.getoption("--distiller", None))
    if found is None:
        pytest.skip(f"no live Distiller: {door.HOW_TO_GET}")
    return found


IMITATION = {
    "__init__.py": "from . import scheduler, thinning\n",
    "scheduler.py": "",
    "policy.py": "",
    "models/__init__.py": "",
    "apputils/__init__.py": "from tabulate import tabulate\nfrom git import Repo\nimport pkg_resources\n",
    "data_loggers/__init__.py": "from torchnet.meter import AverageValueMeter\nimport xlsxwriter\n",
    "norms.py": "",
    "thinning.py": "from collections import namedtuple\nThinningRecipe = namedtuple('ThinningRecipe', ['modules', 'parameters'])\n",
    "pruning/__init__.py": "",
    "pruning/automated_gradual_pruner.py": "",
}


@pytest.fixture
def imitation(tmp_path: Path) -> Path:
    """A package with Distiller's files and imports, and nothing in them."""
    for name, text in IMITATION.items():
        path = tmp_path / "checkout" / "distiller" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "checkout"


def run(code: str, *arguments: str, **environment: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **environment},
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


FIND = """
    import os, sys
    from harness.verification import distiller
    before = set(sys.modules)

    def show(path):
        for name in [name for name in sys.modules if name.split(".")[0] == "distiller"]:
            del sys.modules[name]
        distiller._found.clear()
        found = distiller.find(path)
        left = [name for name in ("pkg_resources", "torchnet", "git", "xlsxwriter") if name in sys.modules and name not in before]
        print(found.root, found.commit, left, [shim for shim in found.shims if "pkg_resources" in shim], sep="|")

    checkout = sys.argv[1]
    show(checkout)
    show(checkout + "/distiller")
    os.environ["DISTILLER_HOME"] = checkout
    show(None)
    os.rename(checkout + "/history", checkout + "/.git")
    show(None)
"""


def test_a_checkout_is_found_checked_imported_and_named(imitation):
    """By path, by the package's folder, by the environment variable; with a history, its commit; no stand-in stays behind."""
    git = ["git", "-C", str(imitation), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    (imitation / ".git").rename(imitation / "history")
    found = [line.split("|") for line in run(FIND, str(imitation)).splitlines()]
    assert [root for root, *_ in found] == [str(imitation)] * 4
    assert all(commit.startswith("unknown commit, files ") for _, commit, *_ in found[:3])
    assert found[3][1] == head
    assert all(left == "[]" for _, _, left, _ in found)
    assert all(shims == "['pkg_resources: stand-in during the import']" for *_, shims in found)


def test_the_namesake_of_the_package_index_is_refused(tmp_path):
    (tmp_path / "distiller").mkdir()
    (tmp_path / "distiller" / "__init__.py").write_text("class Distiller: pass\n")
    with pytest.raises(UsageError, match=r"is not IntelLabs Distiller .* pip uninstall distiller"):
        door.find(str(tmp_path))


def test_an_installed_namesake_is_refused_too(tmp_path):
    (tmp_path / "distiller").mkdir()
    (tmp_path / "distiller" / "__init__.py").write_text("")
    code = "from harness.errors import UsageError\nfrom harness.verification import distiller\n"
    code += "try:\n    distiller.find()\nexcept UsageError as error:\n    print(error)\n"
    assert "unrelated package" in run(code, PYTHONPATH=str(tmp_path))


def test_a_place_without_distiller_is_an_error_and_no_place_is_none(tmp_path):
    with pytest.raises(UsageError, match=r"no Distiller in .* clone"):
        door.find(str(tmp_path))
    if "distiller" not in sys.modules:
        assert door.find() is None


def test_the_summary_says_what_was_verified_and_how_to_get_the_rest(monkeypatch):
    monkeypatch.setattr(door, "_found", {})
    assert door.summary_line(True, False).startswith("Distiller verified: recorded (live: no; clone github.com/IntelLabs/distiller")
    assert door.summary_line(False, False).startswith("Distiller verified: no (live: no; clone")
    assert door.summary_line(True, False, broken=1) == ("Distiller verified: no (1 claim came out otherwise than known; see the failures)")
    found = door.Distiller(nn, Path("/somewhere"), "d859fc85a3c9", ("a", "b"))
    monkeypatch.setattr(door, "_found", {found.root: found})
    assert door.summary_line(True, True) == "Distiller verified: recorded and live (/somewhere, d859fc85a3c9, 2 shims)"


CLAIMS = "tests/literature/test_distiller_claims.py"


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ({"passed": ["::test_recorded[e1.01]"], "xfailed": ["::test_recorded[e1.09]"]}, "recorded (live: no; clone"),
        ({"passed": ["::test_recorded[e1.01]", "::test_live[e1.01]"]}, "recorded and live"),
        ({"failed": ["::test_recorded[e1.01]"]}, "no (1 claim came out otherwise than known"),
        ({"passed": ["::test_shipped_schedules_were_read_and_run"]}, "no (live: no; clone"),
        ({"skipped": ["::test_live[no-live-distiller]"]}, ""),
    ],
    ids=["recorded", "live", "broken", "neither", "nothing"],
)
def test_the_line_at_the_end_is_about_the_tests_that_ran(outcomes, told):
    stats = {outcome: [SimpleNamespace(nodeid=CLAIMS + name) for name in names] for outcome, names in outcomes.items()}
    lines = distiller_line.lines(stats | {"": [SimpleNamespace()]})
    assert [line.startswith("Distiller verified: " + told) for line in lines] == [True] * bool(told)


def test_a_run_ends_with_that_line_whatever_it_was_called_with():
    """With a folder as with a file, as ``make test`` calls it."""
    command = [sys.executable, "-m", "pytest", "tests/literature", "-q", "-k", "test_recorded and e1.01", "-p", "no:cacheprovider"]
    output = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    assert output.count("Distiller verified: recorded") == 1, output


def test_what_only_prints_is_importable_and_refuses_on_use():
    missing = distiller_compat._Missing("xlsxwriter")
    with pytest.raises(UsageError, match="pip install xlsxwriter"):
        missing.Workbook("a.xlsx")


def test_the_trace_names_modules_kinds_and_shapes():
    model = zoo.build("resnet20", (3, 32, 32), 10)
    trace, output = get_trace_graph(model, torch.zeros(1, 3, 32, 32))
    nodes = trace.graph().nodes()
    assert output.shape == (1, 10)
    assert [node.kind() for node in nodes[:3]] == ["onnx::Conv", "onnx::BatchNormalization", "onnx::Relu"]
    strided = next(node for node in nodes if node.scopeName().endswith("Module[layer2]/Module[0]/Module[conv1]"))
    assert {name: strided[name] for name in strided.attributeNames()} == {
        "dilations": [1, 1],
        "group": 1,
        "kernel_shape": [3, 3],
        "pads": [1, 1, 1, 1],
        "strides": [2, 2],
    }
    assert "(1, 32, 16, 16)" in strided.outputs()[0].node()
    assert sum(node.kind() == "onnx::Add" for node in nodes) == 9
    assert trace.outputs()[0].debugName() == nodes[-1].outputs()[0].debugName()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_trace_follows_pools_concatenations_and_aliases():
    class Mixed(nn.Module):
        def forward(self, x):
            y = F.max_pool2d(F.dropout(x, 0.5, False), 2, 2, 1)
            return torch.cat([y, y.contiguous()], 1).flatten(1)

    trace, _ = get_trace_graph(Mixed(), torch.zeros(1, 2, 8, 8))
    pool, joined, flat = trace.nodes()
    assert pool["kernel_shape"] == pool["strides"] == [2, 2]
    assert pool["pads"] == [1, 1, 1, 1]
    assert {source.debugName() for source in joined.inputs()} == {pool.outputs()[0].debugName()}
    assert flat.kind() == "onnx::Flatten"


SCHEDULE = """
pruners:
  interiors: {class: L1RankedStructureParameterPruner, group_type: Filters, desired_sparsity: 0.5,
              weights: [module.layer1.0.conv1.weight, layer2.1.conv1]}
extensions:
  removal: {class: FilterRemover, thinning_func_str: remove_filters, arch: resnet20_cifar, dataset: cifar10}
policies:
  - {pruner: {instance_name: interiors}, epochs: [0]}
  - {extension: {instance_name: removal}, epochs: [0]}
"""


def _batches():
    torch.manual_seed(0)
    return [(torch.randn(4, 3, 32, 32), torch.arange(4)) for _ in range(2)]


def test_live_distiller_compresses_and_our_removal_shrinks(live, tmp_path):
    model = zoo.build("resnet20", (3, 32, 32), 10)
    architecture = groups.architecture_of(model, "resnet20", (3, 32, 32), 10)
    before = model.layer1[0].conv1.weight.detach().abs().sum((1, 2, 3))
    (tmp_path / "schedule.yaml").write_text(SCHEDULE)
    found = door.compress(live, model, architecture, tmp_path / "schedule.yaml", _batches)
    assert found.config == architecture.partial({"layer1.0.conv1": 8, "layer2.1.conv1": 16})
    kept = found.scores["layer1.0.conv1"].bool()
    assert float(before[kept].min()) >= float(before[~kept].max())
    small = surgery.prune(model, architecture, found.config, found.scores)
    assert small.layer1[0].conv1.weight.shape == (8, 16, 3, 3)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = surgery.masked(model, architecture, found.config, found.scores).eval()(x)
        torch.testing.assert_close(small.eval()(x), expected, atol=1e-4, rtol=1e-3)


def test_live_distiller_without_a_leader_leaves_coupled_layers_apart_and_we_say_so(live, tmp_path):
    model = zoo.build("resnet20", (3, 32, 32), 10)
    architecture = groups.architecture_of(model, "resnet20", (3, 32, 32), 10)
    names = "layer2.0.conv2, layer2.0.downsample.0, layer2.1.conv2, layer2.2.conv2"
    (tmp_path / "schedule.yaml").write_text(SCHEDULE.replace("module.layer1.0.conv1.weight, layer2.1.conv1", names))
    with pytest.raises(PruningError, match=r"different channels in layer2\.0\.conv2 and .*Leader"):
        door.compress(live, model, architecture, tmp_path / "schedule.yaml", _batches)


def test_live_schedules_are_read_as_distiller_reads_them(live):
    """Every shipped schedule of a network that we have: our counts equal what the schedule itself publishes."""
    from harness.pruning.schedule import read_schedule

    published = {
        "pruning_filters_for_efficient_convnets/resnet56_cifar_filter_rank.yaml": 78_856_832,
        "pruning_filters_for_efficient_convnets/resnet56_cifar_filter_rank_v2.yaml": 67_797_632,
        "pruning_filters_for_efficient_convnets/resnet56_cifar_channel_rank.yaml": 66_592_384,
        "network_trimming/resnet56_cifar_activation_apoz.yaml": 78_856_832,
        "network_trimming/resnet56_cifar_activation_apoz_v2.yaml": 67_797_632,
        "agp-pruning/resnet20_filters.schedule_agp.yaml": 30_655_104,
        "agp-pruning/resnet20_filters.schedule_agp_4.yaml": 24_723_776,
    }
    for name, macs in published.items():
        network = name.split("/")[1].split("_")[0]
        architecture = groups.architecture_of(zoo.build(network, (3, 32, 32), 10), network, (3, 32, 32), 10)
        assert architecture.macs(read_schedule(live.root / "examples" / name, architecture).config) == macs, name
