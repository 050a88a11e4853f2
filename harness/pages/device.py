"""Devices side by side on one page: ``python -m harness.pages.device FILES OR FOLDERS [--html=FILE] [--md=FILE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.errors import HarnessError, RecordError, UsageError
from harness.pages import device_tables
from harness.pages import layout as page_layout
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile

TITLE = "Devices"
BENCHMARKS, PAGE = Path("reports/benchmarks"), Path("reports/devices.html")

Say = Callable[[str], None]


def main(words: Sequence[str] | None = None) -> int:
    """The command line; exit code 0 only when the page was written."""
    parser = argparse.ArgumentParser(prog="python -m harness.pages.device", description="devices side by side on one page")
    parser.add_argument("paths", nargs="*", type=Path, default=[BENCHMARKS], help=f"benchmark files, or folders (default: {BENCHMARKS})")
    parser.add_argument("--html", type=Path, help=f"where the page goes (default: {PAGE}, unless --md is given)")
    parser.add_argument("--md", type=Path, help="the same as Markdown")
    asked = parser.parse_args(words)
    html_path = PAGE if asked.html is None and asked.md is None else asked.html
    try:
        sections = device_tables.sections(gather(asked.paths, lambda line: print(line, file=sys.stderr)))
        lead = f"From {', '.join(map(str, asked.paths))}."
        for path, layout in ((html_path, page_layout.as_html), (asked.md, page_layout.as_markdown)):
            if path is not None:
                print(f"written: {page_layout.write(path, layout(TITLE, lead, sections))}")
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def gather(paths: Iterable[Path], say: Say) -> BenchmarkFile:
    """Everything in these files and folders as one; what two files hold is taken once.

    A file that is named must be ours (RecordError); in a folder, what is not is passed over, and said.
    """
    files = []
    for path in paths:
        if path.is_dir():
            found = [file for one in sorted(path.rglob("*.json")) if (file := _read_or_say(one, say)) is not None]
            if not found:
                raise UsageError(f"{path} holds no benchmark file; give one of pytest bench/ --benchmark-json=FILE, or its folder")
            files += found
        else:
            files.append(benchmark_json.read(path))
    measurements = {
        (m.artefact_digest, m.role, m.conditions.device.name, m.conditions.before.taken_at): m for f in files for m in f.measurements
    }
    compilations = {(one.artefact_digest, one.taken_at): one for file in files for one in file.compilations}
    return BenchmarkFile(
        tuple(measurements.values()),
        tuple({architecture.digest: architecture for file in files for architecture in file.architectures}.values()),
        tuple(dict.fromkeys(one for file in files for one in file.accuracies)),
        compilations=tuple(compilations.values()),
    )


def _read_or_say(path: Path, say: Say) -> BenchmarkFile | None:
    try:
        return benchmark_json.read(path)
    except RecordError as error:
        say(f"passing over: {error}")
        return None


if __name__ == "__main__":
    sys.exit(main())
