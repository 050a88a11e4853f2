"""pytest hooks of the gate: its options, its exit code, its table in the terminal, its annotations and files."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any, NoReturn

import pytest

from harness.compare import gate as gates
from harness.compare.gate import Gate
from harness.errors import HarnessError, NoisyMeasurement
from harness.pages import findings as page
from harness.pages import tables
from harness.pages.findings import Refusal
from harness.runner import gating
from harness.runner.gating import Gating

GATING = pytest.StashKey[Gating]()
GATES = "gates"  # the mark of tests that ask the gate


@pytest.fixture(scope="session", name="gating")
def _gating(request: pytest.FixtureRequest) -> Gating:
    """The gate of this run."""
    return request.config.stash[GATING]


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the baseline and the limits before anything is measured; exit code 2, told as CI wants it, where that cannot be."""
    config.addinivalue_line("markers", f"{GATES}: the test asks the regression gate")
    try:
        gates.check_places(*gating.places(config))
        config.stash[GATING] = Gating.of(config)
    except HarnessError as error:
        end(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Tell a question that could not be asked from a gate that failed, and put the findings beside the test in JUnit's file."""
    report = yield
    found = item.config.stash[GATING]
    if call.excinfo is None or report.outcome != "failed":
        return report
    if isinstance(call.excinfo.value, HarnessError) and not isinstance(call.excinfo.value, NoisyMeasurement):
        found.refused.add(item.nodeid)
        if item.get_closest_marker(GATES) is not None:
            found.gate.refusals.append(Refusal(item.name, str(call.excinfo.value)))
    else:
        found.failed.add(item.nodeid)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Any:
    """Exit code 2 where nothing failed but what could not be asked; the gate's files."""
    found = session.config.stash.get(GATING, None)
    if found is not None:
        if found.gate:
            gating.write_files(session.config, found.gate)
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and found.refused and not found.failed:
            session.exitstatus = gates.NOT_ASKED
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Every verdict, also those that pass."""
    found = config.stash[GATING].gate
    if not found:
        return
    width = max(tables.LEAST_COLUMNS, shutil.get_terminal_size().columns)
    terminalreporter.section("gate")
    if found.findings:
        terminalreporter.write(tables.text(page.tables(found.findings, width), width))
    for refusal in found.refusals:
        terminalreporter.write_line(refusal.sentence())
    terminalreporter.write_line(f"gate: {page.summary(found.findings, found.refusals)}")
    for line in [*gates.annotation_lines(os.environ, found), gates.append_summary(os.environ, found.markdown())]:
        if line:
            terminalreporter.write_line(line)


def end(error: HarnessError) -> NoReturn:
    """End the run with the error's one line and exit code, told as CI wants it, before a terminal reporter or a test is there."""
    refused = Gate(refusals=[Refusal("run", str(error))])
    for line in [*gates.annotation_lines(os.environ, refused), gates.append_summary(os.environ, refused.markdown())]:
        if line:
            print(line, file=sys.stderr, flush=True)
    pytest.exit(str(error), returncode=error.exit_code)
