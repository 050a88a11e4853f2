"""``python -m harness.doctor [--device=NAME]``: every configured device, or those named, with what to do."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from harness.devices import spec
from harness.doctor.checks import Level
from harness.doctor.examination import Examination, examine
from harness.errors import HarnessError, UsageError
from harness.records import stored_files

NAME_COLUMNS, LEVEL_COLUMNS = 16, 5
LEAST_COLUMNS, MOST_COLUMNS = 60, 120
NOT_READY = 1


def main(words: Sequence[str] | None = None) -> int:
    """0: what was asked for is ready; 1: something is in the way; 2: it could not be asked."""
    parser = argparse.ArgumentParser(prog="python -m harness.doctor", description="Is this machine, this board ready to measure?")
    parser.add_argument("--device", action="append", metavar="NAME", help="which; repeatable (default: all that are configured)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen there, to keep beside measurements")
    asked = parser.parse_args(words)
    try:
        wanted = [spec.find(name) for name in dict.fromkeys(asked.device or spec.names())]
        seen = []
        for one in wanted:
            seen.append(examine(one))
            print("\n".join(lines(seen[-1], shutil.get_terminal_size().columns)), flush=True)
        if asked.json is not None:
            _write(asked.json, seen)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return verdict(seen, named=bool(asked.device))


def verdict(seen: Sequence[Examination], named: bool) -> int:
    """0 where all are ready; of devices that nobody named, those that are not here do not count while one is."""
    counted = seen if named else [one for one in seen if one.here and not one.simulated]
    return 0 if counted and all(one.ready for one in counted) else NOT_READY


def lines(one: Examination, columns: int) -> Iterator[str]:
    """The examination of a device as text of at most so many columns (60 to 120)."""
    width = max(LEAST_COLUMNS, min(columns, MOST_COLUMNS))
    state = "ready" if one.ready else "not ready" if one.here else "not here"
    simulated = " · SIMULATED" if one.simulated else ""
    yield from textwrap.wrap(f"{one.device}: {state} · {one.what} · {one.where}{simulated}", width, subsequent_indent="  ")
    start = " " * (2 + LEVEL_COLUMNS + NAME_COLUMNS)
    for check in one.checks:
        first = f"  {check.level:<{LEVEL_COLUMNS}}{check.name:<{NAME_COLUMNS}}"
        yield from textwrap.wrap(check.found, width, initial_indent=first, subsequent_indent=start)
        if check.advice and check.level in (Level.BAD, Level.LOOK):
            yield from textwrap.wrap(
                f"do: {check.advice}", width, initial_indent=start, subsequent_indent=start + "    ", break_on_hyphens=False
            )
    yield ""


def _write(path: Path, seen: Sequence[Examination]) -> None:
    document = {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "devices": [{**asdict(one), "ready": one.ready} for one in seen],
    }
    try:
        stored_files.replace(path.absolute(), json.dumps(document, indent=1).encode())
    except OSError as error:
        raise UsageError(f"--json={path}: {error.strerror}; give a file that can be written") from error


if __name__ == "__main__":
    sys.exit(main())
