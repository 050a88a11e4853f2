"""Verify pruning libraries against the literature and write the verdict as a page: ``python -m harness.verification.verify``.

It runs ``tests/literature`` of this checkout and reads what each claim came to for each library, so the page says nothing
that a test did not.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import HarnessError, UsageError
from harness.verification import distiller, latency_effect, precision_effect
from harness.verification import page as verification_page
from harness.verification.page import AGREES, BREAKS, DEVIATES, NOT_RUN, SUBJECTS, Judgement

ROOT = Path(__file__).parents[2]
PAGE, REPORTS = Path("reports/distiller/verification.md"), Path("reports")
_SEEN_CHARACTERS = 200
# The tests that put a claim to a library; the others are controls.
_PUTTING = {
    "test_the_law_holds": "",
    "test_the_law_holds_for_a_live_distiller": "distiller",
    "test_live": "distiller",
    "test_recorded": "distiller-recorded",
}


class Collector:
    """A pytest plugin that turns tests of claims into judgements."""

    def __init__(self) -> None:
        self.judgements: list[Judgement] = []
        self._claims: dict[str, tuple[str, Any]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remember which claim and which library each test is about."""
        for item in items:
            name = getattr(item, "originalname", "")
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            claim = parameters.get("law") or parameters.get("claim")
            if name in _PUTTING and claim is not None:
                self._claims[item.nodeid] = (_PUTTING[name] or parameters["subject"].name, claim)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the outcome of the call, or of a setup that ended the test."""
        if report.nodeid in self._claims and (report.when == "call" or (report.when == "setup" and not report.passed)):
            subject, claim = self._claims[report.nodeid]
            if subject in SUBJECTS:
                self.judgements.append(_judgement(subject, claim, report))


def judge(subjects: Sequence[str], distiller_path: str | None) -> list[Judgement]:
    """Run the literature's tests and return what they came to, for these libraries only; all of them when none is named."""
    tests = ROOT / "tests" / "literature"
    if not tests.is_dir():
        raise UsageError(f"the literature's tests are not at {tests}; run this from a checkout of the repository")
    if distiller_path:
        os.environ["DISTILLER_HOME"] = distiller_path
    collector, output = Collector(), io.StringIO()
    with contextlib.redirect_stdout(output):
        code = pytest.main([str(tests), f"--rootdir={ROOT}", "-q", "-p", "no:cacheprovider"], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not collector.judgements:
        raise UsageError(f"the literature's tests did not run:\n{output.getvalue()[-2000:]}\nrun: python -m pytest {tests}")
    return [found for found in _with_absent_distiller(collector.judgements) if not subjects or found.subject in subjects]


def _with_absent_distiller(judgements: list[Judgement]) -> list[Judgement]:
    """Where no live Distiller was there, every claim that its recording was put to is one that was not run live."""
    if any(found.subject == "distiller" for found in judgements):
        return judgements
    recorded = [found for found in judgements if found.subject == "distiller-recorded"]
    return judgements + [replace(found, subject="distiller", outcome=NOT_RUN, finding="", seen="") for found in recorded]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when every claim came to what is known, 1 when one did not, 2 when the run could not be made."""
    options = _parser().parse_args(arguments)
    try:
        found = distiller.find(options.distiller)
        judgements = judge(options.subject, options.distiller)
        stored = precision_effect.read(options.reports)
        effects = None if options.no_latency else latency_effect.measure(options.network, options.device)
    except HarnessError as error:
        print(f"verify: {error}", file=sys.stderr)
        return error.exit_code
    parts = verification_page.page(judgements, _facts(found, judgements, options), effects, stored)
    path = options.output or (PAGE.with_suffix(".html") if options.html else PAGE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(verification_page.hypertext(parts) if options.html else verification_page.markdown(parts))
    broken = [one for one in judgements if one.outcome == BREAKS]
    for one in broken:
        print(f"BREAKS: {one.subject}: {one.says} ({one.cites}): {one.seen}")
    print(f"{parts[0].text}\n{_summary(judgements)}\nwrote {path}\nrepeat: {_command(options)}")
    return 1 if broken else 0


def _judgement(subject: str, claim: Any, report: pytest.TestReport) -> Judgement:
    expected = hasattr(report, "wasxfail")
    outcome = AGREES if report.passed else DEVIATES if report.skipped and expected else NOT_RUN if report.skipped else BREAKS
    reason = str(getattr(report, "wasxfail", ""))
    finding = reason.removeprefix("reason: ").split(":")[0] if outcome == DEVIATES else ""
    crash = getattr(report.longrepr, "reprcrash", None)
    seen = " ".join(str(crash.message).split()) if crash is not None else str(report.longrepr or "")
    seen = seen.removeprefix("AssertionError: ").removeprefix(f"{claim.says}: ")
    return Judgement(
        subject, claim.method, claim.says, claim.cites, outcome, finding, seen[:_SEEN_CHARACTERS] if outcome in (DEVIATES, BREAKS) else ""
    )


def _summary(judgements: Sequence[Judgement]) -> str:
    ran = [one for one in judgements if one.outcome != NOT_RUN and one.subject in ("distiller", "distiller-recorded")]
    recorded, live = (any(one.subject == subject for one in ran) for subject in ("distiller-recorded", "distiller"))
    return distiller.summary_line(recorded, live, broken=sum(one.outcome == BREAKS for one in ran))


def _facts(found: distiller.Distiller | None, judgements: Sequence[Judgement], options: argparse.Namespace) -> list[tuple[str, str]]:
    facts = [
        ("date", datetime.date.today().isoformat()),
        ("Python, torch", f"{platform.python_version()}, {torch.__version__}"),
        ("Distiller", _summary(judgements).replace(str(found.root) if found else "\0", "a user's copy")),
        ("recorded", f"Distiller {distiller.VERIFIED_COMMIT[:12]} under Python 3.7.16, torch 1.3.1, native"),
    ]
    return [*facts, *([("shims", "; ".join(found.shims))] if found else []), ("command", f"`{_command(options)}`")]


def _command(options: argparse.Namespace) -> str:
    words = ["python", "-m", "harness.verification.verify"]
    words += [f"--subject={subject}" for subject in options.subject]
    words += ["--distiller=PATH"] * bool(options.distiller or os.environ.get("DISTILLER_HOME"))
    words += [f"--reports={options.reports}"] * (options.reports != REPORTS)
    words += ["--html"] * options.html + ["--no-latency"] * options.no_latency
    return shlex.join(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness.verification.verify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--subject", action="append", default=[], choices=SUBJECTS, help="only this library; may be repeated")
    parser.add_argument(
        "--distiller", metavar="PATH", help="a checkout of IntelLabs Distiller (default: DISTILLER_HOME, or an installed one)"
    )
    parser.add_argument("--html", action="store_true", help="write HTML instead of Markdown")
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"where to write (default: {PAGE})")
    parser.add_argument(
        "--reports", type=Path, default=REPORTS, metavar="DIR", help="records that tell of precisions (default: %(default)s)"
    )
    parser.add_argument("--no-latency", action="store_true", help="do not measure which ways of pruning reduce latency")
    parser.add_argument("--device", default="cpu", help="where to measure that (default: %(default)s)")
    parser.add_argument("--network", default="resnet20", help="on which network (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
