"""``python -m harness.compare before.json after.json``: the gate over two files, without a device.

Exit codes, as of the live gate: 0 every limit is met, 1 the gate failed, 2 it could not be asked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.compare import baseline, gate
from harness.compare.baseline import Baseline
from harness.compare.files import Comparison
from harness.compare.gate import Gate
from harness.errors import HarnessError, UsageError
from harness.files.numbers import number
from harness.latency.verdict.judgement import SAME_WITHIN
from harness.pages import findings as page
from harness.pages import tables
from harness.pages.findings import Refusal

SLOWER, OPEN, NEVER = "slower", "cannot-tell", "never"


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m harness.compare", description=__doc__.splitlines()[0] if __doc__ else None)
    words.add_argument("before", type=Path, help="file of pytest bench/ --benchmark-json=FILE: the baseline")
    words.add_argument("after", type=Path, help="another one, of the change")
    words.add_argument(
        "--fail-on",
        choices=(SLOWER, OPEN, NEVER),
        default=SLOWER,
        help="exit with 1 where a limit is missed, also where it cannot be told, or never (default: %(default)s)",
    )
    words.add_argument("--strict-conditions", action="store_true", help="versions must agree too, and no network may be missing")
    words.add_argument("--allow-different", action="append", default=[], metavar="KEYS", help="conditions that may differ, by comma")
    words.add_argument("--limits", type=Path, default=Path("pyproject.toml"), metavar="FILE", help="holds them (default: %(default)s)")
    words.add_argument("--same-within", type=number, default=SAME_WITHIN, metavar="R", help="smaller differences are none (%(default)s)")
    words.add_argument("--junit", type=Path, metavar="FILE", help="write the table as JUnit's XML")
    words.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown")
    return words


def asked(options: argparse.Namespace) -> Gate:
    """The gate's answer; HarnessError where nothing can be asked at all."""
    if not 0 <= options.same_within < 1:
        raise UsageError(f"--same-within={options.same_within}: give a ratio of at least 0 and below 1, e.g. 0.01")
    if options.limits != Path("pyproject.toml") and not options.limits.is_file():
        raise UsageError(f"--limits={options.limits}: there is no such file; give one that exists")
    gate.check_places(options.junit, options.markdown)
    allowed = baseline.allowed_keys(options.allow_different)
    before, after = (Baseline.read(path, allowed) for path in (options.before, options.after))
    found = Gate(strict=options.fail_on == OPEN)
    Comparison(before, after, options.limits, options.same_within, options.strict_conditions).judge(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of two files; 0 met, 1 failed, 2 could not be asked."""
    options = parser().parse_args(arguments)
    try:
        found = asked(options)
        found.write(options.junit, options.markdown)
    except HarnessError as error:
        _tell(Gate(refusals=[Refusal(f"{options.before} and {options.after}", str(error))]))
        return error.exit_code
    _tell(found)
    return gate.MET if options.fail_on == NEVER and found.exit_code == gate.FAILED else found.exit_code


def _tell(found: Gate) -> None:
    width = max(tables.LEAST_COLUMNS, shutil.get_terminal_size().columns)
    if found.findings:
        print(tables.text(page.tables(found.findings, width), width))
    for one in found.findings:
        if one.beyond or one.undecided:
            print(one.sentence())
    for refusal in found.refusals:
        print(refusal.sentence(), file=sys.stderr)
    for note in found.told():
        print(note, file=sys.stderr)
    print(f"gate: {page.summary(found.findings, found.refusals)}")
    for line in [*gate.annotation_lines(os.environ, found), gate.append_summary(os.environ, found.markdown())]:
        if line:
            print(line)


if __name__ == "__main__":
    sys.exit(main())
