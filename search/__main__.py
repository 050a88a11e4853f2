"""``python -m search``: the door, at which Ctrl-C is one line from the first moment on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code, 0 only when what was asked for was done and found."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _leave)
    from search import verbs  # takes half a second, in which an exception would surface anywhere, or be lost

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return verbs.main(words)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted before anything was begun\n")
    os._exit(130)  # the shell's code for a command ended by Ctrl-C


if __name__ == "__main__":
    sys.exit(main())
