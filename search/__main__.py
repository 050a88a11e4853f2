"""``python -m search``: run, resume, show or report a campaign."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from harness.errors import HarnessError
from search import command_line
from search.display import Display

INTERRUPTED = 130  # the shell's code for a command ended by Ctrl-C


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code, 0 only when what was asked for was done."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads are slow on a shared machine
    arguments = command_line.parse(sys.argv[1:] if words is None else words)
    display = Display()
    try:
        return _do(arguments.verb, arguments, display)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; nothing finished is lost: python -m search resume NAME", file=sys.stderr)
        return INTERRUPTED


def _do(verb: str, arguments: command_line.Words, display: Display) -> int:
    if verb in ("run", "fork", "explain"):
        request = command_line.request(arguments)
    else:
        command_line.folder_name(arguments.name)
    from search import folder as folders
    from search import journey, report, summary  # after the words are known to be right: torch takes seconds

    if verb == "explain":
        from search import explain_run

        explain_run.run(request, display)
        return 0
    if verb in ("run", "fork"):
        folder = journey.run(request, display, getattr(arguments, "old", None))
    elif verb == "resume":
        folder = journey.resume(arguments.name, arguments.reports, display)
    else:
        folder = folders.existing(arguments.name, arguments.reports)
        if verb == "report":
            report.write(summary.load(folder))
    report.print_summary(display.console, summary.load(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
