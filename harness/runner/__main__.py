"""``python -m harness.runner network_latency --device=cpu``: our suites from any folder, as ``pytest bench/`` in a checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.runner.elsewhere import suites


def main(words: Sequence[str] | None = None) -> int:
    """Run the suites named first, or all; exit code as pytest's, 2 for a suite that does not exist."""
    given = sys.argv[1:] if words is None else list(words)
    try:
        place = suites.folder()
        if given and given[0] in ("-h", "--help"):
            print(f"python -m harness.runner [SUITE ...] [options of pytest and of Espalier]\n\nsuites: {', '.join(suites.names(place))}\n")
        called = suites.arguments(given, place, Path.cwd())
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return subprocess.run([sys.executable, "-m", "pytest", *called]).returncode  # which wants to see our modules before they are imported


if __name__ == "__main__":
    sys.exit(main())
