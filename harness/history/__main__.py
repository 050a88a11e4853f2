"""``python -m harness.history reports/benchmarks --html=history.html``: latency over commits, from all files that are there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError, RecordError
from harness.history import index, page, story
from harness.pages import layout


def main(words: Sequence[str] | None = None) -> int:
    """0 when the pages were written; 2 where there was nothing to tell."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.history", description="Latency over commits: medians, changes, layers that moved."
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="where files of pytest bench/ --benchmark-json=FILE lie, at any depth"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="the page")
    parser.add_argument("--md", type=Path, metavar="FILE", help="the same without pictures")
    parser.add_argument("--device", metavar="NAME", help="this device alone")
    parser.add_argument("--network", metavar="NAME", help="this network alone")
    asked = parser.parse_args(words)
    wanted = {key: getattr(asked, key) for key in ("device", "network") if getattr(asked, key) is not None}
    try:
        points = index.gather(asked.folders, lambda line: print(line, file=sys.stderr))
        series = [one for one in story.told(points) if all(one.value(key) == name for key, name in wanted.items())]
        if not series:
            raise RecordError("no measurement of a network was found; give folders with files of pytest bench/ --benchmark-json=FILE")
        found = page.sections(series)
        for path, content in ((asked.html, layout.as_html), (asked.md, layout.as_markdown)):
            if path is not None:
                print(f"written: {layout.write(path, content(page.TITLE, page.LEAD, found))}")
        for one in found[:1] if asked.html is None and asked.md is None else ():
            print(layout.as_markdown(page.TITLE, page.LEAD, [one]))
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
