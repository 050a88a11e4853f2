"""What pytest loads wherever Espalier is installed: a few options and four fixtures, which import nothing before a test asks for one.

Every option begins with ``--espalier``, so that none meets a repository's own; where our own suites run, it stands back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.compare.limits import Limits
    from harness.devices.session import Session
    from harness.runner.elsewhere.measuring import Measuring

OWN_SUITES = "harness.runner.plugin"
FIXTURES = "espalier-fixtures"
DEVICE_INI = "espalier_device"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options."""
    option = parser.getgroup("espalier-fixtures", "latency on devices, by the fixtures device, measure, compare and limits").addoption
    option("--espalier-device", action="append", metavar="NAME", help=f"where to measure; repeatable (default: ini {DEVICE_INI}, or cpu)")
    option("--espalier-precision", metavar="P", help="what the runtime computes in, such as f16 (default: f32)")
    option("--espalier-rounds", type=int, metavar="N", help="samples of each network (default: 500; 1500 in comparisons)")
    option("--espalier-json", type=Path, metavar="FILE", help="write what was measured there, for compare() and later runs")
    parser.addini(DEVICE_INI, "devices that the fixture device opens, when --espalier-device names none", type="args", default=["cpu"])


def pytest_configure(config: pytest.Config) -> None:
    """Offer the fixtures, unless our own suites run, which have theirs."""
    manager = config.pluginmanager
    if manager.has_plugin(OWN_SUITES) or manager.has_plugin(FIXTURES):
        return
    if any(config.getoption(name) is not None for name in ("espalier_device", "espalier_rounds", "espalier_json")):
        from harness.runner.elsewhere import measuring

        measuring.check(config, device_names(config))
    run = Run(config)
    manager.register(run, f"{FIXTURES}-run")
    manager.register(_offered(run, device_names(config)), FIXTURES)


def device_names(config: pytest.Config) -> list[str]:
    """The devices of this run, each once."""
    return list(dict.fromkeys(config.getoption("espalier_device") or config.getini(DEVICE_INI)))


class Run:
    """What this run measures, and the hooks that tell it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._measuring: Measuring | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Show a mistake of ours, or a device's, as its one line."""
        report = yield
        errors = sys.modules.get("harness.errors")  # not imported: then none of its errors was raised
        raised = None if call.excinfo is None else call.excinfo.value
        if errors is not None and isinstance(raised, errors.HarnessError) and item.config.getoption("tbstyle") != "long":
            report.longrepr = str(raised)
        return report

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table of what was measured."""
        if self._measuring is not None:
            self._measuring.tell(terminalreporter)

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        """Write the file that was asked for."""
        if self._measuring is not None:
            self._measuring.write()

    def measuring(self) -> Measuring:
        """What this run measures, begun when a test first asks."""
        if self._measuring is None:
            from harness.runner.elsewhere.measuring import Measuring

            self._measuring = Measuring(self.config)
        return self._measuring


def _offered(run: Run, names: list[str]) -> ModuleType:
    """The fixtures as a plugin; of several devices every test that asks for one runs on each.

    They are a module's functions: pytest 9 warns of fixtures for a whole session that are an object's methods.
    """

    @pytest.fixture(scope="session", params=names if len(names) > 1 else None)
    def device(request: pytest.FixtureRequest) -> Iterator[Session]:
        """An open device, for this run alone; an error, never a skip, where it is not there."""
        with run.measuring().opened(getattr(request, "param", names[0])) as session:
            yield session

    @pytest.fixture
    def measure(device: Session) -> Callable[..., Any]:
        """Function: the Measurement of a model, an ONNX file or a torch module, on ``device``."""
        return run.measuring().on(device).measure

    @pytest.fixture
    def compare(device: Session) -> Callable[..., Any]:
        """Function: the Finding of a model against another, measured in turns, or against a stored file."""
        return run.measuring().on(device).compare

    @pytest.fixture(scope="session")
    def limits() -> Callable[[str], Limits]:
        """Function: the Limits that ``[tool.espalier.limits]`` of the repository's pyproject.toml sets for a network."""
        return run.measuring().limits

    offered = ModuleType(FIXTURES)
    vars(offered).update(device=device, measure=measure, compare=compare, limits=limits)
    return offered
