"""What is let pass is read from pyproject.toml, from the general to the special; what is no limit is refused by its name."""

import pytest

from harness.compare.limits import Limits, limits
from harness.errors import UsageError


@pytest.fixture
def pyproject(tmp_path):
    def write(text):
        path = tmp_path / "pyproject.toml"
        path.write_text(text)
        return path

    return write


def test_the_special_overrides_the_general(pyproject) -> None:
    path = pyproject(
        "[tool.espalier.limits]\nnetwork = 0.1\np99_ms = 9\ntop1_percent = 90\n"
        "[tool.espalier.limits.devices.ncs2]\np99_ms = 30\n"
        "[tool.espalier.limits.resnet20]\nlayer = 0.2\np99_ms = 5\nlayers = {conv1 = 0.5}\n"
        "[tool.espalier.limits.resnet20.devices.ncs2]\np99_ms = 20\nlayers = {fc = 0.7}\n"
    )
    cpu, ncs2 = limits("resnet20", path, "cpu"), limits("resnet20", path, "ncs2")
    assert (cpu.network, cpu.layer, cpu.at("p99_ms"), cpu.at("top1_percent")) == (0.1, 0.2, 5, 90)
    assert (cpu.of_layer("conv1"), cpu.of_layer("fc")) == (0.5, 0.2)
    assert (ncs2.at("p99_ms"), ncs2.of_layer("conv1"), ncs2.of_layer("fc")) == (20, 0.5, 0.7)
    assert limits("resnet56", path, "ncs2").at("p99_ms") == 30
    assert limits("resnet56", path, "cpu").at("p99_ms") == 9


def test_without_a_file_or_a_table_the_defaults_hold(pyproject, tmp_path) -> None:
    assert limits("resnet20", tmp_path / "none.toml") == Limits() == limits("resnet20", pyproject("[tool.other]\n"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool.espalier.limits]\nmedian_ms = inf\n", "give a number of at least 0"),
        ("[tool.espalier.limits]\nnetwork = '3%'", "network = '3%': give a ratio such as 0.03"),
        ("[tool.espalier.limits]\nnetwork = -0.1", "network = -0.1: give a ratio"),
        ("[tool.espalier.limits]\nnetwork = true", "network = True: give a ratio"),
        ("[tool.espalier.limits.resnet20]\np99_mss = 3", "no limit p99_mss .did you mean p99_ms"),
        ("[tool.espalier.limits.resnet20]\np99_ms = nan", "p99_ms = nan: give a number"),
        ("[tool.espalier.limits.resnet20]\ndeadline_miss_ratio = 2", "give a number of at least 0, 1 at most"),
        ("[tool.espalier.limits.resnet20]\nlayers = 3", "layers = 3: write it as a table"),
        ("[tool.espalier.limits.resnet20.layers]\nconv1 = 'a'", "resnet20.layers. conv1 = 'a': give a ratio"),
        ("[tool.espalier.limits.resnet20.devices]\ncpu = 3", "cpu = 3: write it as a table"),
        ("[tool.espalier]\nlimits = 3", "is no table"),
        ("[tool.espalier.limits]\nresnet20 = 0.05", "resnet20 = 0.05: write .tool.espalier.limits.resnet20."),
        ("[tool", "pyproject.toml"),
    ],
)
def test_what_is_no_limit_is_refused(pyproject, text, told) -> None:
    with pytest.raises(UsageError, match=told):
        limits("resnet20", pyproject(text), "cpu")
